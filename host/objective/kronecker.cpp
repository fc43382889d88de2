// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/kronecker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "linalg/fitting.hpp"
#include "objective/kronecker_state.hpp"

namespace hso {

using namespace detail;

namespace {

template <class T>
Buffer<T> zeros(Context& context, Index n) {
  Buffer<T> out(context, n);
  context.ops<T>().fill(n, T(0), out.data());
  return out;
}

/// y_k = left x_k right (or its transposes), x [lanes][m][n], left [m][m], right [n][n].
template <class T>
struct Sandwich {
  Ops<T>& ops;
  Index lanes, m, n;
  T* between;

  void operator()(const T* left, bool transpose_left, const T* x, const T* right, bool transpose_right, T* y) const {
    ops.gemm({lanes * m, n, n, x, n, false, right, n, transpose_right, between, n});
    GemmArgs<T> a{m, n, m, left, m, transpose_left, between, n, false, y, n};
    a.batch = lanes;
    a.stride_b = a.stride_c = m * n;
    ops.gemm(a);
  }
};

/// body(x, y, sandwich): x [K][rows][columns] of the block's slice of v, y where the result goes.
template <class T, class Body>
void on_block(Context& context, const LayerBlock& b, const View<const T>& v, const View<T>& kv, const Body& body) {
  auto& ops = context.ops<T>();
  const Index k = v.lanes, size = k * b.size();
  Scratch scratch(context);
  T* x = scratch.take<T>(size);
  T* y = scratch.take<T>(size);
  const Sandwich<T> sandwich{ops, k, b.rows(), b.columns(), scratch.take<T>(size)};
  cut_out(ops, b, v, x);
  body(x, y, sandwich);
  put_back(ops, b, y, kv);
}

/// A factor's eigenvalues; the factor's copy in q becomes the eigenvectors.
template <class T>
std::vector<double> eigenvectors_of(Context& context, const Buffer<T>& factor, Index n, Buffer<T>& q,
                                    const std::string& what) {
  if (q.size() != n * n) q = Buffer<T>(context, n * n);
  context.ops<T>().copy(n * n, factor.data(), q.data());
  const EighResult r = eigh(context, q.view().reshaped({n, n}));
  if (!r.ok()) throw NumericalError(fmt::format("kfac: eigendecomposition of {}: {}", what, name_of(r.status)));
  return r.values;
}

/// f of the sum lambda + shift, where lambda below 0 is rounding.
template <class T>
class KroneckerFunction final : public LinearOperator<T> {
 public:
  KroneckerFunction(KroneckerState<T>& state, const std::function<double(double)>& f) : state_(state) {
    for (const auto& block : state.blocks) {
      std::vector<T> table = block.table.download();
      for (T& value : table) value = static_cast<T>(f(std::max(static_cast<double>(value), 0.0) + state.decay));
      tables_.emplace_back(state.context, Span<const T>(table));
    }
  }
  Context& context() const override { return state_.context; }
  Index dimension() const override { return state_.graph.parameter_count(); }
  void apply(View<const T> v, View<T> hv) override {
    require_fitting(*this, v, hv, "KroneckerOperator");
    std::vector<const T*> tables;
    for (const Buffer<T>& table : tables_) tables.push_back(table.data());
    state_.multiply_spectrum(v, hv, tables);
  }

 private:
  KroneckerState<T>& state_;
  std::vector<Buffer<T>> tables_;
};

}  // namespace

template <class T>
KroneckerState<T>::KroneckerState(Context& c, const Graph<T>& g, bool correct, double weight_decay)
    : context(c), graph(g), corrected(correct), decay(weight_decay) {
  for (const LayerBlock& place : layer_blocks(g))
    blocks.push_back(
        {place, zeros<T>(c, place.columns() * place.columns()), zeros<T>(c, place.rows() * place.rows()), {}, {}, {}});
}

template <class T>
auto KroneckerState<T>::block(Index i) const -> const Block& {
  const auto count = static_cast<Index>(blocks.size());
  if (i < 0 || i >= count) throw UsageError(fmt::format("KroneckerOperator: block {} of {}", i, count));
  return blocks[static_cast<std::size_t>(i)];
}

template <class T>
void KroneckerState<T>::visit_state(StateVisitor& state) {
  state("decomposed", decomposed);
  state.parts("block", blocks.size(), [&](std::size_t i) {
    Block& block = blocks[i];
    state.seldom(factors_version, [&] {
      state("a", block.a);
      state("b", block.b);
    });
    state.seldom(basis_version, [&] {
      state("qa", block.qa, context);
      state("qb", block.qb, context);
      state("table", block.table, context);
    });
  });
}

template <class T>
void KroneckerState<T>::decompose() {
  for (Block& block : blocks) {
    const Index rows = block.place.rows(), columns = block.place.columns();
    const std::string layer = fmt::format("'{}'", graph[block.place.weight_node].name);
    const auto a = eigenvectors_of(context, block.a, columns, block.qa, "the input factor of " + layer);
    const auto b = eigenvectors_of(context, block.b, rows, block.qb, "the output factor of " + layer);
    set_eigenvalues(block, a, b);
  }
  decomposed = true;
}

/// The outer product is the device's: of a wide layer it has millions of entries.
template <class T>
double KroneckerState<T>::set_eigenvalues(Block& block, Span<const double> a, Span<const double> b) {
  const auto nonnegative = [&](Span<const double> values) {
    std::vector<T> out;
    for (double v : values) out.push_back(static_cast<T>(std::max(v, 0.0)));
    return out;
  };
  const std::vector<T> in = nonnegative(a), out = nonnegative(b);
  const auto n = static_cast<Index>(in.size()), m = static_cast<Index>(out.size());
  Scratch scratch(context);
  T *columns = scratch.take<T>(n), *rows = scratch.take<T>(m);
  context.to_device(in.data(), columns, n * static_cast<Index>(sizeof(T)));
  context.to_device(out.data(), rows, m * static_cast<Index>(sizeof(T)));
  if (block.table.size() == 0) block.table = Buffer<T>(context, block.place.size());
  context.ops<T>().gemm({m, n, 1, rows, 1, false, columns, n, false, block.table.data(), n});
  return static_cast<double>(*std::max_element(in.begin(), in.end())) *
         static_cast<double>(*std::max_element(out.begin(), out.end()));
}

template <class T>
void KroneckerState<T>::multiply(const View<const T>& v, const View<T>& kv,
                                 const std::function<Pair(std::size_t)>& matrices) {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    on_block(context, blocks[i].place, v, kv, [&](const T* x, T* y, const Sandwich<T>& sandwich) {
      const auto [left, right] = matrices(i);
      sandwich(left, false, x, right, false, y);
    });
}

template <class T>
void KroneckerState<T>::multiply_factors(const View<const T>& v, const View<T>& kv) {
  multiply(v, kv, [&](std::size_t i) { return Pair(blocks[i].b.data(), blocks[i].a.data()); });
}

template <class T>
void KroneckerState<T>::multiply_spectrum(const View<const T>& v, const View<T>& kv,
                                          const std::vector<const T*>& tables) {
  auto& ops = context.ops<T>();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    const Index size = block.place.size();
    on_block(context, block.place, v, kv, [&](T* x, T* y, const Sandwich<T>& sandwich) {
      sandwich(block.qb.data(), false, x, block.qa.data(), true, y);
      ops.for_each(v.lanes, size, Scale<T>{tables[i], y, size, x, size, false});
      sandwich(block.qb.data(), true, x, block.qa.data(), false, y);
    });
  }
}

template <class T>
KroneckerOperator<T>::KroneckerOperator(std::unique_ptr<KroneckerState<T>> state) : state_(std::move(state)) {}
template <class T>
KroneckerOperator<T>::~KroneckerOperator() = default;

template <class T>
Context& KroneckerOperator<T>::context() const {
  return state_->context;
}
template <class T>
Index KroneckerOperator<T>::dimension() const {
  return state_->graph.parameter_count();
}

template <class T>
void KroneckerOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "KroneckerOperator");
  if (!state_->corrected) {
    state_->multiply_factors(v, hv);
  } else {
    std::vector<const T*> tables;
    for (const auto& block : state_->blocks) tables.push_back(block.table.data());
    state_->multiply_spectrum(v, hv, tables);
  }
  if (state_->decay != 0)
    context().template ops<T>().for_each(
        v.lanes, dimension(),
        Axpby<T>{static_cast<T>(state_->decay), v.data, v.lane_stride, T(1), hv.data, hv.lane_stride});
}

template <class T>
std::vector<KroneckerBlock> KroneckerOperator<T>::blocks() const {
  std::vector<KroneckerBlock> out;
  for (const auto& block : state_->blocks)
    out.push_back(
        {state_->graph[block.place.weight_node].name, block.place.group, block.place.rows(), block.place.columns()});
  return out;
}
template <class T>
std::vector<T> KroneckerOperator<T>::input_factor(Index block) const {
  return state_->block(block).a.download();
}
template <class T>
std::vector<T> KroneckerOperator<T>::output_factor(Index block) const {
  return state_->block(block).b.download();
}

template <class T>
std::vector<double> KroneckerOperator<T>::eigenvalues() {
  if (!state_->decomposed) state_->decompose();
  std::vector<double> out;
  for (const auto& block : state_->blocks)
    for (T value : block.table.download()) out.push_back(static_cast<double>(value) + state_->decay);
  return out;
}

template <class T>
std::unique_ptr<LinearOperator<T>> KroneckerOperator<T>::function(const std::function<double(double)>& f) {
  if (!state_->decomposed) state_->decompose();
  return std::make_unique<KroneckerFunction<T>>(*state_, f);
}

template <class T>
std::unique_ptr<LinearOperator<T>> KroneckerOperator<T>::inverse(double delta) {
  if (!(delta + state_->decay > 0))
    throw UsageError(fmt::format("KroneckerOperator::inverse: delta {} with weight decay {}, expected a positive sum",
                                 delta, state_->decay));
  return function([delta](double lambda) { return 1 / (lambda + delta); });
}

template struct detail::KroneckerState<float>;
template struct detail::KroneckerState<double>;
template class KroneckerOperator<float>;
template class KroneckerOperator<double>;

}  // namespace hso
