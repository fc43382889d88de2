// SPDX-License-Identifier: Apache-2.0
//
// One step of a recurrence, all rows and lanes of a batch: what RNN, LSTM and GRU cells compute from the
// pre-activations a of their inputs (bias included), p = W h (bias aside) and the step before; PyTorch's formulas and
// order of gates.
//
//   RecurrentForward   h, y and the point record
//   RecurrentJvp       Rh, Ry and the tangent record          from Ra, Rp = W Rh + RW h + Rb
//   RecurrentVjp       the row dz and the adjoint record      from dy and the carry, what the step after sends back
//   RecurrentReverse   the row Rdz                            from Rdy and its carry, and the records of all three
//
// A record holds some vectors of H numbers for each row of the batch, side by side. dz is the adjoint of the
// pre-activations: those that W multiplies come first. Launch with (lanes * batch) x H.
//
// A cell (recurrent_rnn.hpp, recurrent_lstm.hpp, recurrent_gru.hpp) has for each of the four its operands and its
// formula, as operands.hpp has them, and says
//
//   kGates, kRow                 vectors of a and p, and of dz
//   kPoint, kTangent, kAdjoint   vectors of the records
//   kInputShift                  the last gate of a has vector kGates - 1 + kInputShift of dz
//   kKeepsH                      h enters the next h other than by p
//   kHasState                    an adjoint beside that of h goes from step to step
#pragma once

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/detail/elements/recurrent_gru.hpp"
#include "hsogpu/detail/elements/recurrent_lstm.hpp"
#include "hsogpu/detail/elements/recurrent_rnn.hpp"

namespace hso::detail {

/// Rows of a batch in lanes.
template <class T>
struct Strip {
  T* data;
  Index row_stride, lane_stride;
  HSO_HD T* at(const Digits<2>& at) const { return data + at[0] * row_stride + at[1] * lane_stride; }
};

template <template <class> class Use>
using ForCells = Types<Use<RnnCell<Tanh>>, Use<RnnCell<Relu>>, Use<LstmCell>, Use<GruCell>>;

template <class T, class Cell>
struct RecurrentForward {
  static constexpr bool kPacks = false;
  Strip<const T> a;
  const T* p;
  const T* bias;
  const T* before;    ///< the point record of the step before
  T* now;             ///< of this step
  const T* h_before;  ///< h of the step before
  T* h;
  Strip<T> y;
  Index batch, width;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const { Cell::forward_operands(*this, at, use); }
  HSO_HD void element(auto&... x) const { Cell::forward(x...); }
};

template <class T, class Cell>
struct RecurrentJvp {
  static constexpr bool kPacks = false;
  Strip<const T> ra, rp;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;  ///< of this step
  Strip<const T> tangent_before;
  Strip<T> tangent;
  Strip<const T> rh_before;
  Strip<T> rh, ry;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const { Cell::jvp_operands(*this, at, use); }
  HSO_HD void element(auto&... x) const { Cell::jvp(accumulate, x...); }
};

template <class T, class Cell>
struct RecurrentVjp {
  static constexpr bool kPacks = false;
  Strip<const T> dy, carry;
  Strip<T> carry_out;  ///< what h sends back other than by p
  Strip<T> state;      ///< the adjoint of c, of the step after and then of this one
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  Strip<T> adjoint, dz;
  Index batch, width;
  bool accumulate;  ///< of carry_out
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const { Cell::vjp_operands(*this, at, use); }
  HSO_HD void element(auto&... x) const { Cell::vjp(accumulate, x...); }
};

template <class T, class Cell>
struct RecurrentReverse {
  static constexpr bool kPacks = false;
  Strip<const T> rdy, carry;
  Strip<T> carry_out, state;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  const T* adjoint;  ///< of this step
  Strip<const T> tangent_before, tangent, rh_before;
  Strip<T> rdz;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const { Cell::reverse_operands(*this, at, use); }
  HSO_HD void element(auto&... x) const { Cell::reverse(accumulate, x...); }
};

/// The adjoint of a from the rows dz: to[lane][b][t][gate][i] (+)= dz[lane][step of t][b][slot of gate][i], where the
/// last gate has slot gate + `shift` and steps run backwards when `reversed`. Launch with (lanes * batch * length *
/// gates) x H.
template <class T>
struct StepsToSequence {
  const T* dz;
  Index dz_stride;  ///< between lanes
  T* to;
  Index to_stride;
  Index batch, length, gates, row, width, shift;
  bool reversed, accumulate;
  HSO_HD Radix<4> radix() const { return {{gates, length, batch}}; }
  HSO_HD void rows(const Digits<4>& at, const auto& use) const {
    const Index gate = at[0], t = at[1], b = at[2], lane = at[3];
    const Index step = reversed ? length - 1 - t : t, slot = gate + 1 == gates ? gate + shift : gate;
    use(dz + lane * dz_stride + ((step * batch + b) * row + slot) * width,
        out(to + lane * to_stride + ((b * length + t) * gates + gate) * width, accumulate));
  }
  HSO_HD void element(const T& from, T& result) const { store(&result, from, accumulate); }
};

template <class T>
struct RecurrentLists {
  template <class Cell>
  using Forward = RecurrentForward<T, Cell>;
  template <class Cell>
  using Jvp = RecurrentJvp<T, Cell>;
  template <class Cell>
  using Vjp = RecurrentVjp<T, Cell>;
  template <class Cell>
  using Reverse = RecurrentReverse<T, Cell>;
  template <template <class> class... Use>
  using All = typename Joined<ForCells<Use>...>::type;
  using type = typename Joined<All<Forward, Jvp, Vjp, Reverse>, Types<StepsToSequence<T>>>::type;
};
template <class T>
using RecurrentOps = typename RecurrentLists<T>::type;

}  // namespace hso::detail
