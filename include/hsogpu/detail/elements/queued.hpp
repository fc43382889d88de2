// SPDX-License-Identifier: Apache-2.0
//
// Steps that the host queues without looking at their outcome: numbers that change from step to step and decisions live
// in device memory, so that one recorded launch sequence serves every step.
//
// Functors with now() read scalars from device memory and then are another functor; a backend may ask once for all
// elements or once for each. Guarded ones do nothing where their flag is 0.
#pragma once

#include "hsogpu/detail/elements/basic.hpp"
#include "hsogpu/detail/elements/mask.hpp"
#include "hsogpu/detail/elements/optimizer.hpp"
#include "hsogpu/detail/elements/random.hpp"

namespace hso::detail {

/// What a sequence of queued steps knows about itself, in device memory.
struct StepFlags {
  std::uint64_t go;     ///< 1 until something was not finite: then no later step changes anything
  std::uint64_t live;   ///< go as it was when this step began
  std::uint64_t check;  ///< the number of the check that failed, from 1; 0: none did
  std::uint64_t taken;  ///< steps since the flags were set, the one that failed included
};

/// Sets the flags for steps to come. Launch with 1 x 1.
template <class T>
struct ResetFlags {
  StepFlags* flags;
  HSO_HD void operator()(Index, Index) const { *flags = {1, 1, 0, 0}; }
};

/// A step begins: to[i] = values[i]. Launch with 1 x count, at least 1.
template <class T>
struct BeginStep {
  static constexpr Index kNumbers = 8;
  StepFlags* flags;
  double* to;
  Index count;
  double values[kNumbers];
  HSO_HD void operator()(Index, Index i) const {
    if (i == 0) flags->live = flags->go;
    if (i < count) to[i] = values[i];
  }
};

/// Stops the queue where one of `count` numbers is not finite; `check` says which check it was. Launch with 1 x 1.
template <class T>
struct CheckFinite {
  StepFlags* flags;
  const double* numbers;
  Index count;
  std::uint64_t check;
  HSO_HD void operator()(Index, Index) const {
    if (flags->go == 0) return;
    for (Index k = 0; k < count; ++k) {
      if (numbers[k] - numbers[k] == 0) continue;  // infinity and NaN give NaN
      flags->go = 0;
      flags->check = check;
      return;
    }
  }
};

/// A step ends: what is read of it later, {steps taken, check that failed, numbers...}. Steps behind the one that
/// failed leave its record alone. Launch with 1 x count, at least 1.
template <class T>
struct KeepRecord {
  static constexpr Index kHeader = 2;
  StepFlags* flags;
  const double* numbers;
  Index count;
  double* record;
  HSO_HD void operator()(Index, Index i) const {
    if (flags->live == 0) return;
    if (i < count) record[kHeader + i] = numbers[i];
    if (i > 0) return;
    flags->taken += 1;
    record[0] = static_cast<double>(flags->taken);
    record[1] = static_cast<double>(flags->check);
  }
};

/// y = a x + b y, one number of a queued step; b = 0 never reads y. Launch with 1 x 1.
template <class T>
struct CombineNumbers {
  double a;
  const double* x;
  double b;
  double* y;
  HSO_HD void operator()(Index, Index) const { *y = b == 0 ? a * *x : a * *x + b * *y; }
};

/// factor = sqrt(bound / (rate^2 |along|)) where that is below 1, else 1: Martens and Grosse's bound on the change of
/// the model, `along` = g' step. Launch with 1 x 1.
template <class T>
struct TrustFactor {
  const double* along;
  double rate, bound;
  double* factor;
  HSO_HD void operator()(Index, Index) const {
    const double size = rate * rate * std::fabs(*along);
    *factor = bound > 0 && size > bound ? std::sqrt(bound / size) : 1;
  }
};

/// factor = bound / norm where the norm, the root of `squares`, is above it, else 1. Launch with 1 x 1.
template <class T>
struct NormFactor {
  const double* squares;
  double bound;
  double* factor;
  HSO_HD void operator()(Index, Index) const {
    const double norm = std::sqrt(*squares);
    *factor = norm <= bound ? 1 : bound / norm;
  }
};

/// y *= factor
template <class T>
struct ScaleBy {
  const double* factor;
  T* y;
  HSO_HD Axpby<T> now() const { return {T(0), y, 0, static_cast<T>(*factor), y, 0}; }
  HSO_HD void operator()(Index o, Index i) const { run_element(now(), o, i); }
};

/// AdamStep with {beta2, correction1, correction2} from device memory.
template <class T>
struct AdamStepAt {
  AdamStep<T> step;
  const double* numbers;
  HSO_HD AdamStep<T> now() const {
    AdamStep<T> out = step;
    out.beta2 = static_cast<T>(numbers[0]);
    out.correction1 = static_cast<T>(numbers[1]);
    out.correction2 = static_cast<T>(numbers[2]);
    return out;
  }
  HSO_HD void operator()(Index o, Index i) const { run_element(now(), o, i); }
};

/// RandomFill with its stream from device memory.
template <class T>
struct RandomFillAt {
  RandomFill<T> fill;
  const double* stream;
  HSO_HD RandomFill<T> now() const {
    RandomFill<T> out = fill;
    out.stream = static_cast<std::uint64_t>(*stream);
    return out;
  }
  HSO_HD void operator()(Index o, Index i) const { run_element(now(), o, i); }
};

/// f where *go is not 0.
template <class F>
struct Guarded {
  const std::uint64_t* go;
  F f;
  HSO_HD void operator()(Index o, Index i) const {
    if (*go != 0) run_element(f, o, i);
  }
};

/// Rows [first, first + count) of an order of rows, all of one weight, in a batch of more rows perhaps.
template <class T>
struct BatchPlace {
  Index first, count;
  T weight;
};

/// Sets the batch of a step and the number of the step, which selects the masks of dropout. Launch with 1 x 1.
template <class T>
struct SetBatch {
  BatchPlace<T>* place;
  BatchPlace<T> value;
  std::uint64_t* step;
  std::uint64_t number;
  HSO_HD void operator()(Index, Index) const {
    if (place != nullptr) *place = value;
    if (step != nullptr) *step = number;
  }
};

/// y[o][:] = x[order[first + o]][:]; rows behind the last one repeat the first: of weight zero, but finite.
template <class T>
struct GatherBatch {
  const T* x;
  const Index* order;
  const BatchPlace<T>* place;
  T* y;
  Index cols;
  HSO_HD void operator()(Index o, Index i) const {
    const Index row = order[place->first + (o < place->count ? o : 0)];
    y[o * cols + i] = x[row * cols + i];
  }
};

/// numbers[i]: which row of the data is row i of the batch. Null `place`: order[i].
template <class T>
struct BatchRows {
  const Index* order;
  const BatchPlace<T>* place;
  Index* numbers;
  HSO_HD void operator()(Index, Index i) const {
    const Index at = place == nullptr ? i : place->first + (i < place->count ? i : 0);
    numbers[i] = order[at];
  }
};

/// w[i]: the weight of row i of the batch.
template <class T>
struct BatchWeights {
  const BatchPlace<T>* place;
  T* w;
  HSO_HD void operator()(Index, Index i) const { w[i] = i < place->count ? place->weight : T(0); }
};

template <class T>
using QueuedOps =
    Types<ResetFlags<T>, BeginStep<T>, CheckFinite<T>, KeepRecord<T>, CombineNumbers<T>, TrustFactor<T>, NormFactor<T>,
          ScaleBy<T>, AdamStepAt<T>, RandomFillAt<T>, Guarded<Axpby<T>>, Guarded<AdamStepAt<T>>, Guarded<Convert<T, T>>,
          Guarded<Keep<T>>, SetBatch<T>, GatherBatch<T>, BatchRows<T>, BatchWeights<T>>;

}  // namespace hso::detail
