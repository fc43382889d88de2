// SPDX-License-Identifier: Apache-2.0
//
// The closed list of element functors. A backend visits it in one place, so it cannot forget one.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

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

namespace hso::detail {

/// The activations; graph/activation.cpp and the model grammar read the same list.
template <template <class> class Use>
using ForActivations =
    std::variant<Use<Relu>, Use<LeakyRelu>, Use<Elu>, Use<Tanh>, Use<Sigmoid>, Use<Softplus>, Use<Gelu>, Use<Silu>>;

/// What expressions are made of beside them; graph/expression.cpp.
template <template <class> class Use>
using ForFunctions =
    std::variant<Use<Exp>, Use<Log>, Use<Sqrt>, Use<Inverse>, Use<Sin>, Use<Cos>, Use<Atan>, Use<AffineMap>>;

template <class... Variants>
struct Joined;
template <class... A>
struct Joined<std::variant<A...>> {
  using type = std::variant<A...>;
};
template <class... A, class... B, class... Rest>
struct Joined<std::variant<A...>, std::variant<B...>, Rest...> {
  using type = typename Joined<std::variant<A..., B...>, Rest...>::type;
};

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
using LayerOps = std::variant<
    Fill<T>, Axpby<T>, LaneAxpby<T>, LaneRecurrence<T>, GatherEntries<T>, ScatterEntries<T>, Scale<T>, AddToRows<T>,
    AddToColumns<T>, GatherRows<T>, UnitVectors<T>, SetIndex<T>, Symmetrize<T>, MirrorLower<T>, TransposeBlock<T>,
    AddDiagonal<T>, ScaleRows<T>, Convert<T, float>, Convert<T, double>, CrossEntropyValue<T>, CrossEntropyJvp<T>,
    CrossEntropyVjp<T>, CrossEntropyCross<T>, CrossEntropyCrossAfterBias<T>, OutputLossValue<T, SquaredError>,
    OutputLossJvp<T, SquaredError>, OutputLossVjp<T, SquaredError>, OutputLossCross<T, SquaredError>,
    OutputLossCrossAfterBias<T, SquaredError>, OutputLossValue<T, LogisticLoss>, OutputLossJvp<T, LogisticLoss>,
    OutputLossVjp<T, LogisticLoss>, OutputLossCross<T, LogisticLoss>, OutputLossCrossAfterBias<T, LogisticLoss>, Hit<T>,
    Im2Col<T>, Col2Im<T>, WideToImages<T>, ImagesToWide<T>, AddToChannels<T>, MaxPoolValue<T>, MaxPoolJvp<T>,
    MaxPoolVjp<T>, BoxMean<T>, BoxSpread<T>, AvgPoolValue<T>, AvgPoolVjp<T>, UnitWeightJvp<T>, UnitWeightCross<T>,
    RandomFill<T>, DropoutMask<T>, SampleClass<T>, SampleNormal<T>, SampleBernoulli<T>, ChannelRows<T>, SampleRoots<T>,
    Square<T>, Reciprocal<T>, CopyRows<T>, CrossEntropyRoot<T>, OutputLossRoot<T, SquaredError>,
    OutputLossRoot<T, LogisticLoss>>;

/// What solvers, optimizers and pruning are made of.
template <class T>
using MethodOps =
    std::variant<AdamStep<T>, AdaHessianStep<T>, SophiaStep<T>, SecondMomentQuotient<T>, ShiftedPower<T>,
                 DampedReciprocal<T>, EliminationScore<T>, EliminationColumn<T>, EliminationPivot<T>,
                 EliminationUpdate<T>, GatherBlock<T>, Diagonal<T>, Keep<T>, KeepBlock<T>, Signs<T>, KrylovStart<T>,
                 CgStart<T>, CgLength<T>, CgTurn<T>, MinresStart<T>, MinresSubtract<T>, MinresRotate<T>,
                 ModelCgStart<T>, ModelCgLength<T>, ModelCgTurn<T>, TruncatedCgStart<T>, TruncatedCgLength<T>,
                 TruncatedCgTurn<T>, FactorPanel<T>, SolveRows<T, 2>, SolveRows<T, 3>, SolveRows<T, 4>, SolveRows<T, 8>,
                 ProbeAlpha<T>, ProbeBeta<T>, ResetFlags<T>, BeginStep<T>, CheckFinite<T>, KeepRecord<T>,
                 CombineNumbers<T>, TrustFactor<T>, NormFactor<T>, ScaleBy<T>, AdamStepAt<T>, RandomFillAt<T>,
                 Guarded<Axpby<T>>, Guarded<AdamStepAt<T>>, Guarded<Convert<T, T>>, Guarded<Keep<T>>, SetBatch<T>,
                 GatherBatch<T>, BatchRows<T>, BatchWeights<T>, SortKeys<T>, PermutationKeys<T>, Places<T>,
                 OrderedEntries<T>, MagnitudeScore<T>, GradientScore<T>, CurvatureScore<T>, SpreadScores<T>>;

template <class F, class Variant>
inline constexpr bool holds = false;
template <class F, class... A>
inline constexpr bool holds<F, std::variant<A...>> = (std::is_same_v<F, A> || ...);

/// One functor of the list. Groups of them, because compilers instantiate a variant of all of them too deep.
template <class T>
class ElementOp {
  using Layers = LayerOps<T>;
  using Methods = MethodOps<T>;
  using Activations = typename ActivationOps<T>::type;
  template <class F>
  using GroupOf =
      std::conditional_t<holds<F, Layers>, Layers, std::conditional_t<holds<F, Methods>, Methods, Activations>>;

 public:
  template <class F>
  requires holds<F, GroupOf<F>> ElementOp(const F& f)
      : group_(std::in_place_type<GroupOf<F>>, std::in_place_type<F>, f) {}

  template <class Visitor>
  decltype(auto) visit(const Visitor& visitor) const {
    return std::visit([&](const auto& group) -> decltype(auto) { return std::visit(visitor, group); }, group_);
  }

 private:
  std::variant<Layers, Methods, Activations> group_;
};

}  // namespace hso::detail
