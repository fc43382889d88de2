// SPDX-License-Identifier: Apache-2.0
#include "linalg/basis.hpp"

#include <algorithm>
#include <limits>

namespace hso::detail {

namespace {
constexpr Index kRecombined = Index{1} << 19;  // numbers of the new basis at a time
}

template <class T>
void Basis<T>::remove(Index begin, Index end, Index count, T* w, T* c) {
  const Index m = end - begin;
  if (m == 0 || count == 0) return;
  ops_.gemm({m, count, n_, row(begin), n_, false, w, n_, true, c, count});
  ops_.gemm({count, n_, m, c, count, true, row(begin), n_, false, w, n_, T(-1), T(1)});
}

template <class T>
void Basis<T>::project_out(Index against, Index count, T* w) {
  Scratch scratch(context_);
  T* c = scratch.take<T>(against * count);
  for (int pass = 0; pass < 2; ++pass) remove(0, against, count, w, c);
}

template <class T>
void Basis<T>::project_beside(Index against, Index first, Index count, PanelLog<T>& log) {
  for (Index done = 0, width = 0; done < count; done += width) {
    width = panel_width(count - done);
    T* w = row(first + done);
    const auto to = log.open(against, width, false);
    remove(0, against, width, w, to.first);
    remove(0, against, width, w, to.second);
    ops_.dots_on_device(width, n_, w, n_, w, n_, to.r);
  }
}

template <class T>
void Basis<T>::append(Index first, Index count, Index lanes, double* scale, PanelLog<T>& log) {
  for (Index done = 0, width = 0; done < count; done += width) {
    width = panel_width(count - done);
    append_panel(first + done, width, done == 0 ? lanes : 0, scale, log);
  }
}

/// A single row needs no Gram matrix between the passes: its length changes nothing.
template <class T>
void Basis<T>::append_panel(Index at, Index width, Index lanes, double* scale, PanelLog<T>& log) {
  const auto to = log.open(at, width);
  const bool single = width == 1;
  T* w = row(at);
  Scratch scratch(context_);
  double* gram = scratch.take<double>(width * width + 1);
  double* removed = gram + width * width;
  T* solve = scratch.take<T>(width * width);
  FactorPanel<T> factor{width, gram, nullptr, nullptr, to.before, solve, scale, nullptr, lanes, 0, nullptr};
  remove(0, at, width, w, to.first);
  if (!single) {
    ops_.gram_on_device(width, n_, w, n_, gram);
    ops_.for_each(1, 1, factor);
    solve_rows(width, solve, w);
    factor.before = to.before;
  }
  remove(0, at, width, w, to.second);
  if (single && at > 0) {
    ops_.dots_on_device(1, at, to.second, at, to.second, at, removed);
    factor.removed = removed;
  }
  ops_.gram_on_device(width, n_, w, n_, gram);
  factor.r = to.r;
  factor.product = lanes > 0 ? to.product : nullptr;
  factor.negligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon());
  factor.status = to.status;
  ops_.for_each(1, 1, factor);
  solve_rows(width, solve, w);
}

template <class T>
void Basis<T>::solve_rows(Index width, const T* r, T* w) {
  const auto solve = [&]<int Width>() { ops_.for_each(1, n_, SolveRows<T, Width>{r, w, n_}); };
  switch (width) {
    case 1:
      return ops_.for_each(1, n_, ScaleRows<T>{r, w, w, n_});
    case 2:
      return solve.template operator()<2>();
    case 3:
      return solve.template operator()<3>();
    case 4:
      return solve.template operator()<4>();
    default:
      return solve.template operator()<static_cast<int>(kWidestPanel)>();
  }
}

template <class T>
bool Basis<T>::repair(Span<PanelNumbers> panels, double* scale, std::uint64_t seed, PanelLog<T>& log) {
  const auto bad = std::ranges::find_if_not(panels, &PanelNumbers::fine);
  if (bad == panels.end()) return false;
  const Span<PanelNumbers> behind{bad, panels.end()};
  const Index begin = bad->against, end = behind.back().against + behind.back().width;
  if (end - begin == 1) {
    mend(*bad, seed);
    return true;
  }
  restore(begin, end, behind);
  for (PanelNumbers& panel : behind)
    for (Index j = 0; j < panel.width; ++j) {
      const Index row = panel.against + j;
      append(row, 1, 0, scale, log);
      PanelNumbers again = log.read().front();
      mend(again, seed);
      for (Index i = 0; i <= row; ++i) {
        double& a = panel.a[static_cast<std::size_t>(i * panel.width + j)];
        a = (i < begin ? a : 0) + again.a[static_cast<std::size_t>(i)];
      }
    }
  return true;
}

/// From the last row to the first: each needs only those before it.
template <class T>
void Basis<T>::restore(Index begin, Index end, Span<const PanelNumbers> panels) {
  Scratch scratch(context_);
  T* device = scratch.take<T>(end - begin);
  auto panel = panels.rbegin();
  for (Index k = end - 1; k >= begin; --k) {
    if (k < panel->against) ++panel;
    const Index count = k - begin;
    std::vector<T> c;
    for (Index i = begin; i <= k; ++i)
      c.push_back(static_cast<T>(panel->a[static_cast<std::size_t>(i * panel->width + k - panel->against)]));
    if (count == 0) {
      ops_.axpby(n_, T(0), row(k), c.back(), row(k));
      continue;
    }
    context_.to_device(c.data(), device, count * static_cast<Index>(sizeof(T)));
    ops_.gemm({1, n_, count, device, count, false, row(begin), n_, false, row(k), n_, T(1), c.back()});
  }
}

template <class T>
void Basis<T>::mend(PanelNumbers& one, std::uint64_t seed) {
  if (one.fine()) return;
  const Index i = one.against;
  if (one.status.front() == kRowNegligible) {
    one.a.back() = 0;
    ops_.for_each(1, n_, RandomFill<T>{row(i), seed, ++random_vectors_, Distribution::normal, 0, 1});
  }
  project_out(i, 1, row(i));
  ops_.axpby(n_, T(0), row(i), static_cast<T>(1 / ops_.nrm2(n_, row(i))), row(i));
}

template <class T>
void Basis<T>::orthonormalize(Index first, Index count, double scale, std::uint64_t seed, std::vector<double>& r) {
  PanelLog<T> log(context_, panel_count(count), std::min(count, kWidestPanel), first + count);
  Scratch scratch(context_);
  double* device_scale = scratch.take<double>(1);
  context_.ops<double>().fill(1, scale, device_scale);
  append(first, count, 0, device_scale, log);
  std::vector<PanelNumbers> panels = log.read();
  repair(panels, device_scale, seed, log);
  r.assign(static_cast<std::size_t>(count * count), 0);
  for (const PanelNumbers& panel : panels) {
    const Index done = panel.against - first;
    for (Index l = 0; l < done + panel.width; ++l)
      for (Index j = 0; j < panel.width; ++j)
        r[static_cast<std::size_t>(l * count + done + j)] =
            panel.a[static_cast<std::size_t>((first + l) * panel.width + j)];
  }
}

template <class T>
Index Basis<T>::orthonormalize_bytes(Index first, Index count) {
  return PanelLog<T>::bytes(panel_count(count), std::min(count, kWidestPanel), first + count);
}

template <class T>
void Basis<T>::combine(const std::vector<double>& c, Index m, T* out) {
  Scratch scratch(context_);
  const std::vector<T> narrowed(c.begin(), c.end());
  T* device = scratch.take<T>(std::max<Index>(m * size_, 1));
  context_.to_device(narrowed.data(), device, static_cast<Index>(narrowed.size() * sizeof(T)));
  ops_.gemm({m, n_, size_, device, size_, false, vectors_.data(), n_, false, out, n_});
}

template <class T>
void Basis<T>::recombine(const std::vector<double>& c, Index m, Index tail) {
  // Some columns at a time, in place: each needs only itself.
  Scratch scratch(context_);
  const std::vector<T> narrowed(c.begin(), c.end());
  T* device = scratch.take<T>(std::max<Index>(m * size_, 1));
  context_.to_device(narrowed.data(), device, static_cast<Index>(narrowed.size() * sizeof(T)));
  const Index width = std::clamp<Index>(kRecombined / std::max<Index>(m, 1), 1, n_);
  T* part = scratch.take<T>(std::max<Index>(m, 1) * width);
  for (Index first = 0; first < n_; first += width) {
    const Index columns = std::min(width, n_ - first);
    ops_.gemm({m, columns, size_, device, size_, false, row(0) + first, n_, false, part, columns});
    ops_.for_each(m, columns, Axpby<T>{T(1), part, columns, T(0), row(0) + first, n_});
  }
  for (Index i = 0; i < tail; ++i) ops_.copy(n_, row(size_ + i), row(m + i));
  size_ = m;
}

template <class T>
Index Basis<T>::recombine_bytes(Index n, Index capacity) {
  return std::min(std::max(kRecombined, capacity), checked_multiply(capacity, n)) * static_cast<Index>(sizeof(T));
}

template class Basis<float>;
template class Basis<double>;

}  // namespace hso::detail
