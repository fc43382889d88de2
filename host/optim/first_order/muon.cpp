// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

/// Jordan et al. 2024: the polynomial that is steepest at 0 while all singular values end in about [0.7, 1.2].
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;

template <class T>
class Muon final : public Descent<T> {
 public:
  explicit Muon(const MuonOptions& o) : Descent<T>("muon"), o_(o) {
    require_option(o.rate > 0, "muon", "rate", o.rate, "above 0");
    require_option(o.adam_rate > 0, "muon", "adam_rate", o.adam_rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "muon", "momentum", o.momentum, "in [0, 1)");
    require_option(o.iterations >= 1, "muon", "iterations", o.iterations, "at least 1");
    require_option(o.beta1 >= 0 && o.beta1 < 1, "muon", "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, "muon", "beta2", o.beta2, "in [0, 1)");
    require_option(o.epsilon > 0, "muon", "epsilon", o.epsilon, "above 0");
  }

 private:
  struct Part {
    ParameterSlice slice;
    bool orthogonal;
    Index square;  ///< of Adam: where the slice starts in squares_
  };

  void start(Objective<T>& objective) override {
    parts_.clear();
    steps_ = 0;
    Index squares = 0;
    const std::vector<ParameterSlice> layout = objective.layout();
    for (const ParameterSlice& s : layout) {
      parts_.push_back({s, s.is_matrix() && !(o_.hidden_only && is_end(layout, s)), squares});
      if (!parts_.back().orthogonal) squares += s.size();
    }
    mean_ = zeros<T>(objective.context(), objective.dimension());
    squares_ = zeros<T>(objective.context(), squares);
  }
  /// The first or the last matrix.
  static bool is_end(const std::vector<ParameterSlice>& layout, const ParameterSlice& s) {
    const ParameterSlice *first = nullptr, *last = nullptr;
    for (const ParameterSlice& other : layout) {
      if (!other.is_matrix()) continue;
      if (first == nullptr) first = &other;
      last = &other;
    }
    return s.offset == first->offset || s.offset == last->offset;
  }

  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("steps", steps_);
    state("mean", mean_);
    state("squares", squares_);
  }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    auto& ops = objective.context().template ops<T>();
    ++steps_;
    for (const Part& p : parts_) {
      const Index at = p.slice.offset;
      if (p.orthogonal)
        move_matrix(ops, p.slice, g + at, mean_.data() + at, step + at);
      else
        move_vector(ops, p, g + at, mean_.data() + at, step + at);
    }
  }

  void move_vector(Ops<T>& ops, const Part& p, const T* g, T* mean, T* step) {
    const double c1 = 1 - std::pow(o_.beta1, steps_), c2 = 1 - std::pow(o_.beta2, steps_);
    ops.for_each(
        1, p.slice.size(),
        AdamStep<T>{g, mean, squares_.data() + p.square, step, static_cast<T>(o_.adam_rate), static_cast<T>(o_.beta1),
                    static_cast<T>(o_.beta2), static_cast<T>(o_.epsilon), static_cast<T>(c1), static_cast<T>(c2)});
  }

  void move_matrix(Ops<T>& ops, const ParameterSlice& s, const T* g, T* momentum, T* step) {
    const Index n = s.size();
    ops.axpby(n, T(1), g, static_cast<T>(o_.momentum), momentum);
    ops.copy(n, momentum, step);
    if (o_.nesterov) ops.axpby(n, T(1), g, static_cast<T>(o_.momentum), step);
    orthogonalize(ops, s.rows(), s.columns(), step);
    const double shape = std::sqrt(std::max(1.0, static_cast<double>(s.rows()) / static_cast<double>(s.columns())));
    ops.axpby(n, T(0), step, static_cast<T>(-o_.rate * shape), step);
  }

  /// x[m][n] by the products of its shorter side; zero stays zero.
  void orthogonalize(Ops<T>& ops, Index m, Index n, T* x) {
    const Index k = std::min(m, n);
    const double norm = ops.nrm2(m * n, x);
    if (norm == 0) return;
    ops.axpby(m * n, T(0), x, static_cast<T>(1 / norm), x);
    Scratch scratch(ops.context());
    T* gram = scratch.take<T>(k * k);
    T* polynomial = scratch.take<T>(k * k);
    T* old = scratch.take<T>(m * n);
    for (int i = 0; i < o_.iterations; ++i) {
      m <= n ? rows_gram(ops, m, n, x, 1, 0, gram) : columns_gram(ops, m, n, x, 1, 0, gram);
      ops.copy(k * k, gram, polynomial);
      ops.gemm({k, k, k, gram, k, false, gram, k, false, polynomial, k, T(kC), T(kB)});
      ops.copy(m * n, x, old);
      if (m <= n)
        ops.gemm({m, n, m, polynomial, m, false, old, n, false, x, n, T(1), T(kA)});
      else
        ops.gemm({m, n, n, old, n, false, polynomial, n, false, x, n, T(1), T(kA)});
    }
  }

  MuonOptions o_;
  std::vector<Part> parts_;
  Buffer<T> mean_, squares_;  ///< momentum of matrices and Adam's first moment; Adam's second
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_muon(const MuonOptions& options) {
  return std::make_unique<detail::Muon<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_muon(const MuonOptions&);
template std::unique_ptr<Optimizer<double>> make_muon(const MuonOptions&);

}  // namespace hso
