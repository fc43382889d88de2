// SPDX-License-Identifier: Apache-2.0
#include "objective/network_curvature.hpp"

#include <algorithm>

#include "graph/leaf_rows.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "linalg/fitting.hpp"

namespace hso::detail {
namespace {

/// Exact products over the selection. With one micro-batch the linearisation is made once; with more, for every call.
template <class T>
class NetworkCurvature final : public LinearOperator<T> {
 public:
  /// `linearized`: the main tape stands at theta with everything that products need.
  NetworkCurvature(MicroBatches<T>& impl, const T* theta, Curvature kind, bool linearized)
      : impl_(impl), kind_(kind), points_(impl.points), point_(points_->take(impl.context, impl.n())) {
    impl_.ops.copy(impl_.n(), theta, point_.data());
    if (linearized && impl_.count() == 1) version_ = impl_.version;
  }
  ~NetworkCurvature() override { points_->give_back(std::move(point_)); }
  NetworkCurvature(const NetworkCurvature&) = delete;
  NetworkCurvature& operator=(const NetworkCurvature&) = delete;
  Index lanes() const override { return impl_.lanes; }
  Context& context() const override { return impl_.context; }
  Index dimension() const override { return impl_.n(); }

  void apply(View<const T> v, View<T> hv) override {
    require_fitting(*this, v, hv, "curvature of a network");
    each_draw(false, v.lanes, [&](Tape<T>& tape, bool add) { tape.product(tape_kind(), v, hv, add); });
    average(v.lanes, hv.data, hv.lane_stride);
    // Behind the product: what a tape adds to rounds as its launches do, which depend on the products before.
    if (const T decay = static_cast<T>(impl_.options.weight_decay); decay != T(0))
      impl_.ops.for_each(v.lanes, dimension(), Axpby<T>{decay, v.data, v.lane_stride, T(1), hv.data, hv.lane_stride});
  }

  void to_dense(T* h) override {
    each_draw(false, dimension(), [&](Tape<T>& tape, bool add) { tape.dense(tape_kind(), h, add); });
    finish(dimension(), h);
  }

  void diagonal_block(Index begin, Index b, T* h) override {
    require_range("curvature of a network", begin, b, dimension());
    if (!whole_parameters(begin, b)) return LinearOperator<T>::diagonal_block(begin, b, h);
    each_draw(false, b, [&](Tape<T>& tape, bool add) {
      for (std::size_t leaf = 0; leaf < tape.leaves().size(); ++leaf)
        if (const Index at = tape.graph()[tape.leaves()[leaf]].offset - begin; at >= 0 && at < b)
          leaf_rows(tape, tape_kind(), leaf, begin, b, h + at * b, b, add);
    });
    finish(b, h);
  }

 private:
  Index draws() const { return kind_ == Curvature::fisher_mc ? impl_.options.fisher_draws : 1; }
  Curvature tape_kind() const { return kind_ == Curvature::fisher_mc ? Curvature::fisher_empirical : kind_; }

  Linearization purpose() const {
    return kind_ == Curvature::hessian ? Linearization::for_hessian : Linearization::for_ggn;
  }
  /// The tape at this operator's point with the micro-batch bound; nothing to do when it stands there.
  Tape<T>& ready(Index micro_batch) {
    if (impl_.count() == 1 && version_ == impl_.version) return *impl_.main_tape.tape;
    return impl_.linearize(micro_batch, point_.data(), purpose());
  }
  /// body(tape, add) for every micro-batch and draw, which makes `products`; `add` is false at most the first time.
  template <class Body>
  void each_draw(bool add, Index products, const Body& body) {
    const double cost = static_cast<double>(products) * (kind_ == Curvature::hessian ? kHessianCost : kGgnCost);
    for (Index micro_batch = 0; micro_batch < impl_.count(); ++micro_batch) {
      Tape<T>& tape = ready(micro_batch);
      for (Index draw = 0; draw < draws(); ++draw, add = true) {
        if (kind_ == Curvature::fisher_mc) impl_.draw_targets(tape, micro_batch, static_cast<std::uint64_t>(draw));
        check_interrupted();
        impl_.charge(cost, impl_.rows_of(micro_batch));
        body(tape, add);
      }
    }
    version_ = impl_.version;  // own draws replace targets, not what the next draws start from
  }
  void average(Index lanes, T* x, Index stride) { average(lanes, dimension(), x, stride); }
  void average(Index lanes, Index n, T* x, Index stride) {
    if (draws() > 1) impl_.ops.for_each(lanes, n, Axpby<T>{T(0), x, stride, T(1) / static_cast<T>(draws()), x, stride});
  }
  /// Sums over draws become means, and the weight decay goes onto the diagonal.
  void finish(Index b, T* h) {
    average(b, b, h, b);
    if (impl_.options.weight_decay != 0)
      impl_.ops.for_each(1, b, AddDiagonal<T>{h, b, static_cast<T>(impl_.options.weight_decay)});
  }

  /// [begin, begin + b) is a union of parameters that overlap with nothing.
  bool whole_parameters(Index begin, Index b) const {
    const Graph<T>& graph = impl_.network.graph;
    if (graph.has_tied_parameters()) return false;
    Index covered = 0;
    for (const auto& node : graph.nodes())
      if (node.kind == Graph<T>::Kind::parameter && node.offset >= begin &&
          node.offset + node.shape.size() <= begin + b)
        covered += node.shape.size();
    return covered == b;
  }
  MicroBatches<T>& impl_;
  Curvature kind_;
  std::shared_ptr<SpareVectors<T>> points_;
  Buffer<T> point_;
  std::uint64_t version_ = ~std::uint64_t{0};
};

}  // namespace

template <class T>
std::unique_ptr<LinearOperator<T>> products_of(MicroBatches<T>& batches, const T* theta, Curvature kind,
                                               bool linearized) {
  return std::make_unique<NetworkCurvature<T>>(batches, theta, kind, linearized);
}

template <class T>
std::unique_ptr<LinearOperator<T>> linearize_on_device(Objective<T>& objective, const T* theta, T* g, Curvature kind,
                                                       double* value) {
  const bool from_tape = kind == Curvature::hessian || kind == Curvature::ggn || kind == Curvature::fisher_empirical;
  NetworkObjective<T>* network = objective.network();
  if (!from_tape || network != &objective || !objective.context().is_cuda()) return nullptr;
  MicroBatches<T>& batches = network->micro_batches();
  std::vector<std::uintptr_t> not_recorded;
  if (!batches.announce_gradient(not_recorded, 0, kind)) return nullptr;
  batches.gradient_on_device(theta, g, value);
  return products_of(batches, theta, kind, true);
}

template std::unique_ptr<LinearOperator<float>> products_of(MicroBatches<float>&, const float*, Curvature, bool);
template std::unique_ptr<LinearOperator<double>> products_of(MicroBatches<double>&, const double*, Curvature, bool);
template std::unique_ptr<LinearOperator<float>> linearize_on_device(Objective<float>&, const float*, float*, Curvature,
                                                                    double*);
template std::unique_ptr<LinearOperator<double>> linearize_on_device(Objective<double>&, const double*, double*,
                                                                     Curvature, double*);

}  // namespace hso::detail
