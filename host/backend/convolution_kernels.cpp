// SPDX-License-Identifier: Apache-2.0
#include "backend/convolution_kernels.hpp"

#include <utility>
#include <vector>

namespace hso::detail {
namespace {

/// Vectors of GCC and Clang; Loose ones lie at any address of a number.
template <class T, int Bytes>
struct Vector {
  static constexpr int kWidth = Bytes / static_cast<int>(sizeof(T));
  typedef T Type __attribute__((vector_size(Bytes)));
  typedef T Loose __attribute__((vector_size(Bytes), aligned(alignof(T)), may_alias));
};

/// Half is added to half; ends at lanes[0].
template <class T, int Width>
[[gnu::always_inline]] inline T sum_of(T* lanes) {
  if constexpr (Width > 1) {
    using Half = typename Vector<T, Width / 2 * static_cast<int>(sizeof(T))>::Loose;
    *reinterpret_cast<Half*>(lanes) += *reinterpret_cast<const Half*>(lanes + Width / 2);
    return sum_of<T, Width / 2>(lanes);
  } else {
    return lanes[0];
  }
}

template <class T, int Bytes, int Rows, int Vectors>
[[gnu::always_inline]] inline void products_of(const ShiftedProducts<T>& given) {
  const ShiftedProducts<T> p = given;  // no store can alias a copy
  using V = Vector<T, Bytes>;
  using Loose = typename V::Loose;
  typename V::Type sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = p.start != nullptr ? typename V::Type{} + p.start[r]
                                     : *reinterpret_cast<const Loose*>(p.y + r * p.y_row + v * V::kWidth);
  for (Index s = 0; s < p.count; ++s) {
    const T* x = p.x + p.shifts[s].pixel;
    const T* w = p.w + p.shifts[s].weight;
    typename V::Type in[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) in[v] = *reinterpret_cast<const Loose*>(x + v * V::kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] += w[r * p.w_row] * in[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) *reinterpret_cast<Loose*>(p.y + r * p.y_row + v * V::kWidth) = sum[r][v];
}

template <class T, int Bytes, int Rows, int Shifts>
[[gnu::always_inline]] inline void dots_of(const ShiftedDots<T>& given) {
  const ShiftedDots<T> d = given;
  using V = Vector<T, Bytes>;
  using Loose = typename V::Loose;
  typename V::Type sum[Rows][Shifts] = {};
  for (Index n = 0; n < d.images; ++n) {
    const T* x = d.x + n * d.x_image;
    const T* y = d.y + n * d.y_image;
    for (Index p = 0; p < d.length; p += V::kWidth) {
      typename V::Type in[Shifts];
#pragma GCC unroll 8
      for (int s = 0; s < Shifts; ++s) in[s] = *reinterpret_cast<const Loose*>(x + p + d.shifts[s].pixel);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const typename V::Type out = *reinterpret_cast<const Loose*>(y + r * d.y_row + p);
#pragma GCC unroll 8
        for (int s = 0; s < Shifts; ++s) sum[r][s] += out * in[s];
      }
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int s = 0; s < Shifts; ++s) {
      T lanes[V::kWidth];
      *reinterpret_cast<Loose*>(lanes) = sum[r][s];
      d.w[r * d.w_row + s] += sum_of<T, V::kWidth>(lanes);
    }
}

// One struct for each kind of processor: its vectors, how many of them the sums of six rows may take in its registers,
// and the loops compiled for it.
struct Baseline {
  static constexpr const char* kName = "baseline";
  static constexpr int kBytes = 16, kVectors = 2;
  static bool here() { return true; }
  template <class T, int Rows, int N>
  static void products(const ShiftedProducts<T>& p) {
    products_of<T, kBytes, Rows, N>(p);
  }
  template <class T, int Rows, int N>
  static void dots(const ShiftedDots<T>& d) {
    dots_of<T, kBytes, Rows, N>(d);
  }
};

#if defined(__x86_64__)
struct Avx2 {
  static constexpr const char* kName = "avx2";
  static constexpr int kBytes = 32, kVectors = 2;
  static bool here() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
  template <class T, int Rows, int N>
  [[gnu::target("avx2,fma")]] static void products(const ShiftedProducts<T>& p) {
    products_of<T, kBytes, Rows, N>(p);
  }
  template <class T, int Rows, int N>
  [[gnu::target("avx2,fma")]] static void dots(const ShiftedDots<T>& d) {
    dots_of<T, kBytes, Rows, N>(d);
  }
};

struct Avx512 {
  static constexpr const char* kName = "avx512";
  static constexpr int kBytes = 64, kVectors = 4;
  static bool here() { return __builtin_cpu_supports("avx512f"); }
  template <class T, int Rows, int N>
  [[gnu::target("avx512f")]] static void products(const ShiftedProducts<T>& p) {
    products_of<T, kBytes, Rows, N>(p);
  }
  template <class T, int Rows, int N>
  [[gnu::target("avx512f")]] static void dots(const ShiftedDots<T>& d) {
    dots_of<T, kBytes, Rows, N>(d);
  }
};
#endif

template <class Kind, class T, int... I>
ConvolutionKernels<T> kernels_of(std::integer_sequence<int, I...>) {
  constexpr int kN = Kind::kVectors;
  ConvolutionKernels<T> k{Kind::kName, Kind::kBytes / static_cast<Index>(sizeof(T)), kN, {}, {}};
  ((k.products[I / kN][I % kN] = &Kind::template products<T, I / kN + 1, I % kN + 1>), ...);
  ((k.dots[I / kN][I % kN] = &Kind::template dots<T, I / kN + 1, I % kN + 1>), ...);
  return k;
}

template <class T, class... Kinds>
std::vector<ConvolutionKernels<T>> kernels_here() {
  std::vector<ConvolutionKernels<T>> all;
  const auto add = [&]<class Kind>() {
    using Numbers = std::make_integer_sequence<int, ConvolutionKernels<T>::kRows * Kind::kVectors>;
    if (Kind::here()) all.push_back(kernels_of<Kind, T>(Numbers()));
  };
  (add.template operator()<Kinds>(), ...);
  return all;
}

}  // namespace

template <class T>
Span<const ConvolutionKernels<T>> convolution_kernels() {
#if defined(__x86_64__)
  static const auto kernels = kernels_here<T, Avx512, Avx2, Baseline>();
#else
  static const auto kernels = kernels_here<T, Baseline>();
#endif
  return kernels;
}

template Span<const ConvolutionKernels<float>> convolution_kernels();
template Span<const ConvolutionKernels<double>> convolution_kernels();

}  // namespace hso::detail
