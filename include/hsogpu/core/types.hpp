// SPDX-License-Identifier: Apache-2.0
//
// Sizes, shapes and views.
//
// A `View` names memory it does not own. Data is row-major and batch first (N, C, H, W).
// K directions are K *lanes*: lane k starts `k * lane_stride` elements after `data`, each lane is contiguous,
// and `lane_stride == 0` means that every lane sees the same memory (a broadcast).
// A view with `data == nullptr` means exactly zero ("null is zero").
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

namespace hso {

using Index = std::int64_t;

template <class T>
using Span = std::span<T>;

/// a * b, or throws InputError when the product does not fit 64 bits or an operand is negative.
Index checked_multiply(Index a, Index b);

/// Up to kMaxRank extents, row-major. Rank 0 is a scalar (size 1).
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<Index> extents);
  explicit Shape(Span<const Index> extents);

  int rank() const { return rank_; }
  Index operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  Index& operator[](int axis) { return extents_[static_cast<std::size_t>(axis)]; }
  /// Product of the extents, checked for overflow.
  Index size() const;
  /// This shape with one more extent in front (the batch).
  Shape with_batch(Index n) const;
  /// "[2, 3]".
  std::string to_string() const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<Index, kMaxRank> extents_{};
  int rank_ = 0;
};

template <class T>
struct View {
  T* data = nullptr;
  Shape shape;  ///< of one lane
  Index lanes = 1;
  Index lane_stride = 0;  ///< elements between lanes; 0 broadcasts
  /// Hint, never an obligation: lane k is the unit vector with its 1 at flat position `*one_hot + k` of the lane
  /// (positions outside the lane: a zero lane). The number is in device memory, so that recorded launches find it
  /// there. Null: nothing is known.
  const Index* one_hot = nullptr;

  explicit operator bool() const { return data != nullptr; }
  Index size() const { return shape.size(); }
  T* lane(Index k) const { return data + k * lane_stride; }
  /// The same memory under another shape of the same size.
  View reshaped(const Shape& s) const {
    View out = *this;
    out.shape = s;
    return out;
  }
  operator View<const T>() const requires(!std::is_const_v<T>) { return {data, shape, lanes, lane_stride, one_hot}; }
};

/// A vector of n numbers, or K of them at distance `lane_stride` (n when not given).
template <class T>
View<T> vector_view(T* data, Index n, Index lanes = 1, Index lane_stride = -1) {
  return {data, Shape{n}, lanes, lane_stride < 0 ? n : lane_stride};
}

}  // namespace hso
