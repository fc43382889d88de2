// SPDX-License-Identifier: Apache-2.0
//
// What the layers of the plain interpreter are written with: tensors of any number type, the next slice of theta, and
// the line of a TOML file.
#pragma once

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "support/net.hpp"

namespace hso::test {

template <class S>
struct Tensor {
  Extents shape;
  std::vector<S> v;
};

inline int count(const Extents& shape) { return std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>()); }

/// type and options of a line
struct LayerLine {
  std::string type;
  std::map<std::string, std::string> options{};

  explicit LayerLine(const std::string& line) : type(line.substr(0, line.find(' '))) {
    for (std::size_t at = type.size(); at < line.size();) {
      const std::size_t end = std::min(line.find(',', at), line.size()), equals = line.find('=', at);
      options[trimmed(line.substr(at, equals - at))] = trimmed(line.substr(equals + 1, end - equals - 1));
      at = end + 1;
    }
  }
  int number(const std::string& key, int otherwise) const {
    return options.count(key) != 0 ? std::stoi(options.at(key)) : otherwise;
  }
  bool flag(const std::string& key, bool otherwise) const {
    return options.count(key) != 0 ? options.at(key) == "true" : otherwise;
  }
  bool is(const std::string& key, const std::string& value) const {
    return options.count(key) != 0 && options.at(key) == value;
  }

 private:
  static std::string trimmed(const std::string& text) {
    const auto inside = [](char c) { return c != ' ' && c != '"'; };
    std::string out;
    for (char c : text)
      if (inside(c)) out += c;
    return out;
  }
};

/// The next tensor of theta.
template <class S>
class Slices {
 public:
  explicit Slices(const S* theta) : begin_(theta), at_(theta) {}
  const S* take(int size) { return std::exchange(at_, at_ + size); }
  int taken() const { return static_cast<int>(at_ - begin_); }

 private:
  const S* begin_;
  const S* at_;
};

template <class S>
S sigmoid_of(const S& x) {
  return S(1) / (S(1) + exp(-x));
}

/// W x + b, row by row.
template <class S>
std::vector<S> affine_of(const S* w, const S* b, int rows, const S* x, int columns) {
  std::vector<S> y;
  for (int r = 0; r < rows; ++r) {
    S sum = b != nullptr ? b[r] : S(0);
    for (int c = 0; c < columns; ++c) sum += w[r * columns + c] * x[c];
    y.push_back(sum);
  }
  return y;
}

}  // namespace hso::test
