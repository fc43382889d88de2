// SPDX-License-Identifier: Apache-2.0
#include "timed_ops.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <cstdlib>
#include <type_traits>
#include <typeinfo>

#include "hsogpu/detail/convolutions.hpp"
#include "sampler.hpp"

namespace hso::bench {
namespace {

/// "ActivationFirst<float, Tanh>" from the mangled name.
std::string readable(const char* mangled) {
  char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr);
  std::string name = text == nullptr ? mangled : text;
  std::free(text);
  const std::string noise = "hso::detail::";
  for (std::size_t at = name.find(noise); at != std::string::npos; at = name.find(noise)) name.erase(at, noise.size());
  return name;
}

struct Launches final : Recorded {
  void run(Span<const std::uintptr_t>, const std::function<void()>& launch) override { launch(); }
};

/// Every verb of the inner context, timed under a name that says its sizes.
template <class T>
class TimedOps final : public detail::Ops<T>, public detail::Convolutions<T> {
 public:
  TimedOps(Context& outer, Context& inner, VerbTimes& times) : outer_(outer), inner_(inner), times_(times) {}
  Context& context() override { return outer_; }

  void for_each(Index outer, Index inner, const detail::ElementOp<T>& op) override {
    const std::string name = op.visit([](const auto& f) { return readable(typeid(f).name()); });
    timed(fmt::format("{} {} x {}", name, outer, inner), [&] { inner_.ops<T>().for_each(outer, inner, op); });
  }

  void recur(Index lanes, Index n, const detail::LaneRecurrence<T>& op, double* squares) override {
    timed(fmt::format("recur {} x {}", lanes, n), [&] { inner_.ops<T>().recur(lanes, n, op, squares); });
  }

  void gemm(const detail::GemmArgs<T>& g) override {
    const std::string verb = fmt::format("gemm{}{} {} x {} x {} batch {} beta {}", g.trans_a ? 'T' : 'N',
                                         g.trans_b ? 'T' : 'N', g.m, g.n, g.k, g.batch, g.beta);
    times_[verb].multiply_adds +=
        static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k) * static_cast<double>(g.batch);
    timed(verb, [&] { inner_.ops<T>().gemm(g); });
  }

  using typename detail::Convolutions<T>::Terms;
  bool takes(const detail::ConvolutionSizes& s) const override { return convolutions() && convolutions()->takes(s); }
  void convolve(const detail::ConvolutionSizes& s, Terms terms, detail::InLanes<const T> bias,
                detail::ConvolutionResult<T> y) override {
    timed_convolution("convolve", s, terms.size(), [&] { convolutions()->convolve(s, terms, bias, y); });
  }
  void spread(const detail::ConvolutionSizes& s, Terms terms, detail::ConvolutionResult<T> x) override {
    timed_convolution("spread", s, terms.size(), [&] { convolutions()->spread(s, terms, x); });
  }
  void correlate(const detail::ConvolutionSizes& s, Terms terms, detail::ConvolutionResult<T> w) override {
    timed_convolution("correlate", s, terms.size(), [&] { convolutions()->correlate(s, terms, w); });
  }

  void sum_rows(const detail::ReduceArgs<T>& r) override {
    timed(fmt::format("sum_rows {} x {} x {}", r.lanes, r.rows, r.cols), [&] { inner_.ops<T>().sum_rows(r); });
  }

  void sum_columns(const detail::ReduceArgs<T>& r) override {
    timed(fmt::format("sum_columns {} x {} x {}", r.lanes, r.rows, r.cols), [&] { inner_.ops<T>().sum_columns(r); });
  }

  void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) override {
    timed("dots", [&] { inner_.ops<T>().dots(lanes, n, x, x_stride, y, y_stride, host); });
  }

  void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                      double* results) override {
    timed("dots", [&] { inner_.ops<T>().dots_on_device(lanes, n, x, x_stride, y, y_stride, results); });
  }

  void norms_on_device(Index n, const T* x, double* results) override {
    timed("norms", [&] { inner_.ops<T>().norms_on_device(n, x, results); });
  }

  double max_abs(Index n, const T* x) override {
    return timed("max_abs", [&] { return inner_.ops<T>().max_abs(n, x); });
  }

  void argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) override {
    timed("argmin", [&] { inner_.ops<T>().argmin(lanes, n, x, x_stride, at); });
  }

  void sort(Index n, const T* x, Index* order) override {
    timed(fmt::format("sort {}", n), [&] { inner_.ops<T>().sort(n, x, order); });
  }

  void permute(Index n, std::uint64_t seed, Index* order) override {
    timed(fmt::format("permute {}", n), [&] { inner_.ops<T>().permute(n, seed, order); });
  }

  void select(Index n, const std::uint8_t* flags, Index* at, Index* count) override {
    timed(fmt::format("select {}", n), [&] { inner_.ops<T>().select(n, flags, at, count); });
  }

  void copy(Index n, const T* from, T* to) override {
    timed(fmt::format("copy {}", n), [&] { inner_.ops<T>().copy(n, from, to); });
  }

  Index potrf(Index n, T* a) override {
    return timed("potrf", [&] { return inner_.ops<T>().potrf(n, a); });
  }

  void potrs(Index n, Index nrhs, const T* factor, T* b) override {
    timed("potrs", [&] { inner_.ops<T>().potrs(n, nrhs, factor, b); });
  }

  Index potri(Index n, T* factor) override {
    return timed("potri", [&] { return inner_.ops<T>().potri(n, factor); });
  }

  Index syevd(Index n, T* a, T* w, bool vectors) override {
    return timed("syevd", [&] { return inner_.ops<T>().syevd(n, a, w, vectors); });
  }

  Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) override {
    return timed("syevd_range", [&] { return inner_.ops<T>().syevd_range(n, a, il, iu, w, z); });
  }

  Index syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) override {
    return timed("syevd_batched", [&] { return inner_.ops<T>().syevd_batched(n, batch, a, w, vectors); });
  }

  Index syevd_workspace_bytes(Index n, bool vectors) override {
    return inner_.ops<T>().syevd_workspace_bytes(n, vectors);
  }
  Index sort_workspace_bytes(Index n) override { return inner_.ops<T>().sort_workspace_bytes(n); }
  Index syevd_range_workspace_bytes(Index n, Index il, Index iu, bool vectors) override {
    return inner_.ops<T>().syevd_range_workspace_bytes(n, il, iu, vectors);
  }
  Index syevd_limit(bool vectors) override { return inner_.ops<T>().syevd_limit(vectors); }
  Index chunk_bytes() const override { return inner_.ops<T>().chunk_bytes(); }

 private:
  detail::Convolutions<T>* convolutions() const { return dynamic_cast<detail::Convolutions<T>*>(&inner_.ops<T>()); }
  template <class Call>
  void timed_convolution(const char* name, const detail::ConvolutionSizes& s, std::size_t terms, const Call& call) {
    const std::string verb =
        fmt::format("{} {} of {} x {} to {} x {} lanes {} terms {}", name, s.images, s.groups * s.g.channels,
                    s.g.h * s.g.w, s.groups * s.out, s.g.pixels(), s.lanes, terms);
    times_[verb].multiply_adds += static_cast<double>(s.images * s.groups * s.out * s.lanes) *
                                  static_cast<double>(s.g.patch() * s.g.pixels()) * static_cast<double>(terms);
    timed(verb, call);
  }

  template <class Call>
  auto timed(const std::string& verb, const Call& call) {
    VerbTime& entry = times_[verb];
    ++entry.calls;
    const double start = seconds_now();
    const auto stop = [&] {
      inner_.synchronize();
      entry.seconds += seconds_now() - start;
    };
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      stop();
    } else {
      const auto result = call();
      stop();
      return result;
    }
  }

  Context& outer_;
  Context& inner_;
  VerbTimes& times_;
};

}  // namespace

TimedContext::TimedContext(Context& inner)
    : Context(inner.options()),
      inner_(inner),
      narrow_(std::make_unique<TimedOps<float>>(*this, inner, times)),
      wide_(std::make_unique<TimedOps<double>>(*this, inner, times)) {}

std::unique_ptr<Recorded> TimedContext::make_recorded() { return std::make_unique<Launches>(); }

}  // namespace hso::bench
