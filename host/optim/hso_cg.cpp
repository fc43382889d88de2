// SPDX-License-Identifier: Apache-2.0
//
// HSO, matrix-free: -((A + delta I)^-1 + eps I) g by conjugate gradients, at any size. Where A + delta I is not
// positive definite the damping grows until it is.
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/solvers.hpp"
#include "optim/descent.hpp"
#include "optim/model_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class MatrixFree final : public ModelStep<T> {
 public:
  explicit MatrixFree(const HsoCgOptions& o) : ModelStep<T>("hso.cg", common_options("hso.cg", o)), o_(o) {
    require_option(o.iterations >= 1, "hso.cg", "iterations", o.iterations, "at least 1");
    require_option(o.tolerance > 0, "hso.cg", "tolerance", o.tolerance, "above 0");
  }

 private:
  /// Residual, direction and product of cg.
  Index form_bytes(Context& context, const ParameterLayout& layout) const override {
    const Index vector = checked_multiply(static_cast<Index>(sizeof(T)), layout.n);
    return context.arena().growth({{vector, vector, vector}});
  }
  std::string prepare(Objective<T>&, const T*, LinearOperator<T>&, StepReport&) override { return {}; }

  std::string propose(LinearOperator<T>& curvature, const T* g, T* step, StepReport& report) override {
    AffineOperator<T> damped(curvature, 1, this->damping().delta());
    KrylovOptions<T> options;
    options.tolerance = o_.tolerance;
    options.max_iterations = o_.iterations;
    const KrylovResult r = cg(damped, vector_view<const T>(g, this->n()), vector_view(step, this->n()), options);
    report.products += r.products;
    iterations_ = r.lanes[0].iterations;
    const KrylovStatus status = r.lanes[0].status;
    if (status == KrylovStatus::not_finite || status == KrylovStatus::negative_curvature)
      return fmt::format("cg: {} at delta {:.3g}", name_of(status), this->damping().delta());
    this->ops().axpby(this->n(), static_cast<T>(-o_.rate * o_.eps), g, static_cast<T>(-o_.rate), step);
    return {};
  }

  void taken(StepReport& report) override { report.metrics.emplace_back("cg_iterations", std::int64_t{iterations_}); }

  HsoCgOptions o_;
  Index iterations_ = 0;  ///< of the last solve
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cg(const HsoCgOptions& options) {
  return std::make_unique<detail::MatrixFree<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_cg(const HsoCgOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_cg(const HsoCgOptions&);

}  // namespace hso
