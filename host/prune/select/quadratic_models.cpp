// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "linalg/mean_diagonal.hpp"
#include "objective/micro_batches.hpp"
#include "prune/select/quadratic_models.hpp"

namespace hso::detail {

namespace {

template <class T>
NetworkObjective<T>& network_of(Stage<T>& stage) {
  auto* network = stage.objective.network();
  if (network == nullptr)
    throw UsageError(fmt::format("{}: needs a network's objective, expected obs, hsp_saliency or another score",
                                 name_of(stage.rule.score)));
  return *network;
}

/// One block over all kept parameters, whose matrix is already restricted to them.
template <class T>
SurgeryModel<T> one_block(const Stage<T>& stage, std::shared_ptr<Buffer<T>> h) {
  const Index m = stage.m();
  SurgeryBlock block{0, 1, stage.kept, std::vector<Index>(stage.kept.size())};
  std::iota(block.rows.begin(), block.rows.end(), Index{0});
  Context& context = stage.context;
  return {{m}, [&context, m, h](Index, T* to) { context.ops<T>().copy(m * m, h->data(), to); }, {std::move(block)}};
}

template <class T>
Index with_surgery(Index m) {
  return checked_multiply(checked_multiply(m, m), static_cast<Index>(sizeof(T))) + surgery_bytes<T>(m, m);
}

// ---- diagonal blocks: runs of at most `size` kept parameters of one tensor ----

struct Run {
  Index begin, end;  ///< positions in theta
  std::vector<Index> kept;
};

/// No run ends inside of a group of an N:M pattern.
template <class T>
Index run_limit(const Stage<T>& stage, const ParameterSlice& slice, Index limit) {
  if (!stage.rule.pattern || slice.shape.rank() < 2 || limit == slice.offset + slice.size()) return limit;
  const Index column = (limit - slice.offset) % slice.columns(), m = stage.rule.pattern->of;
  return limit - (column < slice.columns() / m * m ? column % m : 0);
}

template <class T>
std::vector<Run> runs_of(const Stage<T>& stage, Index size) {
  if (stage.rule.pattern) size = std::max(size, 2 * stage.rule.pattern->of);
  std::vector<Run> out;
  auto next = stage.kept.begin();
  for (const ParameterSlice& slice : stage.layout) {
    const Index end = slice.offset + slice.size();
    while (next != stage.kept.end() && *next < end) {
      Run run{*next, *next, {}};
      const Index limit = run_limit(stage, slice, std::min(end, run.begin + size));
      for (; next != stage.kept.end() && *next < limit; ++next) run.kept.push_back(*next);
      run.end = run.kept.back() + 1;
      out.push_back(std::move(run));
    }
  }
  return out;
}

/// A matrix for each run; rows are counted from its beginning.
template <class T>
void add_runs(SurgeryModel<T>& model, const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    SurgeryBlock block{static_cast<Index>(model.orders.size()), 1, run.kept, run.kept};
    for (Index& row : block.rows) row -= run.begin;
    model.orders.push_back(run.end - run.begin);
    model.blocks.push_back(std::move(block));
  }
}

template <class T>
StageModel<T> curvature_blocks(Stage<T>& stage) {
  StageModel<T> out;
  const auto runs = std::make_shared<std::vector<Run>>(runs_of(stage, stage.rule.block));
  add_runs(out.model, *runs);
  std::shared_ptr<LinearOperator<T>> curvature = stage.objective.curvature(stage.point.data(), stage.rule.curvature);
  out.model.fill = [runs, curvature](Index matrix, T* to) {
    const Run& run = (*runs)[static_cast<std::size_t>(matrix)];
    curvature->diagonal_block(run.begin, run.end - run.begin, to);
  };
  return out;
}

// ---- the empirical Fisher matrix of single samples ----

/// [samples][n] gradients of single samples' losses over the root of their number, so that G'G is their mean product.
template <class T>
std::shared_ptr<Buffer<T>> sample_gradients(Stage<T>& stage, Index& samples) {
  MicroBatches<T>& batches = network_of(stage).micro_batches();
  NetworkObjective<T> single(stage.context, batches.network, batches.data, NetworkObjectiveOptions{1, 1});
  samples = std::min(stage.rule.samples, batches.selected);
  const Index n = stage.n();
  require_memory(stage.context, fmt::format("fisher: {} gradients (fewer --samples need less)", samples), samples,
                 [n](Index s) { return checked_multiply(checked_multiply(s, n), static_cast<Index>(sizeof(T))); });
  auto g = std::make_shared<Buffer<T>>(stage.context, samples * n);
  const std::vector<Index> order = shuffled_indices(batches.selected, stage.rule.seed);
  for (Index s = 0; s < samples; ++s) {
    const Index row = batches.row_of(order[static_cast<std::size_t>(s)]);
    single.select({&row, 1});
    single.gradient(stage.point.data(), g->data() + s * n);
  }
  auto& ops = stage.context.template ops<T>();
  ops.for_each(1, samples * n,
               Axpby<T>{T(0), g->data(), samples * n, static_cast<T>(1 / std::sqrt(static_cast<double>(samples))),
                        g->data(), samples * n});
  return g;
}

template <class T>
StageModel<T> fisher_blocks(Stage<T>& stage) {
  Index samples = 0;
  const auto g = sample_gradients(stage, samples);
  const Index n = stage.n();
  Index size = stage.rule.block;
  if (size == 0) size = n <= kFisherWhole ? n : kFisherBlock;
  auto runs = std::make_shared<std::vector<Run>>();
  if (size >= n)
    runs->push_back({0, n, stage.kept});
  else
    *runs = runs_of(stage, size);
  StageModel<T> out;
  add_runs(out.model, *runs);
  Context& context = stage.context;
  out.model.fill = [&context, runs, g, samples, n](Index matrix, T* to) {
    const Run& run = (*runs)[static_cast<std::size_t>(matrix)];
    const Index b = run.end - run.begin;
    const T* columns = g->data() + run.begin;
    context.ops<T>().gemm({.m = b,
                           .n = b,
                           .k = samples,
                           .a = columns,
                           .lda = n,
                           .trans_a = true,
                           .b = columns,
                           .ldb = n,
                           .trans_b = false,
                           .c = to,
                           .ldc = b});
  };
  return out;
}

// ---- Kronecker rows ----

template <class T>
LayerPlace place_of(const Stage<T>& stage, const KroneckerBlock& block) {
  const auto& layout = stage.layout;
  const auto weight =
      std::find_if(layout.begin(), layout.end(), [&](const ParameterSlice& s) { return s.name == block.weight; });
  if (weight == layout.end()) throw InputError(fmt::format("kfac_obs: parameter {} is not in theta", block.weight));
  LayerPlace out{weight->offset + block.group * block.outputs * weight->columns(), -1, weight->columns()};
  const std::string name = block.weight.substr(0, block.weight.rfind('.')) + ".bias";
  const auto bias = std::find_if(layout.begin(), layout.end(), [&](const ParameterSlice& s) { return s.name == name; });
  if (bias != layout.end()) out.bias = bias->offset + block.group * block.outputs;
  return out;
}

template <class T>
SurgeryBlock layer_row(const Stage<T>& stage, const LayerPlace& place, const KroneckerBlock& block, Index row) {
  SurgeryBlock out;
  const auto add = [&](Index parameter, Index at) {
    if (stage.mask.kept[static_cast<std::size_t>(parameter)] == 0) return;
    out.parameters.push_back(parameter);
    out.rows.push_back(at);
  };
  for (Index k = 0; k < place.columns; ++k) add(place.weight + row * place.columns + k, k);
  if (place.bias >= 0) add(place.bias + row, block.inputs - 1);
  return out;
}

template <class T>
StageModel<T> kronecker_rows(Stage<T>& stage) {
  StageModel<T> out;
  const auto layers = std::make_shared<std::vector<KroneckerLayer<T>>>(kronecker_layers(stage));
  for (std::size_t l = 0; l < layers->size(); ++l) {
    const KroneckerLayer<T>& layer = (*layers)[l];
    out.model.orders.push_back(layer.block.inputs);
    for (Index row = 0; row < layer.block.outputs; ++row) {
      SurgeryBlock block = layer_row(stage, layer.place, layer.block, row);
      block.matrix = static_cast<Index>(l);
      block.scale = static_cast<double>(layer.output_diagonal[static_cast<std::size_t>(row)]);
      out.model.blocks.push_back(std::move(block));
    }
  }
  Context& context = stage.context;
  out.model.fill = [&context, layers](Index matrix, T* to) {
    const std::vector<T>& a = (*layers)[static_cast<std::size_t>(matrix)].input_factor;
    context.to_device(a.data(), to, static_cast<Index>(a.size() * sizeof(T)));
  };
  return out;
}

}  // namespace

template <class T>
std::vector<KroneckerLayer<T>> kronecker_layers(Stage<T>& stage) {
  const Curvature source =
      stage.rule.curvature == Curvature::fisher_empirical ? Curvature::fisher_empirical : Curvature::ggn;
  const auto factors = network_of(stage).kronecker(stage.point.data(), {source, false});
  std::vector<KroneckerLayer<T>> out;
  for (const KroneckerBlock& block : factors->blocks()) {
    const auto b = static_cast<Index>(out.size());
    KroneckerLayer<T> layer{block, place_of(stage, block), factors->input_factor(b), {}};
    const std::vector<T> outputs = factors->output_factor(b);
    for (Index row = 0; row < block.outputs; ++row)
      layer.output_diagonal.push_back(outputs[static_cast<std::size_t>(row * block.outputs + row)]);
    out.push_back(std::move(layer));
  }
  return out;
}

template <class T>
StageModel<T> quadratic_model(Stage<T>& stage) {
  StageModel<T> out;
  if (stage.rule.score == PruneScore::kfac_obs) {
    out = kronecker_rows(stage);
  } else if (stage.rule.score == PruneScore::fisher) {
    out = fisher_blocks(stage);
  } else if (stage.rule.block > 0) {
    out = curvature_blocks(stage);
  } else {
    out.model = one_block(stage, std::make_shared<Buffer<T>>(kept_curvature<T>(stage, with_surgery<T>)));
  }
  out.damping = stage.rule.damping;
  return out;
}

template <class T>
StageModel<T> spectral_model(Stage<T>& stage) {
  const Index m = stage.m();
  Buffer<T> h = kept_curvature<T>(stage, [&](Index n) {
    const Index matrix = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
    return std::max({matrix + eigh_bytes<T>(stage.context, n), 3 * matrix, with_surgery<T>(n)});
  });
  const double floor = stage.rule.damping * mean_diagonal(stage.context, m, h.data(), m);
  const EighResult e = eigh<T>(stage.context, {h.data(), Shape{m, m}});
  if (!e.ok()) throw NumericalError(fmt::format("hsp_saliency: the eigendecomposition failed ({})", name_of(e.status)));
  const FlatChoice flat = choose_flat(e.values, stage.rule.flat, 0, std::numeric_limits<T>::epsilon());
  stage.flat = flat.report;
  double level = 0;
  for (Index k = 0; k < flat.report.used; ++k)
    level += std::abs(e.values[static_cast<std::size_t>(flat.order[static_cast<std::size_t>(k)])]);
  level /= static_cast<double>(std::max<Index>(1, flat.report.used));
  std::vector<double> phi(e.values.size());
  for (std::size_t k = 0; k < flat.order.size(); ++k) {
    const auto at = static_cast<std::size_t>(flat.order[k]);
    const double size = static_cast<Index>(k) < flat.report.used ? level : std::abs(e.values[at]);
    phi[at] = std::max(size, floor);
  }
  auto model = std::make_shared<Buffer<T>>(stage.context, m * m);
  from_spectrum<T>(stage.context, m, h.data(), phi, model->data());
  return {one_block(stage, std::move(model)), 0};
}

template std::vector<KroneckerLayer<float>> kronecker_layers(Stage<float>&);
template std::vector<KroneckerLayer<double>> kronecker_layers(Stage<double>&);
template StageModel<float> quadratic_model(Stage<float>&);
template StageModel<double> quadratic_model(Stage<double>&);
template StageModel<float> spectral_model(Stage<float>&);
template StageModel<double> spectral_model(Stage<double>&);

}  // namespace hso::detail
