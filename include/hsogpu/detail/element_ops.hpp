// SPDX-License-Identifier: Apache-2.0
//
// The closed list of element functors, joined from the lists at the end of elements/*.hpp. A backend visits it in one
// place, so it cannot forget one.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/detail/elements/attention.hpp"
#include "hsogpu/detail/elements/basic.hpp"
#include "hsogpu/detail/elements/conv.hpp"
#include "hsogpu/detail/elements/factors.hpp"
#include "hsogpu/detail/elements/functions.hpp"
#include "hsogpu/detail/elements/krylov.hpp"
#include "hsogpu/detail/elements/lbfgs.hpp"
#include "hsogpu/detail/elements/linear.hpp"
#include "hsogpu/detail/elements/loss.hpp"
#include "hsogpu/detail/elements/mask.hpp"
#include "hsogpu/detail/elements/model_cg.hpp"
#include "hsogpu/detail/elements/norm.hpp"
#include "hsogpu/detail/elements/optimizer.hpp"
#include "hsogpu/detail/elements/order.hpp"
#include "hsogpu/detail/elements/orthonormal.hpp"
#include "hsogpu/detail/elements/pool.hpp"
#include "hsogpu/detail/elements/pruning.hpp"
#include "hsogpu/detail/elements/quadrature.hpp"
#include "hsogpu/detail/elements/queued.hpp"
#include "hsogpu/detail/elements/random.hpp"
#include "hsogpu/detail/elements/recurrent.hpp"
#include "hsogpu/detail/elements/sample.hpp"
#include "hsogpu/detail/type_list.hpp"

namespace hso::detail {

/// Every functor of element type T: the lists of the families.
template <class T>
using ElementOps =
    typename Joined<BasicOps<T>, ConvOps<T>, FactorsOps<T>, KrylovOps<T>, LbfgsOps<T>, LinearOps<T>, LossOps<T>,
                    MaskOps<T>, ModelCgOps<T>, NormOps<T>, OptimizerOps<T>, OrderOps<T>, OrthonormalOps<T>, PoolOps<T>,
                    PruningOps<T>, QuadratureOps<T>, QueuedOps<T>, RandomOps<T>, SampleOps<T>, ActivationOps<T>,
                    AttentionOps<T>, RecurrentOps<T>>::type;

/// One functor of the list, by value: its bytes and its place in the list. Not a std::variant, whose copies and visits
/// would be instantiated for all of them in every file that launches one.
template <class T>
class ElementOp {
 public:
  template <class F>
  requires(place_in<F, ElementOps<T>> < ElementOps<T>::kCount) ElementOp(const F& f)
      : place_(place_in<F, ElementOps<T>>) {
    static_assert(std::is_trivially_copyable_v<F>);
    static_assert(sizeof(F) <= sizeof(bytes_) && alignof(F) <= kAlignment);
    std::construct_at(reinterpret_cast<F*>(bytes_), f);
  }

  /// visitor(f) for the functor that this holds, as const F&; instantiated for every functor of the list.
  template <class Visitor>
  auto visit(const Visitor& visitor) const {
    return visit(visitor, ElementOps<T>{});
  }

 private:
  static constexpr std::size_t kAlignment = 16;

  template <class Visitor, class First, class... Rest>
  auto visit(const Visitor& visitor, Types<First, Rest...>) const {
    using Result = std::invoke_result_t<const Visitor&, const First&>;
    using Call = Result (*)(const Visitor&, const std::byte*);
    static constexpr Call kCalls[] = {&call<Result, Visitor, First>, &call<Result, Visitor, Rest>...};
    return kCalls[place_](visitor, bytes_);
  }
  template <class Result, class Visitor, class F>
  static Result call(const Visitor& visitor, const std::byte* bytes) {
    return visitor(*std::launder(reinterpret_cast<const F*>(bytes)));
  }

  alignas(kAlignment) std::byte bytes_[256];
  int place_;
};

}  // namespace hso::detail
