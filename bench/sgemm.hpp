// SPDX-License-Identifier: Apache-2.0
//
// What the matrix product of this process and this moment can do: the yardstick of every share.
#pragma once

#include "fixture.hpp"

namespace hso::bench {

/// A square product of order `n`, its operands random.
template <class T>
class SquareGemm {
 public:
  explicit SquareGemm(Context& context);
  void run();
  double multiply_adds() const;

 private:
  Context& context_;
  Index n_;
  Buffer<T> a_, b_, c_;
};

/// The products of one gradient of a network of linear layers, one after the other, and nothing else.
template <class T>
class GradientGemms {
 public:
  GradientGemms(Context& context, const NetCase& net);
  /// False where a layer is not linear: convolutions choose their own products.
  bool applies() const { return applies_; }
  void run();

 private:
  void layer(Index in, Index out, bool first);
  Context& context_;
  Index batch_;
  std::vector<Index> widths_;
  bool applies_ = true;
  Buffer<T> x_, w_, dy_, out_, dw_;
};

}  // namespace hso::bench
