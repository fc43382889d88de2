// SPDX-License-Identifier: Apache-2.0
//
// The closed list of element functors. A backend visits it in one place, so it cannot forget one.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/detail/elements/basic.hpp"
#include "hsogpu/detail/elements/conv.hpp"
#include "hsogpu/detail/elements/factors.hpp"
#include "hsogpu/detail/elements/functions.hpp"
#include "hsogpu/detail/elements/krylov.hpp"
#include "hsogpu/detail/elements/linear.hpp"
#include "hsogpu/detail/elements/loss.hpp"
#include "hsogpu/detail/elements/mask.hpp"
#include "hsogpu/detail/elements/model_cg.hpp"
#include "hsogpu/detail/elements/optimizer.hpp"
#include "hsogpu/detail/elements/order.hpp"
#include "hsogpu/detail/elements/orthonormal.hpp"
#include "hsogpu/detail/elements/pool.hpp"
#include "hsogpu/detail/elements/pruning.hpp"
#include "hsogpu/detail/elements/quadrature.hpp"
#include "hsogpu/detail/elements/queued.hpp"
#include "hsogpu/detail/elements/random.hpp"
#include "hsogpu/detail/elements/sample.hpp"
#include "hsogpu/detail/elements/truncated_cg.hpp"
#include "hsogpu/detail/type_list.hpp"

namespace hso::detail {

/// What expressions are made of beside them; graph/expression.cpp.
template <template <class> class Use>
using ForFunctions = Types<Use<Exp>, Use<Log>, Use<Sqrt>, Use<Inverse>, Use<Sin>, Use<Cos>, Use<Atan>, Use<AffineMap>>;

template <class T>
struct ActivationOps {
  template <class F>
  using Value = ActivationValue<T, F>;
  template <class F>
  using First = ActivationFirst<T, F>;
  template <class F>
  using Second = ActivationSecond<T, F>;
  template <class F>
  using Reverse = ActivationReverse<T, F>;
  template <class F>
  using AfterBias = ActivationAfterBias<T, F>;
  template <template <class> class... Use>
  using All = typename Joined<ForActivations<Use>..., ForFunctions<Use>...>::type;
  using type = All<Value, First, Second, Reverse, AfterBias>;
};

/// What layers and losses are made of, and dense matrices.
template <class T>
using LayerOps =
    Types<Fill<T>, Axpby<T>, LaneAxpby<T>, LaneRecurrence<T>, GatherEntries<T>, ScatterEntries<T>, Scale<T>,
          AddToRows<T>, AddToColumns<T>, GatherRows<T>, UnitVectors<T>, SetIndex<T>, Symmetrize<T>, MirrorLower<T>,
          TransposeBlock<T>, AddDiagonal<T>, ScaleRows<T>, Convert<T, float>, Convert<T, double>, CrossEntropyValue<T>,
          CrossEntropyJvp<T>, CrossEntropyVjp<T>, CrossEntropyCross<T>, CrossEntropyCrossAfterBias<T>,
          OutputLossValue<T, SquaredError>, OutputLossJvp<T, SquaredError>, OutputLossVjp<T, SquaredError>,
          OutputLossCross<T, SquaredError>, OutputLossCrossAfterBias<T, SquaredError>, OutputLossValue<T, LogisticLoss>,
          OutputLossJvp<T, LogisticLoss>, OutputLossVjp<T, LogisticLoss>, OutputLossCross<T, LogisticLoss>,
          OutputLossCrossAfterBias<T, LogisticLoss>, Hit<T>, Im2Col<T>, Col2Im<T>, WideToImages<T>, ImagesToWide<T>,
          AddToChannels<T>, MaxPoolValue<T>, MaxPoolJvp<T>, MaxPoolVjp<T>, BoxMean<T>, BoxSpread<T>, AvgPoolValue<T>,
          AvgPoolVjp<T>, UnitWeightJvp<T>, UnitWeightCross<T>, RandomFill<T>, DropoutMask<T>, SampleClass<T>,
          SampleNormal<T>, SampleBernoulli<T>, ChannelRows<T>, SampleRoots<T>, Square<T>, Reciprocal<T>, CopyRows<T>,
          CrossEntropyRoot<T>, OutputLossRoot<T, SquaredError>, OutputLossRoot<T, LogisticLoss>>;

/// What solvers, optimizers and pruning are made of.
template <class T>
using MethodOps =
    Types<AdamStep<T>, AdaHessianStep<T>, SophiaStep<T>, SecondMomentQuotient<T>, ShiftedPower<T>, DampedReciprocal<T>,
          EliminationScore<T>, EliminationColumn<T>, EliminationPivot<T>, EliminationUpdate<T>, GatherBlock<T>,
          Diagonal<T>, Keep<T>, KeepBlock<T>, Signs<T>, KrylovStart<T>, CgStart<T>, CgLength<T>, CgTurn<T>,
          MinresStart<T>, MinresSubtract<T>, MinresRotate<T>, ModelCgStart<T>, ModelCgLength<T>, ModelCgTurn<T>,
          TruncatedCgStart<T>, TruncatedCgLength<T>, TruncatedCgTurn<T>, FactorPanel<T>, SolveRows<T, 2>,
          SolveRows<T, 3>, SolveRows<T, 4>, SolveRows<T, 8>, ProbeAlpha<T>, ProbeBeta<T>, ResetFlags<T>, BeginStep<T>,
          CheckFinite<T>, KeepRecord<T>, CombineNumbers<T>, TrustFactor<T>, NormFactor<T>, ScaleBy<T>, AdamStepAt<T>,
          RandomFillAt<T>, Guarded<Axpby<T>>, Guarded<AdamStepAt<T>>, Guarded<Convert<T, T>>, Guarded<Keep<T>>,
          SetBatch<T>, GatherBatch<T>, BatchRows<T>, BatchWeights<T>, SortKeys<T>, PermutationKeys<T>, Places<T>,
          OrderedEntries<T>, MagnitudeScore<T>, GradientScore<T>, CurvatureScore<T>, SpreadScores<T>>;

/// Every functor of element type T.
template <class T>
using ElementOps = typename Joined<LayerOps<T>, MethodOps<T>, typename ActivationOps<T>::type>::type;

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
