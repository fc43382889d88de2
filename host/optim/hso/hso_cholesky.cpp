// SPDX-License-Identifier: Apache-2.0
//
// HSO, dense by Cholesky: one exact matrix serves every trial of a step, each trial factorises it anew.
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/hso.hpp"
#include "optim/hso/model_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class CholeskyForm final : public ModelStep<T> {
 public:
  explicit CholeskyForm(const HsoCholeskyOptions& o)
      : ModelStep<T>("hso.cholesky", common_options("hso.cholesky", o)), o_(o) {}
  bool dense() const override { return true; }

 private:
  std::string prepare(Step<T>& s) override {
    const Index n = this->n();
    if (this->fresh()) make_form_room(s.objective);
    s.curvature->to_dense(matrix_.data());
    s.report.products += n;
    size_->start();
    size_->dot(this->ops(), n * n, matrix_.data(), matrix_.data());
    size_->post();
    norm_ = std::sqrt(size_->values()[0]);
    shift_ = 0;
    if (std::isfinite(norm_)) return {};
    s.report.status = StepStatus::not_finite;
    return "the curvature matrix is not finite";
  }

  void visit_form(StateVisitor&) override {}
  void make_form_room(Objective<T>& objective) override {
    Context& context = objective.context();
    const Index n = this->n();
    require_memory(context, "hso.cholesky: the curvature matrix and its factor (hso.lowrank and hso.cg hold neither)",
                   n, [](Index m) { return checked_multiply(checked_multiply(2 * m, m), Index{sizeof(T)}); });
    for (Buffer<T>* b : {&matrix_, &factor_}) *b = Buffer<T>(context, n * n);
    size_ = std::make_unique<QueuedNumbers>(context, 1);
  }

  /// -((A + tau I)^-1 + eps I) g
  std::string propose(Step<T>&) override {
    const double eps = o_.eps + (norm_ > 0 ? this->damping().eps_scale() / norm_ : 0);
    if (!factorise()) return fmt::format("A + {:.3g} I is not positive definite in this precision", shift_);
    auto& ops = this->ops();
    const Index n = this->n();
    const T* g = this->gradient();
    T* step = this->own_step();
    ops.copy(n, g, step);
    ops.potrs(n, 1, factor_.data(), step);
    ops.axpby(n, static_cast<T>(-o_.rate * eps), g, static_cast<T>(-o_.rate), step);
    return {};
  }

  /// Algorithm 3.3 of Nocedal and Wright, from delta or, on a later trial, from more than the last one took.
  bool factorise() {
    const Index n = this->n();
    auto& ops = this->ops();
    shift_ = std::max(this->common_.increase * shift_, this->damping().delta());
    const BlockingWork work(n);
    for (int attempt = 0; attempt < 60; ++attempt) {
      ops.copy(n * n, matrix_.data(), factor_.data());
      ops.for_each(1, n, AddDiagonal<T>{factor_.data(), n, static_cast<T>(shift_)});
      ops.for_each(n, n, Symmetrize<T>{factor_.data(), n});
      const bool finite = std::isfinite(static_cast<T>(norm_ + shift_));  // no entry is larger
      if (finite && ops.potrf(n, factor_.data()) == 0) return true;
      shift_ = std::max(2 * shift_, norm_ > 0 ? 1e-3 * norm_ : 1.0);
    }
    return false;
  }
  void taken(StepReport& report) override { report.metrics.emplace_back("shift", shift_); }

  Look looks() const override { return Look::behind_prepare; }

  HsoCholeskyOptions o_;
  double norm_ = 0, shift_ = 0;
  Buffer<T> matrix_, factor_;
  std::unique_ptr<QueuedNumbers> size_;  ///< the matrix's squared norm
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cholesky(const HsoCholeskyOptions& options) {
  return std::make_unique<detail::CholeskyForm<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_cholesky(const HsoCholeskyOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_cholesky(const HsoCholeskyOptions&);

}  // namespace hso
