// SPDX-License-Identifier: Apache-2.0
#include "data/wav.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"

namespace hso {
namespace {

constexpr std::uint16_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;
constexpr std::uint32_t kLeastRate = 1000, kMostRate = 768'000;
constexpr std::size_t kFormatBytes = 16, kSubformat = 24, kExtensibleBytes = 40;

/// Little-endian numbers of a file.
class Bytes {
 public:
  Bytes(const std::string& path, std::string_view all) : path_(path), all_(all) {}
  std::size_t size() const { return all_.size(); }
  std::string_view text(std::size_t at, std::size_t count) const {
    if (at > size() || count > size() - at)
      throw InputError(fmt::format("{}: ends at byte {}, expected {} more from byte {} on", path_, size(), count, at));
    return all_.substr(at, count);
  }
  std::uint32_t number(std::size_t at, std::size_t count) const {
    std::uint32_t out = 0;
    const std::string_view bytes = text(at, count);
    for (std::size_t i = 0; i < count; ++i)
      out |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
    return out;
  }

 private:
  const std::string& path_;
  std::string_view all_;
};

struct Format {
  std::uint32_t kind = 0, channels = 0, rate = 0, bits = 0;
};

Format read_format(const std::string& path, const Bytes& file, std::size_t at, std::size_t bytes) {
  if (bytes < kFormatBytes)
    throw InputError(
        fmt::format("{}: byte {}: a format of {} bytes, expected {} at least", path, at, bytes, kFormatBytes));
  Format f{file.number(at, 2), file.number(at + 2, 2), file.number(at + 4, 4), file.number(at + 14, 2)};
  if (f.kind == kExtensible && bytes >= kExtensibleBytes) f.kind = file.number(at + kSubformat, 2);
  const bool whole = f.kind == kPcm && (f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32);
  if (!whole && !(f.kind == kFloat && f.bits == 32))
    throw InputError(
        fmt::format("{}: format {} with {} bits, expected PCM (1) of 8, 16, 24 or 32 bits or floats (3) of 32", path,
                    f.kind, f.bits));
  if (f.channels < 1 || f.rate < kLeastRate || f.rate > kMostRate)
    throw InputError(fmt::format("{}: {} channels at {} samples a second, expected 1 at least at {} to {}", path,
                                 f.channels, f.rate, kLeastRate, kMostRate));
  return f;
}

double sample_of(const Format& f, std::uint32_t bits) {
  if (f.kind == kFloat) return static_cast<double>(std::bit_cast<float>(bits));
  if (f.bits == 8) return (static_cast<double>(bits) - 128) / 128;  // the one that has no sign
  const auto shifted = static_cast<std::int32_t>(bits << (32 - f.bits));
  return static_cast<double>(shifted) / 2147483648.0;
}

std::vector<double> read_samples(const std::string& path, const Bytes& file, const Format& f, std::size_t at,
                                 std::size_t bytes) {
  const std::size_t width = f.bits / 8, frame = width * f.channels, frames = bytes / frame;
  if (frames == 0) throw InputError(fmt::format("{}: no samples, expected one at least", path));
  std::vector<double> out(frames);
  for (std::size_t i = 0; i < frames; ++i) {
    for (std::size_t c = 0; c < f.channels; ++c) out[i] += sample_of(f, file.number(at + i * frame + c * width, width));
    out[i] /= f.channels;
    if (!std::isfinite(out[i]))
      throw InputError(fmt::format("{}: sample {}: found {}, expected a finite number", path, i, unsigned_nan(out[i])));
  }
  return out;
}

}  // namespace

Sound read_wav(const std::string& path) {
  const std::string all = read_text(path);
  const Bytes file(path, all);
  if (file.size() < 12 || file.text(0, 4) != "RIFF" || file.text(8, 4) != "WAVE")
    throw InputError(fmt::format("{}: found {} bytes that begin with '{}', expected a RIFF WAVE file", path,
                                 file.size(), shown(std::string_view(all).substr(0, 12))));
  Format format;
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const std::string_view name = file.text(at, 4);
    const std::size_t bytes = file.number(at + 4, 4);
    at += 8;
    if (name == "fmt ") format = read_format(path, file, at, bytes);
    if (name == "data") {
      if (format.rate == 0) throw InputError(fmt::format("{}: samples before their format, expected it first", path));
      file.text(at, bytes);  // all of them are there
      return {static_cast<Index>(format.rate), read_samples(path, file, format, at, bytes)};
    }
    at += bytes + bytes % 2;
  }
  throw InputError(fmt::format("{}: no samples, expected a data chunk", path));
}

}  // namespace hso
