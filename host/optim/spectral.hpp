// SPDX-License-Identifier: Apache-2.0
//
// The epsilon-modified inverse in the eigenbasis: numbers only, on the host. lambda -> b = 1 / phi(lambda) + eps.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/linalg.hpp"

namespace hso::detail {

enum class SignPolicy { raw, abs, clip, shift, truncate };
SignPolicy parse_sign_policy(const std::string& word);  ///< UsageError lists the words

struct Spectrum {
  std::vector<double> values;  ///< ascending
  SpectrumSummary summary;
  double smallest_nonzero() const;  ///< min |lambda| above the tolerance, 0 when there is none
};

/// One choice of policy, damping and eps applied to a spectrum.
struct ModifiedInverse {
  std::vector<double> inverse;  ///< 1 / phi, 0 where truncated
  double eps = 0;
  Index kept = 0;                            ///< entries that have an inverse
  double smallest_phi = 0, largest_phi = 0;  ///< |phi| over them
  bool singular = false;                     ///< some kept phi cannot be inverted
  double at(std::size_t i) const { return inverse[i] + eps; }
  Index rank() const;  ///< non-zero entries of 1 / phi + eps
};
ModifiedInverse modify_inverse(const Spectrum& spectrum, SignPolicy policy, double delta, double eps);

/// The step s = -rate (1 / phi + eps) c in the eigenbasis, c = V'g, and what the quadratic model says of it.
struct SpectralStep {
  std::vector<double> s;
  double slope = 0;               ///< g's: negative for a descent direction
  double predicted_decrease = 0;  ///< -(g's + s'Hs / 2), with the true H
};
SpectralStep spectral_step(const Spectrum& spectrum, const ModifiedInverse& inverse, const std::vector<double>& c,
                           double rate);

}  // namespace hso::detail
