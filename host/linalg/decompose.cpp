// SPDX-License-Identifier: Apache-2.0
//
// The ladder of attempts behind eigh: the fast solver, the same in float64, then the other algorithm.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/queued_factorisations.hpp"
#include "linalg/host_eigen.hpp"
#include "linalg/prepare.hpp"
#include "linalg/tridiagonal.hpp"

namespace hso::detail {

namespace {

struct Window {
  Index first, last;
  Index count() const { return last - first + 1; }
};

enum class Solver { whole, range, reduction };

struct Attempt {
  std::string failure;  ///< empty when it is good
  std::vector<double> values{};
  double residual = -1;
};

/// Rows `first`.. become the top rows; by way of scratch, because the two may overlap.
template <class T>
void keep_rows(Context& context, Index n, T* a, const Window& w) {
  if (w.first == 0) return;
  Scratch scratch(context);
  T* rows = scratch.take<T>(w.count() * n);
  context.ops<T>().copy(w.count() * n, a + w.first * n, rows);
  context.ops<T>().copy(w.count() * n, rows, a);
}

template <class T>
Index run_solver(Context& context, Index n, T* a, const Window& w, bool vectors, Solver solver, T* values) {
  auto& ops = context.ops<T>();
  Scratch scratch(context);
  if (solver == Solver::whole) {
    T* all = scratch.take<T>(n);
    const Index info = ops.syevd(n, a, all, vectors);
    ops.copy(w.count(), all + w.first, values);
    if (vectors && info == 0) keep_rows(context, n, a, w);
    return info;
  }
  T* z = vectors ? scratch.take<T>(w.count() * n) : nullptr;
  const Index info = ops.syevd_range(n, a, w.first, w.last, values, z);
  if (vectors && info == 0) ops.copy(w.count() * n, z, a);
  return info;
}

/// max |V A - L V| / (n eps |A|), some rows at a time; |A| is bounded below by its largest entry and eigenvalue.
template <class T>
double residual_of(Context& context, Index n, const T* a, const T* v, Span<const double> values, double top) {
  auto& ops = context.ops<T>();
  const auto count = static_cast<Index>(values.size()), chunk = std::min<Index>(count, 256);
  Scratch scratch(context);
  T* w = scratch.take<T>(count);
  T* product = scratch.take<T>(chunk * n);
  T* scaled = scratch.take<T>(chunk * n);
  upload(context, values, w);
  double worst = 0;
  for (Index r = 0; r < count; r += chunk) {
    const Index rows = std::min(chunk, count - r);
    ops.gemm({.m = rows,
              .n = n,
              .k = n,
              .a = v + r * n,
              .lda = n,
              .trans_a = false,
              .b = a,
              .ldb = n,
              .trans_b = false,
              .c = product,
              .ldc = n});
    ops.for_each(rows, n, ScaleRows<T>{w + r, v + r * n, scaled, n});
    ops.axpby(rows * n, T(-1), scaled, T(1), product);
    const double here = ops.max_abs(rows * n, product);
    worst = std::isfinite(here) ? std::max(worst, here) : std::numeric_limits<double>::infinity();
  }
  for (double value : values) top = std::max(top, std::abs(value));
  return worst / (spectrum_tolerance<T>(n) * top);
}

bool all_finite(Span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

template <class T>
void measure(Context& context, Index n, const T* v, const T* original, double top, const EighOptions& options,
             Attempt& out) {
  if (!options.check_residual || !options.vectors || original == nullptr) return;
  out.residual = residual_of<T>(context, n, original, v, out.values, top);
  if (!(out.residual <= options.residual_limit)) out.failure = "residual too large";
}

/// All eigenvalues without vectors: their first two moments against the matrix's.
void measure_moments(Index n, double n_eps, const Moments& expected, const EighOptions& options, Attempt& out) {
  if (options.vectors || static_cast<Index>(out.values.size()) < n || expected.squares == 0) return;
  Moments found;
  for (double v : out.values) {
    found.trace += v;
    found.squares += v * v;
  }
  const double size = std::sqrt(expected.squares);
  out.residual = std::max(std::abs(found.trace - expected.trace) / (n_eps * std::sqrt(static_cast<double>(n)) * size),
                          std::abs(found.squares - expected.squares) / (2 * n_eps * expected.squares));
  if (!(out.residual <= options.residual_limit)) out.failure = "trace or Frobenius norm differ";
}

/// The whole spectrum with vectors where results come late: its outcome and the eigenvalues are read together.
template <class T>
std::vector<double> queued_values(Context& context, QueuedFactorisations<T>& queued, Index n, T* a, const Window& w,
                                  std::string& failure) {
  constexpr Index kInfoBytes = 8;
  const Index bytes = kInfoBytes + n * static_cast<Index>(sizeof(T));
  Scratch scratch(context);
  char* outcome = scratch.take<char>(bytes);
  T* values = reinterpret_cast<T*>(outcome + kInfoBytes);
  const typename QueuedFactorisations<T>::Matrix matrix{n, a, values};
  queued.syevd_queued({&matrix, 1}, reinterpret_cast<int*>(outcome));
  keep_rows(context, n, a, w);
  std::vector<char> host(static_cast<std::size_t>(bytes));
  context.to_host(outcome, host.data(), bytes);
  int info = 0;
  std::memcpy(&info, host.data(), sizeof info);
  std::vector<T> found(static_cast<std::size_t>(w.count()));
  std::memcpy(found.data(), host.data() + kInfoBytes + w.first * static_cast<Index>(sizeof(T)),
              found.size() * sizeof(T));
  if (info != 0) failure = "no convergence";
  return {found.begin(), found.end()};
}

template <class T>
std::vector<double> library_values(Context& context, Index n, T* a, const Window& w, bool vectors, Solver solver,
                                   std::string& failure) {
  auto* queued = context.ops<T>().queued_factorisations();
  if (queued != nullptr && vectors && solver == Solver::whole && n <= queued->queued_limit())
    return queued_values(context, *queued, n, a, w, failure);
  Scratch scratch(context);
  T* values = scratch.take<T>(w.count());
  std::vector<T> host(static_cast<std::size_t>(w.count()));
  if (run_solver(context, n, a, w, vectors, solver, values) != 0)
    failure = "no convergence";
  else
    context.to_host(values, host.data(), static_cast<Index>(host.size() * sizeof(T)));
  return {host.begin(), host.end()};
}

template <class T>
std::vector<double> reduced_values(Context& context, Index n, T* a, const Window& w, std::string& failure) {
  try {
    const Tridiagonal t = tridiagonalize(context, n, a);
    const std::vector<double> all = host_eigenvalues(t.diagonal, t.off_diagonal);
    return {all.begin() + w.first, all.begin() + w.last + 1};
  } catch (const NumericalError& e) {
    failure = e.what();
    return {};
  }
}

template <class T>
Attempt attempt(Context& context, Index n, T* a, const T* original, double top, const Window& w,
                const EighOptions& options, Solver solver) {
  Attempt out;
  out.values = solver == Solver::reduction ? reduced_values(context, n, a, w, out.failure)
                                           : library_values(context, n, a, w, options.vectors, solver, out.failure);
  if (!out.failure.empty()) return {.failure = out.failure};
  if (!all_finite(out.values)) return {.failure = "eigenvalues not finite"};
  measure(context, n, a, original, top, options, out);
  return out;
}

/// The attempt in float64 for a float32 matrix; the residual stays in units of float32.
template <class T>
Attempt attempt_wide(Context& context, Index n, T* a, const T* original, double top, const Window& w,
                     const EighOptions& options, Solver solver) {
  try {
    Scratch scratch(context);
    double* wide = scratch.take<double>(checked_multiply(n, n));
    convert(context, n * n, original, wide);
    Attempt out = attempt<double>(context, n, wide, nullptr, top, w, options, solver);
    if (out.failure.empty() && options.vectors) {
      convert(context, w.count() * n, wide, a);
      measure(context, n, a, original, top, options, out);
    }
    return out;
  } catch (const MemoryError&) {
    return {.failure = "float64 does not fit into memory"};
  }
}

struct Rung {
  bool wide;
  Solver solver;
};

std::string describe(const Rung& rung, const std::string& failure) {
  const char* solver = rung.solver == Solver::whole   ? "whole-spectrum solver"
                       : rung.solver == Solver::range ? "index-range solver"
                                                      : "own reduction to tridiagonal form";
  return std::string(rung.wide ? "float64, " : "") + solver + " after: " + failure;
}

template <class T>
std::vector<Rung> ladder_for(bool whole, bool vectors, bool reduce) {
  if (reduce) return {{false, Solver::reduction}};
  const Solver first = whole ? Solver::whole : Solver::range, other = whole ? Solver::range : Solver::whole;
  std::vector<Rung> out = kIsFloat<T> ? std::vector<Rung>{{false, first}, {true, first}, {true, other}}
                                      : std::vector<Rung>{{false, first}, {false, other}};
  if (!vectors) out.push_back({false, Solver::reduction});
  return out;
}

}  // namespace

template <class T>
Moments moments_of(Ops<T>& ops, Index n, const T* a) {
  Scratch scratch(ops.context());
  T* diagonal = scratch.take<T>(n);
  ops.for_each(n, 1, Axpby<T>{T(1), a, n + 1, T(0), diagonal, 1});
  std::vector<T> host(static_cast<std::size_t>(n));
  ops.context().to_host(diagonal, host.data(), n * static_cast<Index>(sizeof(T)));
  Moments out;
  for (T value : host) out.trace += static_cast<double>(value);
  out.squares = ops.dot(n * n, a, a);
  return out;
}

template <class T>
bool takes_reduction(Context& context, Index n, const EighOptions& options) {
  if (options.vectors || options.route == EigenRoute::library) return false;
  if (options.route == EigenRoute::reduction) return true;
  auto& ops = context.ops<T>();
  const Index room = context.memory().free_bytes + context.arena().unused_bytes();
  return n > ops.syevd_limit(false) || ops.syevd_workspace_bytes(n, false) > room;
}

template <class T>
EighResult decompose(Context& context, Index n, T* a, const T* original, double top, const EighOptions& options) {
  const BlockingWork work(n);
  const Window w{options.first, options.last < 0 ? n - 1 : options.last};
  const bool whole = w.count() == n;
  const Moments expected = whole && !options.vectors ? moments_of(context.ops<T>(), n, a) : Moments{};
  const auto ladder = ladder_for<T>(whole, options.vectors, takes_reduction<T>(context, n, options));
  EighResult out;
  std::string failure;
  for (const Rung& rung : ladder) {
    if (!failure.empty() && original == nullptr) break;
    if (!failure.empty()) {
      out.fallbacks.push_back(describe(rung, failure));
      context.ops<T>().copy(n * n, original, a);
    }
    Attempt done = rung.wide ? attempt_wide(context, n, a, original, top, w, options, rung.solver)
                             : attempt(context, n, a, original, top, w, options, rung.solver);
    if (done.failure.empty()) measure_moments(n, spectrum_tolerance<T>(n), expected, options, done);
    failure = done.failure;
    out.values = std::move(done.values);
    out.residual = done.residual;
    if (failure.empty()) return out;
  }
  if (original != nullptr) context.ops<T>().copy(n * n, original, a);
  out.fallbacks.push_back("none left after: " + failure);
  out.status = LinalgStatus::failed;
  return out;
}

template bool takes_reduction<float>(Context&, Index, const EighOptions&);
template bool takes_reduction<double>(Context&, Index, const EighOptions&);
template EighResult decompose(Context&, Index, float*, const float*, double, const EighOptions&);
template EighResult decompose(Context&, Index, double*, const double*, double, const EighOptions&);

}  // namespace hso::detail
