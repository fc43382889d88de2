// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/function_objective.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/fitting.hpp"
#include "objective/owned_matrix.hpp"

namespace hso {
namespace {

/// H v by the user's callback, at a point of its own.
template <class T>
class CallbackOperator final : public LinearOperator<T> {
 public:
  CallbackOperator(Context& context, Index n, const T* theta, const FunctionCallbacks<T>& callbacks)
      : context_(context), theta_(context, n), callbacks_(callbacks) {
    context.ops<T>().copy(n, theta, theta_.data());
  }
  Context& context() const override { return context_; }
  Index dimension() const override { return theta_.size(); }
  void apply(View<const T> v, View<T> hv) override {
    detail::require_fitting(*this, v, hv, "FunctionObjective");
    for (Index k = 0; k < v.lanes; ++k) callbacks_.hessian_product(theta_.data(), v.lane(k), hv.lane(k));
  }

 private:
  Context& context_;
  Buffer<T> theta_;
  const FunctionCallbacks<T>& callbacks_;
};

}  // namespace

template <class T>
FunctionObjective<T>::FunctionObjective(Context& context, Index n, FunctionCallbacks<T> callbacks)
    : share_(context), context_(context), n_(n), callbacks_(std::move(callbacks)) {
  if (!callbacks_.value) throw UsageError("FunctionObjective: no callback `value`");
  if (n < 1) throw UsageError(fmt::format("FunctionObjective: n = {}, expected 1 or more", n));
}

template <class T>
std::unique_ptr<LinearOperator<T>> FunctionObjective<T>::curvature(const T* theta, Curvature kind) {
  if (kind == Curvature::hessian && callbacks_.hessian)
    return detail::owned_matrix<T>(context_, n_, [&](T* h) { callbacks_.hessian(theta, h); });
  if (kind == Curvature::hessian && callbacks_.hessian_product)
    return std::make_unique<CallbackOperator<T>>(context_, n_, theta, callbacks_);
  return Objective<T>::curvature(theta, kind);
}

template class FunctionObjective<float>;
template class FunctionObjective<double>;

}  // namespace hso
