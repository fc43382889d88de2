// SPDX-License-Identifier: Apache-2.0
//
// Sound files, and what a network sees of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <filesystem>
#include <numbers>

#include "data/log_mel.hpp"
#include "data/wav.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "hsogpu/data/io.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i & 0xff);
  return out;
}

/// A file with one chunk that no reader knows, of odd length, before the samples.
std::string wav(int kind, int channels, int rate, int bits, const std::string& samples) {
  const int frame = channels * bits / 8;
  const std::string format = little(kind, 2) + little(channels, 2) + little(rate, 4) + little(rate * frame, 4) +
                             little(frame, 2) + little(bits, 2);
  const std::string body = "WAVEfmt " + little(format.size(), 4) + format + "LIST" + little(3, 4) + "abc" +
                           std::string(1, '\0') + "data" + little(samples.size(), 4) + samples;
  return "RIFF" + little(body.size(), 4) + body;
}

Numbers read(const std::string& bytes, Index rate = 8000) {
  const TempDir dir;
  write_text_atomically(dir.file("a.wav"), bytes);
  const Sound sound = read_wav(dir.file("a.wav"));
  EXPECT_EQ(sound.rate, rate);
  return sound.samples;
}

TEST(Wav, AllWidthsReadTheSame) {
  EXPECT_EQ(read(wav(1, 1, 8000, 8, {'\x00', '\x80', '\xc0'})), (Numbers{-1, 0, 0.5}));
  EXPECT_EQ(read(wav(1, 1, 8000, 16, little(0x8000, 2) + little(0, 2) + little(0x4000, 2))), (Numbers{-1, 0, 0.5}));
  EXPECT_EQ(read(wav(1, 1, 8000, 24, little(0x800000, 3) + little(0, 3) + little(0x400000, 3))), (Numbers{-1, 0, 0.5}));
  EXPECT_EQ(read(wav(1, 1, 8000, 32, little(0x80000000, 4) + little(0, 4) + little(0x40000000, 4))),
            (Numbers{-1, 0, 0.5}));
  EXPECT_EQ(read(wav(3, 1, 8000, 32,
                     little(std::bit_cast<std::uint32_t>(-1.0f), 4) + little(0, 4) +
                         little(std::bit_cast<std::uint32_t>(0.5f), 4))),
            (Numbers{-1, 0, 0.5}));
}

TEST(Wav, ChannelsAreAveraged) {
  EXPECT_EQ(read(wav(1, 2, 16000, 16, little(0x4000, 2) + little(0, 2) + little(0, 2) + little(0x8000, 2)), 16000),
            (Numbers{0.25, -0.5}));
}

TEST(Wav, DamagedFilesAreErrors) {
  const std::string good = wav(1, 1, 8000, 16, little(1, 2) + little(2, 2));
  const auto message = [](const std::string& bytes) { return message_of<InputError>([&] { read(bytes); }); };
  EXPECT_TRUE(contains(message("RIFX" + good.substr(4)), "expected a RIFF WAVE file"));
  EXPECT_TRUE(contains(message(good.substr(0, good.size() - 1)), "ends at byte"));
  EXPECT_TRUE(contains(message(wav(2, 1, 8000, 16, "ab")), "format 2 with 16 bits"));
  EXPECT_TRUE(contains(message(wav(1, 1, 8000, 12, "ab")), "format 1 with 12 bits"));
  EXPECT_TRUE(contains(message(wav(1, 0, 8000, 16, "ab")), "0 channels at 8000"));
  EXPECT_TRUE(contains(message(wav(1, 1, 10'000'000, 16, "ab")), "10000000 samples a second, expected 1 at least at"));
  EXPECT_TRUE(contains(message(wav(1, 1, 8000, 16, "")), "no samples"));
  EXPECT_TRUE(contains(message(wav(3, 1, 8000, 32, little(0x7fc00000, 4))), "sample 0: found nan"));
  for (std::size_t length = 0; length < good.size(); ++length) EXPECT_NE(message(good.substr(0, length)), "") << length;
}

Numbers tone(double hertz, Index rate, double seconds) {
  Numbers out;
  for (Index i = 0; i < static_cast<Index>(seconds * static_cast<double>(rate)); ++i)
    out.push_back(0.5 * std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / static_cast<double>(rate)));
  return out;
}

/// Written down again as sums, one band and frame at a time.
double energy_of(const Numbers& samples, Index rate, Index bands, Index frame, Index band) {
  const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  const Index width = rate / 40, hop = rate / 100;
  Index length = 1;
  while (length < width) length *= 2;
  const double low = mel(20), high = mel(static_cast<double>(rate) / 2),
               step = (high - low) / static_cast<double>(bands + 1);
  double energy = 0;
  for (Index k = 0; k <= length / 2; ++k) {
    std::complex<double> sum = 0;
    for (Index i = 0; i < width; ++i) {
      const double phase = 2 * std::numbers::pi * static_cast<double>(i);
      const double window = (1 - std::cos(phase / static_cast<double>(width))) / 2;
      sum += window * samples[static_cast<std::size_t>(frame * hop + i)] *
             std::polar(1.0, -phase * static_cast<double>(k) / static_cast<double>(length));
    }
    const double at = mel(static_cast<double>(k) * static_cast<double>(rate) / static_cast<double>(length));
    const double centre = low + static_cast<double>(band + 1) * step;
    energy += std::max(0.0, 1 - std::abs(at - centre) / step) * std::norm(sum);
  }
  return energy;
}

TEST(LogMelBands, AreEnergiesOfTheTransform) {
  const Index rate = 8000, bands = 6;
  Numbers samples = tone(700, rate, 0.06);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += 0.1 * std::cos(0.01 * static_cast<double>(i * i));
  const Numbers found = LogMel(rate, bands)(samples, 100);
  ASSERT_EQ(found.size(), 4u * 6u);  // 480 samples, 200 wide, 80 apart
  for (Index t = 0; t < 4; ++t)
    for (Index b = 0; b < bands; ++b) {
      const double energy = energy_of(samples, rate, bands, t, b);
      EXPECT_NEAR(std::exp(found[static_cast<std::size_t>(t * bands + b)]), energy, 1e-11 * energy + 1e-9)
          << t << " " << b;
    }
}

TEST(LogMelBands, OfSilenceAndOfShortSounds) {
  const Numbers silent = LogMel(16000, 4)(Numbers(1000, 0.0), 100);
  EXPECT_EQ(silent.size(), 4u * 4u);
  for (const double x : silent) EXPECT_EQ(x, LogMel::silence());
  EXPECT_EQ(LogMel(16000, 4)(Numbers(1000, 0.0), 3).size(), 3u * 4u);
  EXPECT_EQ(LogMel(16000, 4).empty_bands(), 0);
  EXPECT_GT(LogMel(2000, 200).empty_bands(), 0);
  EXPECT_EQ(LogMel(16000, 4)(Numbers(7, 0.25), 100).size(), 4u);
}

void write_tone(const std::string& path, double hertz, int rate, double seconds) {
  std::string samples;
  for (const double x : tone(hertz, rate, seconds))
    samples += little(static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lround(32767 * x))), 2);
  write_text_atomically(path, wav(1, 1, rate, 16, samples));
}

TEST(Sounds, AreFoldersOfClasses) {
  const TempDir dir;
  for (const char* name : {"low", "high"}) std::filesystem::create_directories(dir.file(name));
  write_tone(dir.file("low/a.wav"), 300, 8000, 0.045);
  write_tone(dir.file("high/a.wav"), 2500, 8000, 0.045);
  write_tone(dir.file("high/b.wav"), 2600, 8000, 0.2);
  write_text_atomically(dir.file("high/notes.txt"), "not a sound");
  const Dataset d = read_sounds(dir.path().string(), 5, 8, {});
  EXPECT_EQ(d.size, 3);
  EXPECT_EQ(d.source.class_names, (std::vector<std::string>{"high", "low"}));
  EXPECT_EQ(d.targets, (Numbers{0, 0, 1}));
  EXPECT_EQ(d.input_shape, (Shape{5, 8}));
  const auto loudest = [&](Index sample) {
    const auto row = d.inputs.begin() + sample * 40;
    return std::max_element(row, row + 8) - row;
  };
  EXPECT_GT(loudest(0), loudest(2));
  EXPECT_EQ(d.inputs[4 * 8], LogMel::silence());  // the first ends after three frames
  EXPECT_NE(d.inputs[40 + 4 * 8 + 7], LogMel::silence());
  d.validate();
}

TEST(Sounds, OfAnotherRateOrClassAreErrors) {
  const TempDir dir;
  for (const char* name : {"a", "b"}) std::filesystem::create_directories(dir.file(name));
  std::string message = message_of<InputError>([&] { read_sounds(dir.path().string(), 5, 8, {}); });
  EXPECT_TRUE(contains(message, "/a: no .wav files, expected one at least")) << message;
  write_tone(dir.file("a/x.wav"), 300, 8000, 0.05);
  write_tone(dir.file("b/y.wav"), 300, 16000, 0.05);
  message = message_of<InputError>([&] { read_sounds(dir.path().string(), 5, 8, {}); });
  EXPECT_TRUE(contains(message, "b/y.wav: sample 1 has 16000 samples a second, expected 8000 as in")) << message;
  DataOptions options;
  options.class_names = std::vector<std::string>{"a", "c"};
  message = message_of<InputError>([&] { read_sounds(dir.path().string(), 5, 8, options); });
  EXPECT_TRUE(contains(message, "found the class 'b', expected one of a, c as in the training data")) << message;
  message = message_of<InputError>([&] { read_sounds(dir.file("nowhere"), 5, 8, {}); });
  EXPECT_TRUE(contains(message, "no such folder")) << message;
}

}  // namespace
}  // namespace hso::test
