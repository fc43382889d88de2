// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu_convolutions.hpp"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "backend/bordered_images.hpp"
#include "backend/convolution_kernels.hpp"
#include "backend/range.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {
namespace {

/// Input images of a group.
BorderedImage inputs_of(const ConvGeometry& g) {
  const auto axis = [](Index in, Index pad, Index stride) {
    return BorderedAxis{in, pad, stride, (in + 2 * pad + stride - 1) / stride};
  };
  return {axis(g.h, g.pad_h, g.stride_h), axis(g.w, g.pad_w, g.stride_w), g.channels};
}

/// Outputs of a group, so that each input meets all outputs that it has a part in.
BorderedImage outputs_of(const ConvGeometry& g, Index out) {
  const auto axis = [](Index in, Index size, Index pad, Index stride, Index reach) {
    const Index before = reach / stride;
    return BorderedAxis{in, before, 1, before + std::max(in, (size - 1 + pad) / stride + 1)};
  };
  return {axis(g.oh, g.h, g.pad_h, g.stride_h, (g.kh - 1) * g.dilation_h),
          axis(g.ow, g.w, g.pad_w, g.stride_w, (g.kw - 1) * g.dilation_w), out};
}

/// What one run over the shifts computes: numbers of a bordered image from `first` on, of which a grid is used.
struct Pass {
  std::vector<Shift> shifts;
  Index first = 0, place = 0;  ///< `place`: of the first result in its channel
  Grid grid{};
  Index numbers() const {
    return grid.rows == 0 || grid.columns == 0 ? 0 : (grid.rows - 1) * grid.from_y + grid.columns;
  }
};

std::vector<Pass> forward_passes(const ConvGeometry& g, const BorderedImage& x) {
  Pass all{{}, 0, 0, {g.oh, g.ow, x.x.length, 1, g.ow, 1}};
  Index weight = 0;
  for (Index c = 0; c < g.channels; ++c)
    for (Index ky = 0; ky < g.kh; ++ky)
      for (Index kx = 0; kx < g.kw; ++kx, ++weight)
        all.shifts.push_back(
            {static_cast<std::int32_t>(c * x.channel_size() + x.place(ky * g.dilation_h, kx * g.dilation_w)),
             static_cast<std::int32_t>(weight)});
  return {all};
}

/// Inputs of one phase, which the same entries of the kernel reach.
Pass adjoint_pass(const ConvGeometry& g, const BorderedImage& dy, Index v, Index u) {
  const BorderedAxis y{g.h, g.pad_h, g.stride_h, 0}, x{g.w, g.pad_w, g.stride_w, 0};
  Pass pass{{},
            y.first(v) * dy.x.length + x.first(u),
            y.pixel(v) * g.w + x.pixel(u),
            {y.count(v), x.count(u), dy.x.length, 1, g.stride_h * g.w, g.stride_w}};
  for (Index o = 0; o < dy.channels; ++o)
    for (Index ky = 0; ky < g.kh; ++ky)
      for (Index kx = 0; kx < g.kw; ++kx) {
        const Index i = ky * g.dilation_h, j = kx * g.dilation_w;
        if (i % g.stride_h != v || j % g.stride_w != u) continue;
        const Index row = dy.y.before - i / g.stride_h, column = dy.x.before - j / g.stride_w;
        pass.shifts.push_back({static_cast<std::int32_t>(o * dy.channel_size() + row * dy.x.length + column),
                               static_cast<std::int32_t>(o * g.patch() + ky * g.kw + kx)});
      }
  return pass;
}
std::vector<Pass> adjoint_passes(const ConvGeometry& g, const BorderedImage& dy) {
  std::vector<Pass> passes;
  for (Index v = 0; v < g.stride_h; ++v)
    for (Index u = 0; u < g.stride_w; ++u) passes.push_back(adjoint_pass(g, dy, v, u));
  return passes;
}

Index round_up(Index n, Index grain) { return (n + grain - 1) / grain * grain; }

/// Calls body(range) for [0, n) cut into the fewest ranges of at most `most`, of nearly equal length.
template <class Body>
void each_part(Index n, Index most, const Body& body) {
  const Index parts = (n + most - 1) / most;
  for (Index p = 0; p < parts; ++p) body(part_of(n, p, parts, 1));
}

/// Multiply-adds below which waking a thread costs more than its share saves.
constexpr Index kWorthWaking = 1 << 17;
int threads_for(const ConvolutionSizes& s, Index units) {
  const Index work = s.lanes * s.images * s.groups * s.out * s.g.patch() * s.g.pixels();
  return omp_in_parallel()
             ? 1
             : static_cast<int>(std::clamp<Index>(std::min(work / kWorthWaking, units), 1, omp_get_max_threads()));
}

/// One direction of a convolution: results [image][group][row][...] from sources [image][group][channel][...].
template <class T>
struct Direction {
  const ConvolutionSizes& s;
  const ConvolutionKernels<T>& kernels;
  BorderedImage source;
  std::vector<Pass> passes;
  Index rows, row_weight, row_size;  ///< channels of a result, how far their weights and their results lie apart

  Index source_room() const { return round_up(source.size() + kernels.width, kernels.width); }
  Index row_room() const {
    Index most = 0;
    for (const Pass& pass : passes) most = std::max(most, pass.numbers());
    return round_up(most, kernels.width);
  }

  /// Adds the products of one source image and weight to rows of `sums`, which begin at `start` unless it is null.
  void multiply(const Pass& pass, const T* x, const T* w, const T* start, T* sums) const {
    each_part(rows, kernels.kRows, [&](Range r) {
      each_part(round_up(pass.numbers(), kernels.width) / kernels.width, kernels.vectors, [&](Range v) {
        const Index p = v.begin * kernels.width;
        kernels.products[r.end - r.begin - 1][v.end - v.begin - 1](
            {x + pass.first + p, w + r.begin * row_weight, row_weight, pass.shifts.data(),
             static_cast<Index>(pass.shifts.size()), start == nullptr ? nullptr : start + r.begin,
             sums + r.begin * row_room() + p, row_room()});
      });
    });
  }
};

template <class T>
struct Work {
  T *source, *sums;
  const T* zeros;
};

template <class T>
void run_image(const Direction<T>& d, std::span<const ConvolutionTerm<T>> terms, InLanes<const T> bias,
               const ConvolutionResult<T>& to, Index lane, Index image, const Work<T>& work) {
  const ConvolutionSizes& s = d.s;
  const Index source_size = d.source.channels * d.source.y.in * d.source.x.in, weight_size = s.out * s.g.patch();
  for (Index group = 0; group < s.groups; ++group) {
    const Index block = image * s.groups + group;
    T* result = to.to.lane(lane) + block * d.rows * d.row_size;
    const T* start = bias.data == nullptr ? work.zeros : bias.lane(lane) + group * d.rows;
    for (const Pass& pass : d.passes) {
      for (const ConvolutionTerm<T>& term : terms) {
        if (terms.size() > 1 || &pass == d.passes.data())
          lay_out(d.source, term.a.lane(lane) + block * source_size, work.source);
        d.multiply(pass, work.source, term.b.lane(lane) + group * weight_size, &term == terms.data() ? start : nullptr,
                   work.sums);
      }
      for (Index r = 0; r < d.rows; ++r)
        copy_grid(pass.grid, work.sums + r * d.row_room(), result + r * d.row_size + pass.place, to.accumulate);
    }
  }
}

template <class T>
void run(Context& context, const Direction<T>& d, std::span<const ConvolutionTerm<T>> terms, InLanes<const T> bias,
         const ConvolutionResult<T>& to) {
  const Index units = d.s.lanes * d.s.images;
  const int threads = threads_for(d.s, units);
  const Index source_room = d.source_room(), sums_room = d.rows * d.row_room();
  Scratch scratch(context);
  T* memory = scratch.take<T>(threads * (source_room + sums_room));
  T* zeros = scratch.take<T>(d.rows);
  std::fill_n(zeros, d.rows, T(0));
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (int p = 0; p < threads; ++p) {
    T* own = memory + p * (source_room + sums_room);
    std::fill_n(own, source_room, T(0));
    const Range part = part_of(units, p, threads, 1);
    for (Index u = part.begin; u < part.end; ++u)
      run_image(d, terms, bias, to, u / d.s.images, u % d.s.images, {own, own + source_room, zeros});
  }
}

template <class T>
Direction<T> forward_direction(const ConvolutionSizes& s, const ConvolutionKernels<T>& kernels) {
  const BorderedImage x = inputs_of(s.g);
  return {s, kernels, x, forward_passes(s.g, x), s.out, s.g.patch(), s.g.pixels()};
}
template <class T>
Direction<T> adjoint_direction(const ConvolutionSizes& s, const ConvolutionKernels<T>& kernels) {
  const BorderedImage dy = outputs_of(s.g, s.out);
  return {s, kernels, dy, adjoint_passes(s.g, dy), s.g.channels, s.g.kh * s.g.kw, s.g.h * s.g.w};
}

/// The products of outputs with shifted inputs, summed over images.
template <class T>
struct WeightSums {
  const ConvolutionSizes& s;
  const ConvolutionKernels<T>& kernels;
  Direction<T> forward = forward_direction(s, kernels);
  Index x_room = forward.source_room(), y_row = forward.row_room(), y_room = s.out * y_row;
  Index weights = s.out * s.g.patch();

  /// Of `count` images from `first` on of one group; x and dy point at the group in the first of all images.
  void add(const T* dy, const T* x, Index first, Index count, T* laid_x, T* laid_y, T* w) const {
    const Index x_image = s.g.image(), y_image = s.groups * s.out * s.g.pixels();
    for (Index n = 0; n < count; ++n) {
      lay_out(forward.source, x + (first + n) * x_image, laid_x + n * x_room);
      for (Index o = 0; o < s.out; ++o)
        copy_grid({s.g.oh, s.g.ow, s.g.ow, 1, forward.source.x.length, 1},
                  dy + (first + n) * y_image + o * s.g.pixels(), laid_y + n * y_room + o * y_row, false);
    }
    const std::vector<Shift>& shifts = forward.passes[0].shifts;
    each_part(s.out, kernels.kRows, [&](Range r) {
      each_part(static_cast<Index>(shifts.size()), kernels.vectors, [&](Range k) {
        kernels.dots[r.end - r.begin - 1][k.end - k.begin - 1]({laid_x, x_room, laid_y + r.begin * y_row, y_row, y_room,
                                                                y_row, count, shifts.data() + k.begin,
                                                                w + r.begin * s.g.patch() + k.begin, s.g.patch()});
      });
    });
  }
};

}  // namespace

template <class T>
bool CpuConvolutions<T>::takes(const ConvolutionSizes& s) const {
  const Index bytes = static_cast<Index>(sizeof(T)), weights = s.out * s.g.patch() * bytes;
  const Index images = std::max(inputs_of(s.g).size(), outputs_of(s.g, s.out).size()) * bytes;
  return 8 * weights <= scratch_bytes_ && 4 * images <= scratch_bytes_;
}

template <class T>
void CpuConvolutions<T>::convolve(const ConvolutionSizes& s, Terms terms, InLanes<const T> bias,
                                  ConvolutionResult<T> y) {
  run(context_, forward_direction(s, kernels_), terms, bias, y);
}

template <class T>
void CpuConvolutions<T>::spread(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> x) {
  run(context_, adjoint_direction(s, kernels_), terms, {}, x);
}

template <class T>
void CpuConvolutions<T>::correlate(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> w) {
  constexpr Index kUnits = 8;  // also of one thread, so that their number changes no sum
  const WeightSums<T> sums{s, kernels_};
  const Index parts = std::clamp<Index>(kUnits / s.lanes, 1, s.images), units = parts * s.lanes;
  const Index all_weights = s.groups * sums.weights, room = sums.x_room + sums.y_room;
  const Index at_once =
      std::clamp<Index>(scratch_bytes_ / 4 / (room * static_cast<Index>(sizeof(T))), 1, (s.images + parts - 1) / parts);
  const int threads = threads_for(s, units);
  Scratch scratch(context_);
  T* partial = scratch.take<T>(units * all_weights);
  T* memory = scratch.take<T>(threads * at_once * room);
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (int p = 0; p < threads; ++p) {
    T* laid_x = memory + p * at_once * room;
    T* laid_y = laid_x + at_once * sums.x_room;
    std::fill_n(laid_x, at_once * room, T(0));
    const Range own = part_of(units, p, threads, 1);
    for (Index u = own.begin; u < own.end; ++u) {
      const Index lane = u / parts;
      const Range images = part_of(s.images, u % parts, parts, 1);
      std::fill_n(partial + u * all_weights, all_weights, T(0));
      for (const ConvolutionTerm<T>& term : terms)
        for (Index group = 0; group < s.groups; ++group)
          for (Index n = images.begin; n < images.end; n += at_once)
            sums.add(term.a.lane(lane) + group * s.out * s.g.pixels(),
                     term.b.lane(lane) + group * s.g.channels * s.g.h * s.g.w, n, std::min(at_once, images.end - n),
                     laid_x, laid_y, partial + u * all_weights + group * sums.weights);
    }
  }
  for (Index lane = 0; lane < s.lanes; ++lane)
    for (Index part = 0; part < parts; ++part) {
      const T* from = partial + (lane * parts + part) * all_weights;
      T* to = w.to.lane(lane);
      if (part == 0 && !w.accumulate)
        std::copy_n(from, all_weights, to);
      else
        for (Index i = 0; i < all_weights; ++i) to[i] += from[i];
    }
}

template class CpuConvolutions<float>;
template class CpuConvolutions<double>;

}  // namespace hso::detail
