// SPDX-License-Identifier: Apache-2.0
//
// HSO, low rank: the top pairs of the curvature by Lanczos, H_r^+ + eps I with eps in units of the smallest kept
// |eigenvalue|, so that a full step is stable on everything that was not kept.
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/spectrum.hpp"
#include "linalg/memory_needs.hpp"
#include "optim/descent.hpp"
#include "optim/model_step.hpp"
#include "optim/spectral.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class LowRank final : public ModelStep<T> {
 public:
  explicit LowRank(const HsoLowRankOptions& o)
      : ModelStep<T>("hso.lowrank", common_options("hso.lowrank", o)), o_(o), policy_(parse_sign_policy(o.sign)) {
    require_option(o.rank >= 1, "hso.lowrank", "rank", o.rank, "at least 1");
    require_option(o.refresh >= 1, "hso.lowrank", "refresh", o.refresh, "at least 1");
    require_option(o.tolerance > 0, "hso.lowrank", "tolerance", o.tolerance, "above 0");
  }

 private:
  LanczosOptions request(Index n) const {
    LanczosOptions options;
    options.count = std::min<Index>(o_.rank, n);
    options.which = SpectrumEnd::magnitude;
    options.max_products = 4 * options.count + 20;
    options.tolerance = o_.tolerance;
    options.seed = o_.seed;
    return options;
  }
  /// Lanczos, and the pairs of the time before, which stay until the new ones are there.
  Index form_bytes(Context& context, const ParameterLayout& layout) const override {
    LanczosOptions options = request(layout.n);
    options.basis = lanczos_basis<T>(context, layout.n, options);
    const Needs needs = lanczos_needs<T>(layout.n, options);
    return checked_multiply(options.count * static_cast<Index>(sizeof(T)), layout.n) + needs.buffers +
           context.arena().growth(needs.scratch);
  }
  std::string prepare(Objective<T>&, const T*, LinearOperator<T>& curvature, StepReport& report) override {
    if (!pairs_.values.empty() && static_cast<Index>(pairs_.vectors.size()) == kept() * this->n() && age_ < o_.refresh)
      return {};
    pairs_ = lanczos(curvature, request(this->n()));
    age_ = 0;
    report.products += pairs_.products;
    if (pairs_.values.empty()) return "a curvature product is not finite";
    spectrum_.values = pairs_.values;
    spectrum_.summary = summarize_spectrum(spectrum_.values, spectrum_tolerance<T>(this->n()));
    smallest_ = std::abs(spectrum_.values.front());
    for (double v : spectrum_.values) smallest_ = std::min(smallest_, std::abs(v));
    report.metrics.emplace_back("rank", std::int64_t{kept()});
    report.metrics.emplace_back("lambda_max", spectrum_.summary.largest);
    report.metrics.emplace_back("lambda_kept_min", smallest_);
    return {};
  }

  /// -(V' diag(1 / phi) V g + eps g)
  std::string propose(LinearOperator<T>& curvature, const T* g, T* step, StepReport&) override {
    const double delta = this->damping().delta(), unit = smallest_ + delta;
    const double eps = o_.eps + (unit > 0 ? this->damping().eps_scale() / unit : 0);
    const ModifiedInverse inverse = modify_inverse(spectrum_, policy_, delta, eps);
    if (inverse.singular) return fmt::format("sign = {} with delta = {:.3g} cannot be inverted", o_.sign, delta);
    auto& ops = this->ops();
    const Index n = this->n(), r = kept();
    Scratch scratch(curvature.context());
    T* c = scratch.take<T>(r);
    ops.gemm({r, 1, n, pairs_.vectors.data(), n, false, g, 1, false, c, 1});
    std::vector<T> host(static_cast<std::size_t>(r));
    curvature.context().to_host(c, host.data(), r * static_cast<Index>(sizeof(T)));
    for (std::size_t i = 0; i < host.size(); ++i)
      host[i] = static_cast<T>(-o_.rate * inverse.inverse[i] * static_cast<double>(host[i]));
    curvature.context().to_device(host.data(), c, r * static_cast<Index>(sizeof(T)));
    ops.axpby(n, static_cast<T>(-o_.rate * eps), g, T(0), step);
    ops.gemm({1, n, r, c, r, false, pairs_.vectors.data(), n, false, step, n, T(1), T(1)});
    return {};
  }
  void taken(StepReport&) override { ++age_; }
  Index kept() const { return static_cast<Index>(pairs_.values.size()); }

  HsoLowRankOptions o_;
  SignPolicy policy_;
  EigenPairs<T> pairs_;
  Spectrum spectrum_;
  double smallest_ = 0;
  int age_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_lowrank(const HsoLowRankOptions& options) {
  return std::make_unique<detail::LowRank<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_lowrank(const HsoLowRankOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_lowrank(const HsoLowRankOptions&);

}  // namespace hso
