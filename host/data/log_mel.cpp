// SPDX-License-Identifier: Apache-2.0
#include "data/log_mel.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "backend/blas.hpp"

namespace hso {
namespace {

constexpr double kWidth = 0.025, kHop = 0.010, kLowest = 20, kFloor = 1e-10;

Index samples_of(double seconds, Index rate) {
  return std::max<Index>(1, static_cast<Index>(std::llround(seconds * static_cast<double>(rate))));
}

double mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }

/// y[m][n] = a[m][k] b[n][k]'
std::vector<double> product(Index m, Index n, Index k, const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> y(static_cast<std::size_t>(m * n));
  const auto blas = [](Index i) { return detail::blas_int(i, "sounds"); };
  using namespace detail;
  Blas<double>::gemm(kRowMajor, kNoTranspose, kTranspose, blas(m), blas(n), blas(k), 1, a.data(), blas(k), b.data(),
                     blas(k), 0, y.data(), blas(n));
  return y;
}

}  // namespace

LogMel::LogMel(Index rate, Index bands)
    : rate_(rate), bands_(bands), width_(samples_of(kWidth, rate)), hop_(samples_of(kHop, rate)) {
  const auto length = static_cast<Index>(std::bit_ceil(static_cast<std::uint64_t>(width_)));
  frequencies_ = length / 2 + 1;
  waves_.resize(static_cast<std::size_t>(2 * frequencies_ * width_));
  const double turn = 2 * std::numbers::pi;
  for (Index k = 0; k < frequencies_; ++k)
    for (Index i = 0; i < width_; ++i) {
      // k i modulo the length is exact, and the angle stays small.
      const double angle = turn * static_cast<double>(k * i % length) / static_cast<double>(length);
      const double window = 0.5 - 0.5 * std::cos(turn * static_cast<double>(i) / static_cast<double>(width_));
      waves_[static_cast<std::size_t>(k * width_ + i)] = window * std::cos(angle);
      waves_[static_cast<std::size_t>((frequencies_ + k) * width_ + i)] = window * std::sin(angle);
    }
  const double low = mel(kLowest), step = (mel(static_cast<double>(rate) / 2) - low) / static_cast<double>(bands + 1);
  for (Index b = 0; b < bands; ++b)
    for (Index k = 0; k < frequencies_; ++k) {
      const double at = mel(static_cast<double>(k) * static_cast<double>(rate) / static_cast<double>(length));
      bank_.push_back(std::max(0.0, 1 - std::abs((at - low) / step - static_cast<double>(b + 1))));
    }
}

double LogMel::silence() { return std::log(kFloor); }

Index LogMel::empty_bands() const {
  Index empty = 0;
  for (Index b = 0; b < bands_; ++b) {
    const auto row = bank_.begin() + b * frequencies_;
    empty += std::all_of(row, row + frequencies_, [](double w) { return w == 0; }) ? 1 : 0;
  }
  return empty;
}

std::vector<double> LogMel::operator()(Span<const double> samples, Index most) const {
  const auto count = static_cast<Index>(samples.size());
  const Index frames = count < width_ ? 1 : std::min(most, 1 + (count - width_) / hop_);
  std::vector<double> cut(static_cast<std::size_t>(frames * width_), 0.0);
  for (Index t = 0; t < frames; ++t)
    std::copy_n(samples.begin() + t * hop_, std::min(width_, count), cut.begin() + t * width_);
  const std::vector<double> spectrum = product(frames, 2 * frequencies_, width_, cut, waves_);
  std::vector<double> power;
  power.reserve(static_cast<std::size_t>(frames * frequencies_));
  for (Index t = 0; t < frames; ++t)
    for (Index k = 0; k < frequencies_; ++k) {
      const double re = spectrum[static_cast<std::size_t>(2 * frequencies_ * t + k)];
      const double im = spectrum[static_cast<std::size_t>(2 * frequencies_ * t + frequencies_ + k)];
      power.push_back(re * re + im * im);
    }
  std::vector<double> out = product(frames, bands_, frequencies_, power, bank_);
  for (double& energy : out) energy = std::log(std::max(energy, kFloor));
  return out;
}

}  // namespace hso
