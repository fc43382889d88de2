// SPDX-License-Identifier: Apache-2.0
#include "timed_ops.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <cstdlib>
#include <type_traits>
#include <typeinfo>

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

}  // namespace

std::unique_ptr<Recorded> TimedContext::make_recorded() { return std::make_unique<Launches>(); }

template <class T>
template <class Call>
auto TimedOps<T>::timed(const std::string& verb, const Call& call) {
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

template <class T>
void TimedOps<T>::for_each(Index outer, Index inner, const detail::ElementOp<T>& op) {
  const std::string name = op.visit([](const auto& f) { return readable(typeid(f).name()); });
  timed(fmt::format("{} {} x {}", name, outer, inner), [&] { inner_.ops<T>().for_each(outer, inner, op); });
}

template <class T>
void TimedOps<T>::recur(Index lanes, Index n, const detail::LaneRecurrence<T>& op, double* squares) {
  timed(fmt::format("recur {} x {}", lanes, n), [&] { inner_.ops<T>().recur(lanes, n, op, squares); });
}

template <class T>
void TimedOps<T>::gemm(const detail::GemmArgs<T>& g) {
  const std::string verb = fmt::format("gemm{}{} {} x {} x {} batch {} beta {}", g.trans_a ? 'T' : 'N',
                                       g.trans_b ? 'T' : 'N', g.m, g.n, g.k, g.batch, g.beta);
  times_[verb].multiply_adds +=
      static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k) * static_cast<double>(g.batch);
  timed(verb, [&] { inner_.ops<T>().gemm(g); });
}

template <class T>
void TimedOps<T>::sum_rows(const detail::ReduceArgs<T>& r) {
  timed(fmt::format("sum_rows {} x {} x {}", r.lanes, r.rows, r.cols), [&] { inner_.ops<T>().sum_rows(r); });
}
template <class T>
void TimedOps<T>::sum_columns(const detail::ReduceArgs<T>& r) {
  timed(fmt::format("sum_columns {} x {} x {}", r.lanes, r.rows, r.cols), [&] { inner_.ops<T>().sum_columns(r); });
}
template <class T>
void TimedOps<T>::dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) {
  timed("dots", [&] { inner_.ops<T>().dots(lanes, n, x, x_stride, y, y_stride, host); });
}
template <class T>
void TimedOps<T>::dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                                 double* results) {
  timed("dots", [&] { inner_.ops<T>().dots_on_device(lanes, n, x, x_stride, y, y_stride, results); });
}
template <class T>
void TimedOps<T>::norms_on_device(Index n, const T* x, double* results) {
  timed("norms", [&] { inner_.ops<T>().norms_on_device(n, x, results); });
}
template <class T>
double TimedOps<T>::max_abs(Index n, const T* x) {
  return timed("max_abs", [&] { return inner_.ops<T>().max_abs(n, x); });
}
template <class T>
void TimedOps<T>::argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) {
  timed("argmin", [&] { inner_.ops<T>().argmin(lanes, n, x, x_stride, at); });
}
template <class T>
void TimedOps<T>::sort(Index n, const T* x, Index* order) {
  timed(fmt::format("sort {}", n), [&] { inner_.ops<T>().sort(n, x, order); });
}
template <class T>
void TimedOps<T>::permute(Index n, std::uint64_t seed, Index* order) {
  timed(fmt::format("permute {}", n), [&] { inner_.ops<T>().permute(n, seed, order); });
}
template <class T>
void TimedOps<T>::select(Index n, const std::uint8_t* flags, Index* at, Index* count) {
  timed(fmt::format("select {}", n), [&] { inner_.ops<T>().select(n, flags, at, count); });
}
template <class T>
void TimedOps<T>::copy(Index n, const T* from, T* to) {
  timed(fmt::format("copy {}", n), [&] { inner_.ops<T>().copy(n, from, to); });
}
template <class T>
Index TimedOps<T>::potrf(Index n, T* a) {
  return timed("potrf", [&] { return inner_.ops<T>().potrf(n, a); });
}
template <class T>
void TimedOps<T>::potrs(Index n, Index nrhs, const T* factor, T* b) {
  timed("potrs", [&] { inner_.ops<T>().potrs(n, nrhs, factor, b); });
}
template <class T>
Index TimedOps<T>::potri(Index n, T* factor) {
  return timed("potri", [&] { return inner_.ops<T>().potri(n, factor); });
}
template <class T>
Index TimedOps<T>::syevd(Index n, T* a, T* w, bool vectors) {
  return timed("syevd", [&] { return inner_.ops<T>().syevd(n, a, w, vectors); });
}
template <class T>
Index TimedOps<T>::syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) {
  return timed("syevd_range", [&] { return inner_.ops<T>().syevd_range(n, a, il, iu, w, z); });
}
template <class T>
Index TimedOps<T>::syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) {
  return timed("syevd_batched", [&] { return inner_.ops<T>().syevd_batched(n, batch, a, w, vectors); });
}
template <class T>
Index TimedOps<T>::syevd_workspace_bytes(Index n, bool vectors) {
  return inner_.ops<T>().syevd_workspace_bytes(n, vectors);
}

template class TimedOps<float>;
template class TimedOps<double>;

}  // namespace hso::bench
