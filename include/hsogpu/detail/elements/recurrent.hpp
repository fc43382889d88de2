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
// pre-activations: those that W multiplies come first. Launch with (lanes * batch) x H. The cells are in
// recurrent_rnn.hpp, recurrent_lstm.hpp and recurrent_gru.hpp.
#pragma once

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// Rows of a batch in lanes.
template <class T>
struct Strip {
  T* data;
  Index row_stride, lane_stride;
  HSO_HD T* at(const Digits<2>& at) const { return data + at[0] * row_stride + at[1] * lane_stride; }
};

/// h = f(z), z = a + p + b
template <class F>
struct RnnCell {
  static constexpr int kGates = 1;        ///< vectors of a and p
  static constexpr int kRow = 1;          ///< vectors of dz
  static constexpr int kPoint = 1;        ///< z
  static constexpr int kTangent = 1;      ///< Rz
  static constexpr int kAdjoint = 1;      ///< dh
  static constexpr int kInputShift = 0;   ///< the last gate of a has vector kGates - 1 + kInputShift of dz
  static constexpr bool kKeepsH = false;  ///< h enters the next h other than by p
  static constexpr bool kHasState = false;
};

/// i, f, o = logistic, g = tanh; c = f c' + i g, h = o tanh(c). Hochreiter and Schmidhuber 1997, Gers et al. 2000.
struct LstmCell {
  static constexpr int kGates = 4;
  static constexpr int kRow = 4;
  static constexpr int kPoint = 6;    ///< i, f, g, o, c, tanh(c)
  static constexpr int kTangent = 5;  ///< Ri, Rf, Rg, Ro, Rc
  static constexpr int kAdjoint = 2;  ///< dh, dc
  static constexpr int kInputShift = 0;
  static constexpr bool kKeepsH = false;
  static constexpr bool kHasState = true;  ///< dc goes from step to step
};

/// r, z = logistic(a + p + b), n = tanh(a + r (p + b)), h = n + z (h' - n). Cho et al. 2014, in cuDNN's form.
struct GruCell {
  static constexpr int kGates = 3;
  static constexpr int kRow = 4;      ///< of r, z, p_n, and of a_n
  static constexpr int kPoint = 4;    ///< r, z, n, p_n + b_n
  static constexpr int kTangent = 4;  ///< Rr, Rz, Rn, Rp_n
  static constexpr int kAdjoint = 1;  ///< dh
  static constexpr int kInputShift = 1;
  static constexpr bool kKeepsH = true;
  static constexpr bool kHasState = false;
};

template <template <class> class Use>
using ForCells = Types<Use<RnnCell<Tanh>>, Use<RnnCell<Relu>>, Use<LstmCell>, Use<GruCell>>;

template <class T, class Cell>
struct RecurrentForward;
template <class T, class Cell>
struct RecurrentJvp;
template <class T, class Cell>
struct RecurrentVjp;
template <class T, class Cell>
struct RecurrentReverse;

/// The logistic function's and tanh's derivatives from their values.
template <class T>
HSO_HD inline T slope_of_logistic(T y) {
  return y * (1 - y);
}
template <class T>
HSO_HD inline T slope_of_tanh(T y) {
  return (1 - y) * (1 + y);
}

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
