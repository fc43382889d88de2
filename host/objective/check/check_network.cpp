// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/check.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "nn/layer_type.hpp"
#include "objective/check/check_items.hpp"
#include "objective/micro_batches.hpp"

namespace hso {
namespace check {
namespace {

/// Everything that two routes to the same derivatives must agree on.
struct Derivatives {
  double f = 0;
  Vector g, hv, gv;
};

struct Sizes {
  double f = 0, g = 0, hv = 0, gv = 0;
};

/// A network with its data on one device in one precision.
template <class T>
class Setting {
 public:
  Setting(const std::string& device, const ModelSpec& model, LossKind loss, const Dataset& data,
          const NetworkCheckOptions& options)
      : context_(Context::create(device)),
        network_(build_network<T>(model, loss)),
        data_(*context_, network_, data),
        weight_decay_(options.weight_decay),
        training_(options.training) {}

  bool rows_depend() const { return training_ && detail::op_over_rows(network_.graph) != nullptr; }
  Context& context() { return *context_; }
  const Network<T>& network() const { return network_; }

  std::unique_ptr<NetworkObjective<T>> objective(Index batch = 0) const {
    auto made = std::make_unique<NetworkObjective<T>>(*context_, network_, data_,
                                                      NetworkObjectiveOptions{batch, 0, weight_decay_});
    made->set_training(training_);
    return made;
  }
  Derivatives evaluate(NetworkObjective<T>& objective, const Vector& theta, const Vector& v) const {
    Probe<T> probe(objective, theta);
    Derivatives d;
    d.g = probe.gradient(theta, &d.f);
    d.hv = probe.products(Curvature::hessian, {v}, 1)[0];
    d.gv = probe.products(Curvature::ggn, {v}, 1)[0];
    return d;
  }
  Derivatives evaluate(const Vector& theta, const Vector& v) const { return evaluate(*objective(), theta, v); }

 private:
  std::unique_ptr<Context> context_;
  Network<T> network_;
  DeviceData<T> data_;
  double weight_decay_;
  bool training_;
};

Derivatives weighted_sum(double a, const Derivatives& x, double b, const Derivatives& y) {
  return {a * x.f + b * y.f, combine(a, x.g, b, y.g), combine(a, x.hv, b, y.hv), combine(a, x.gv, b, y.gv)};
}

/// Sizes of the halves: at a minimum the parts of a gradient are large while their sum is not.
Sizes sizes_of(const Derivatives& a, const Derivatives& b) {
  return {0.5 * (std::abs(a.f) + std::abs(b.f)), 0.5 * (norm(a.g) + norm(b.g)), 0.5 * (norm(a.hv) + norm(b.hv)),
          0.5 * (norm(a.gv) + norm(b.gv))};
}

double difference(const Derivatives& a, const Derivatives& b, const Sizes& sizes) {
  double worst = 0;
  const auto include = [&](double error, double size) {
    const double relative = error / std::max(size, 1e-300);
    worst = relative <= worst ? worst : relative;
  };
  include(std::abs(a.f - b.f), sizes.f);
  include(distance(a.g, b.g), sizes.g);
  include(distance(a.hv, b.hv), sizes.hv);
  include(distance(a.gv, b.gv), sizes.gv);
  return worst;
}

std::vector<Index> range(Index first, Index last) {
  std::vector<Index> rows(static_cast<std::size_t>(last - first));
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

class NetworkChecker {
 public:
  NetworkChecker(const ModelSpec& model, LossKind loss, const Dataset& data, Vector theta,
                 const NetworkCheckOptions& options)
      : model_(model), loss_(loss), data_(data), theta_(std::move(theta)), options_(options) {
    for (const LayerSpec& layer : model.layers)
      if (layer_type_of(layer).kink(layer)) add_kink(layer.type);
    if (loss == LossKind::huber) add_kink("huber");
  }

  CheckReport run() {
    Setting<double> main(options_.device, model_, loss_, data_, options_);
    for (const ParameterInfo& p : main.network().parameters)
      options_.check.blocks.push_back({p.name, p.offset, p.shape.size()});
    const auto objective = main.objective();
    const Buffer<double> theta(main.context(), Span<const double>(theta_));
    CheckReport report = check_derivatives<double>(*objective, theta.data(), options_.check);
    if (report.find("value and gradient are finite") != nullptr) return report;
    report_ = &report;
    v_ = random_direction(static_cast<Index>(theta_.size()), options_.check.seed, 0);
    whole_ = main.evaluate(*objective, theta_, v_);
    batches(main, *objective);
    precisions(main);
    devices(main);
    judge_again(report);
    return report;
  }

 private:
  void add_kink(const std::string& name) {
    auto& kinks = options_.check.kinks;
    if (std::find(kinks.begin(), kinks.end(), name) == kinks.end()) kinks.push_back(name);
  }

  Rounding rounding(double epsilon) const {
    const auto n = static_cast<Index>(theta_.size());
    return rounding_of(epsilon, n, whole_.f, epsilon * std::max(1.0, std::abs(whole_.f)));
  }

  void batches(const Setting<double>& main, NetworkObjective<double>& objective) {
    sizes_ = sizes_of(whole_, whole_);
    const char* reason = main.rows_depend() ? "batchnorm: the rows of a batch depend on each other" : "one row of data";
    if (data_.size < 2 || main.rows_depend())
      return report_->items.push_back(skipped_item("batches: parts add up", reason));
    const Index half = data_.size / 2;
    objective.select(range(0, half));
    const Derivatives a = main.evaluate(objective, theta_, v_);
    objective.select(range(half, data_.size));
    const Derivatives b = main.evaluate(objective, theta_, v_);
    objective.select_all();
    sizes_ = sizes_of(a, b);
    const double share = static_cast<double>(half) / static_cast<double>(data_.size);
    report_->items.push_back(identity_item("batches: parts add up",
                                           difference(whole_, weighted_sum(share, a, 1 - share, b), sizes_),
                                           rounding(Probe<double>::kEpsilon), "weights of the rows, or rows that mix"));
    const Derivatives parts = main.evaluate(*main.objective((data_.size + 2) / 3), theta_, v_);
    report_->items.push_back(identity_item("batches: micro-batches = whole", difference(whole_, parts, sizes_),
                                           rounding(Probe<double>::kEpsilon),
                                           "padding rows count, or a micro-batch is lost"));
  }

  void precisions(Setting<double>& main) {
    const Setting<float> single(main.context().name(), model_, loss_, data_, options_);
    const Rounding allowed = rounding(Probe<float>::kEpsilon);
    CheckItem item = identity_item("float32 = float64", difference(whole_, single.evaluate(theta_, v_), sizes_),
                                   allowed, "numbers that float32 cannot hold, or a rule that differs by type");
    if (item.status == CheckStatus::failed && allowed.amplified >= 1e-3) {
      item.status = CheckStatus::inconclusive;
      item.note = "the loss is so small here that float32 curvature is rounding: use float64";
    } else {
      forgive_kinks(item);
    }
    report_->items.push_back(item);
  }

  void devices(Setting<double>& main) {
    const std::string name = "cpu = cuda";
    std::optional<Setting<double>> other;
    try {
      other.emplace(main.context().is_cuda() ? "cpu" : "cuda", model_, loss_, data_, options_);
    } catch (const DeviceError& e) {
      return report_->items.push_back(skipped_item(name, e.what()));
    }
    CheckItem item = identity_item(name, difference(whole_, other->evaluate(theta_, v_), sizes_),
                                   rounding(Probe<double>::kEpsilon), "a kernel and its host twin differ");
    forgive_kinks(item);
    report_->items.push_back(item);
  }

  /// Rounding may put a unit on the other side of its kink.
  void forgive_kinks(CheckItem& item) const {
    if (item.status != CheckStatus::failed || options_.check.kinks.empty()) return;
    item.status = CheckStatus::inconclusive;
    item.note += fmt::format("; or rounding moved a unit across its kink ({})", options_.check.kinks.front());
  }

  /// Kinks excuse differences only where all identities hold, those of batches included.
  static void judge_again(CheckReport& report) {
    if (report.passed()) return;
    for (CheckItem& item : report.items)
      if (item.status == CheckStatus::inconclusive && item.error > item.bound) item.status = CheckStatus::failed;
  }

  const ModelSpec& model_;
  LossKind loss_;
  const Dataset& data_;
  Vector theta_, v_;
  NetworkCheckOptions options_;
  CheckReport* report_ = nullptr;
  Derivatives whole_;
  Sizes sizes_;
};

}  // namespace
}  // namespace check

CheckReport check_network(const ModelSpec& model, LossKind loss, const Dataset& data, Span<const double> theta,
                          const NetworkCheckOptions& options) {
  check_input(model, data.input_shape);
  Index n = 0;
  for (const LayerSummary& layer : summarize(model)) n += layer.parameters;
  if (n != static_cast<Index>(theta.size()))
    throw InputError(
        fmt::format("check_network: found theta of shape [{}], expected [{}] as {} has", theta.size(), n, model.name));
  return check::NetworkChecker(model, loss, data, check::Vector(theta.begin(), theta.end()), options).run();
}

}  // namespace hso
