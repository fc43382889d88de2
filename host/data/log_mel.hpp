// SPDX-License-Identifier: Apache-2.0
//
// Sounds as images of time and pitch: logarithms of the energies in bands of the mel scale.
#pragma once

#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Frame t [bands] of a sound: samples [t hop, t hop + width) with a Hann window, width 25 ms and hop 10 ms; the
/// energies of its discrete Fourier transform (the power of 2 from `width` on as length) in triangles that are equally
/// wide on the mel scale 2595 log10(1 + f / 700) from 20 Hz to half the rate (Davis and Mermelstein 1980; the formula
/// is HTK's); log(max(energy, 1e-10)).
class LogMel {
 public:
  /// `rate`: samples a second.
  LogMel(Index rate, Index bands);
  Index rate() const { return rate_; }
  /// [frames][bands]: 1 + (samples - width) / hop frames, at most `most`; one of a shorter sound, which is filled up
  /// with silence.
  std::vector<double> operator()(Span<const double> samples, Index most) const;
  /// Bands in which no frequency of the transform lies.
  Index empty_bands() const;
  /// What silence has in every band.
  static double silence();

 private:
  Index rate_, bands_, width_, hop_, frequencies_;
  std::vector<double> waves_;  ///< [2 frequencies][width]: cosines, then sines, times the window
  std::vector<double> bank_;   ///< [bands][frequencies]
};

}  // namespace hso
