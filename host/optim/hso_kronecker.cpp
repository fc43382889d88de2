// SPDX-License-Identifier: Apache-2.0
//
// HSO in the Kronecker eigenbasis: -(1 / (lambda + delta) + eps) g with the factors of K-FAC or EKFAC, and the length
// that minimises the exact damped quadratic model along it (Martens and Grosse, ICML 2015, section 6.4).
#include "hsogpu/error.hpp"
#include "hsogpu/kronecker.hpp"
#include "hsogpu/linalg.hpp"
#include "optim/descent.hpp"
#include "optim/model_step.hpp"

namespace hso {
namespace detail {
namespace {

constexpr Index kSums = Index{16} << 20;  // bytes of a chunk of the rows that are summed to factors

template <class T>
class Kronecker final : public ModelStep<T> {
 public:
  Kronecker(const char* name, Curvature form, const HsoKroneckerOptions& o)
      : ModelStep<T>(name, common_options(name, o)), o_(o), form_(form) {
    require_option(o.refresh >= 1, name, "refresh", o.refresh, "at least 1");
    require_option(o.delta > 0, name, "delta", o.delta, "above 0: factors are singular");
  }

 private:
  /// Factors, eigenvectors and eigenvalues of all layers, twice: the old ones stay until the new ones are there. The
  /// inverse's values, three matrices of a layer's size to apply it, and the eigensolver's own.
  Index form_bytes(Context& context, const ParameterLayout& layout) const override {
    Index factors = 0, largest = 0, widest = 1;
    for (const Shape& s : layout.tensors) {
      if (s.rank() < 2) continue;
      const Index rows = s[0], columns = s.size() / rows + 1;
      factors += 2 * (checked_multiply(rows, rows) + checked_multiply(columns, columns)) + rows * columns;
      largest = std::max(largest, rows * columns);
      widest = std::max({widest, rows, columns});
    }
    return checked_multiply(2 * factors + layout.n + 3 * largest, static_cast<Index>(sizeof(T))) +
           eigh_bytes<T>(context, widest) + kSums;
  }
  std::string prepare(Objective<T>& objective, const T* theta, LinearOperator<T>&, StepReport& report) override {
    if (!this->fresh() && factors_ != nullptr && age_ < o_.refresh) return {};
    inverse_.reset();
    operator_ = objective.curvature(theta, form_);
    factors_ = dynamic_cast<KroneckerOperator<T>*>(operator_.get());
    if (factors_ == nullptr)
      throw UsageError(this->name() + ": this objective has no layers to factor; use hso.lowrank or hso.cg");
    try {
      largest_ = 0;
      for (double value : factors_->eigenvalues()) largest_ = std::max(largest_, value);
    } catch (const NumericalError& e) {
      factors_ = nullptr;
      return e.what();
    }
    age_ = 0;
    report.metrics.emplace_back("lambda_max", largest_);
    return {};
  }

  std::string propose(LinearOperator<T>&, const T* g, T* step, StepReport&) override {
    const double delta = this->damping().delta(),
                 eps = o_.eps + (largest_ > 0 ? this->damping().eps_scale() / largest_ : 0);
    if (!inverse_ || delta != delta_ || eps != eps_)
      inverse_ = factors_->function([=](double lambda) { return 1 / (lambda + delta) + eps; });
    delta_ = delta;
    eps_ = eps;
    inverse_->apply(vector_view<const T>(g, this->n()), vector_view(step, this->n()));
    this->ops().axpby(this->n(), T(0), step, static_cast<T>(-o_.rate), step);
    return {};
  }
  void taken(StepReport&) override { ++age_; }
  void refused() override { age_ = o_.refresh; }
  bool rescales() const override { return o_.rescale; }

  HsoKroneckerOptions o_;
  Curvature form_;
  std::unique_ptr<LinearOperator<T>> operator_, inverse_;
  KroneckerOperator<T>* factors_ = nullptr;
  double largest_ = 0, delta_ = -1, eps_ = -1;
  int age_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_kfac(const HsoKroneckerOptions& options) {
  return std::make_unique<detail::Kronecker<T>>("hso.kfac", Curvature::kfac, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_ekfac(const HsoKroneckerOptions& options) {
  return std::make_unique<detail::Kronecker<T>>("hso.ekfac", Curvature::ekfac, options);
}

template std::unique_ptr<Optimizer<float>> make_hso_kfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_kfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<float>> make_hso_ekfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_ekfac(const HsoKroneckerOptions&);

}  // namespace hso
