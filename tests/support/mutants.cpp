// SPDX-License-Identifier: Apache-2.0
#include "support/mutants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hsogpu/detail/philox.hpp"

namespace hso::test {
namespace {

class Damage {
 public:
  Damage(const std::string& good, std::uint64_t seed, std::uint64_t number)
      : bytes_(good), seed_(seed), number_(number) {}

  Mutant make() {
    constexpr std::array kWays = {&Damage::flip,    &Damage::replace,  &Damage::cut,    &Damage::put_in,
                                  &Damage::double_, &Damage::take_out, &Damage::length, &Damage::number};
    const std::string what = (this->*kWays[number_ % kWays.size()])();
    return {bytes_, fmt::format("number {}: {}", number_, what)};
  }

 private:
  /// A random number below `end`; 0 where that is 0.
  std::size_t below(std::size_t end) {
    const std::uint32_t word = detail::philox_word(seed_, number_, drawn_++);
    return end == 0 ? 0 : word % end;
  }
  std::size_t place() { return below(bytes_.size()); }
  std::size_t part(std::size_t from) { return 1 + below(std::min<std::size_t>(bytes_.size() - from, 64)); }

  std::string flip() {
    const std::size_t at = place(), bit = below(8);
    bytes_[at] ^= static_cast<char>(1U << bit);
    return fmt::format("bit {} of byte {} flipped", bit, at);
  }
  std::string replace() {
    const std::size_t at = place();
    bytes_[at] = static_cast<char>(below(256));
    return fmt::format("byte {} is 0x{:02x}", at, static_cast<unsigned char>(bytes_[at]));
  }
  std::string cut() {
    bytes_.resize(place());
    return fmt::format("cut to {} bytes", bytes_.size());
  }
  std::string put_in() {
    const std::size_t at = place();
    std::string more(1 + below(16), '\0');
    for (char& c : more) c = static_cast<char>(below(256));
    bytes_.insert(at, more);
    return fmt::format("{} bytes put in at {}", more.size(), at);
  }
  std::string double_() {
    const std::size_t from = place(), size = part(from), to = place();
    bytes_.insert(to, bytes_.substr(from, size));
    return fmt::format("{} bytes from {} doubled at {}", size, from, to);
  }
  std::string take_out() {
    const std::size_t from = place(), size = part(from);
    bytes_.erase(from, size);
    return fmt::format("{} bytes at {} taken out", size, from);
  }
  /// 0, 1, and the largest numbers with and without a sign, in either byte order.
  std::string length() {
    const std::size_t at = place(), width = std::min<std::size_t>(std::size_t{1} << below(4), bytes_.size() - at);
    const std::size_t value = below(5);
    std::string field(width, value < 2 ? '\0' : '\xff');
    if (value == 1) field.front() = 1;
    if (value == 3) field.back() = 0x7f;
    if (value == 4) field.front() = 0x7f;
    bytes_.replace(at, width, field);
    return fmt::format("the {} bytes at {} are extreme {}", width, at, value);
  }
  /// Of the numbers that stand in the text as digits, one.
  std::string number() {
    constexpr std::array<const char*, 10> kExtremes = {
        "0",     "-1",  "65536", "2147483648", "1000000000", "9223372036854775807", "99999999999999999999",
        "1e999", "nan", ""};
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const std::size_t start = place();
    std::size_t from =
        std::find_if(bytes_.begin() + static_cast<std::ptrdiff_t>(start), bytes_.end(), digit) - bytes_.begin();
    if (from == bytes_.size()) return flip();
    while (from > 0 && digit(bytes_[from - 1])) --from;
    std::size_t end = from;
    while (end < bytes_.size() && digit(bytes_[end])) ++end;
    const char* extreme = kExtremes[below(kExtremes.size())];
    bytes_.replace(from, end - from, extreme);
    return fmt::format("the number at {} is '{}'", from, extreme);
  }

  std::string bytes_;
  std::uint64_t seed_, number_;
  std::uint64_t drawn_ = 0;
};

}  // namespace

Mutant mutant_of(const std::string& good, std::uint64_t seed, std::uint64_t number) {
  return Damage(good, seed, number).make();
}

}  // namespace hso::test
