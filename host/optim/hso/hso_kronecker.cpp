// SPDX-License-Identifier: Apache-2.0
//
// HSO in the Kronecker eigenbasis: -(1 / (lambda + delta) + eps) g with the factors of K-FAC or EKFAC, and the length
// that minimises the exact damped quadratic model along it (Martens and Grosse, ICML 2015, section 6.4).
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "objective/network_curvature.hpp"
#include "objective/running_factors.hpp"
#include "optim/hso/model_step.hpp"
#include "optim/preconditioned/slices.hpp"

namespace hso {
namespace detail {
namespace {

constexpr Index kSums = Index{16} << 20;  // bytes of a chunk of the rows that are summed to factors

/// The options with what their zeros stand for.
HsoKroneckerOptions checked(const char* name, Curvature form, HsoKroneckerOptions o) {
  require_option(o.refresh >= 0, name, "refresh", o.refresh, "0 (chosen) or above");
  require_option(o.factor_every >= 0, name, "factor_every", o.factor_every, "0 (chosen) or above");
  require_option(o.decay >= 0 && o.decay < 1, name, "decay", o.decay, "in [0, 1)");
  require_option(o.momentum >= 0 && o.momentum < 1, name, "momentum", o.momentum, "in [0, 1)");
  require_option(o.kl_clip >= 0, name, "kl_clip", o.kl_clip, "0 (none) or above");
  require_option(o.delta > 0, name, "delta", o.delta, "above 0: factors are singular");
  if (o.damping == FactorDamping::factored && form == Curvature::ekfac)
    throw UsageError(fmt::format("optimizer {}: damping = factored has no eigenvalues to correct; use joint", name));
  if (o.factor_every == 0) o.factor_every = o.judged ? 1 : 10;
  if (o.refresh == 0) o.refresh = o.judged ? 1 : 50;
  return o;
}

Curvature source_of(Factors factors) {
  switch (factors) {
    case Factors::ggn:
      return Curvature::ggn;
    case Factors::fisher_empirical:
      return Curvature::fisher_empirical;
    default:
      return Curvature::fisher_mc;
  }
}

template <class T>
class Kronecker final : public ModelStep<T> {
 public:
  Kronecker(const char* name, Curvature form, const HsoKroneckerOptions& o)
      : ModelStep<T>(name, common_options(name, o)),
        o_(checked(name, form, o)),
        form_(form),
        source_(source_of(o.factors)),
        factored_(o.damping == FactorDamping::factored ||
                  (o.damping == FactorDamping::automatic && form == Curvature::kfac)) {}

 private:
  /// Factors, eigenvectors and eigenvalues of all layers, twice: the old ones stay until the new ones are there; once
  /// more for a step back. The inverse's values, a gradient on a curvature batch, three matrices of a layer's size to
  /// apply the inverse, and the eigensolver's own.
  Index form_bytes(Context& context, const ParameterLayout& layout) const override {
    Index factors = 0, largest = 0, widest = 1;
    for (const Shape& s : layout.tensors) {
      if (s.rank() < 2) continue;
      const Index rows = s[0], columns = s.size() / rows + 1;
      factors += 2 * (checked_multiply(rows, rows) + checked_multiply(columns, columns)) + rows * columns;
      largest = std::max(largest, rows * columns);
      widest = std::max({widest, rows, columns});
    }
    return checked_multiply(3 * factors + (o_.judged ? 2 : 3) * layout.n + 3 * largest, static_cast<Index>(sizeof(T))) +
           (factored_ ? 0 : eigh_bytes<T>(context, widest)) + kSums;
  }

  void evaluate(Step<T>& s) override {
    Objective<T>& whose = s.objective.curvature_source();
    auto* network = whose.network();
    batches_ = network != nullptr ? &network->micro_batches() : nullptr;
    if (batches_ == nullptr) return ModelStep<T>::evaluate(s);
    if (this->fresh() || !running_ || !running_->belongs_to(*batches_)) start_averages(s.objective);
    gathered_ = steps_ % o_.factor_every == 0;
    if (!gathered_) return ModelStep<T>::evaluate(s);
    T* g = this->gradient();
    gather(s, &whose != &s.objective);
    // What stands around a network has a curvature of its own; where nothing judges the step, nobody multiplies by it.
    // Drawn targets are no part of the Gauss-Newton matrix: the tape stands where its products start.
    s.curvature = &whose != network && o_.judged
                      ? whose.curvature(s.theta, this->kind_)
                      : products_of(*batches_, s.theta, this->kind_, this->kind_ == Curvature::ggn);
    this->point().dot(this->ops(), this->n(), g, g);
  }
  /// The objective's value and gradient, and with them the factors of the network that batches_ shows.
  void gather(Step<T>& s, bool other_rows) {
    T* g = this->gradient();
    double* value_at = this->point().begin();
    const bool network_only = s.objective.network() == &s.objective;
    if (network_only && running_->queues() && batches_->count() == 1)
      return running_->gradient_on_device(*batches_, s.theta, g, value_at, draw());
    this->point().set_value(gather_now(s, other_rows, g));
  }
  double gather_now(Step<T>& s, bool other_rows, T* g) {
    if (!other_rows) return s.objective.finish_gradient(s.theta, running_->gradient(*batches_, s.theta, g, draw()), g);
    const double value = s.objective.gradient(s.theta, g);
    Scratch scratch(s.objective.context());
    running_->gradient(*batches_, s.theta, scratch.take<T>(this->n()), draw());
    return value;
  }
  void make_form_room(Objective<T>& objective) override {
    auto* network = objective.curvature_source().network();
    batches_ = network != nullptr ? &network->micro_batches() : nullptr;
    if (batches_ != nullptr) start_averages(objective);
  }
  void visit_form(StateVisitor& state) override {
    bool running = batches_ != nullptr;
    state("running", running);
    if (!running) {  // an operator of an objective that shows no network is made anew
      if (state.reads()) factors_ = nullptr;
      return;
    }
    state("steps", steps_);
    state("updates", updates_);
    state("age", age_);
    state("largest", largest_);
    state("inverse_delta", delta_);
    if (!o_.judged) ball_.visit_state(state);
    state.part("factors", [&] { running_->visit_state(state); });
  }
  void start_averages(Objective<T>& objective) {
    running_.reset();
    running_ = std::make_unique<RunningFactors<T>>(*batches_, source_);
    if (!o_.judged) ball_.start(objective.context(), objective.dimension());
    clip_ = std::make_unique<QueuedNumbers>(objective.context(), 2);
    steps_ = updates_ = 0;
    age_ = o_.refresh;
  }
  /// Every update of the factors has targets of its own.
  std::uint64_t draw() const { return static_cast<std::uint64_t>(updates_) << 16; }

  std::string prepare(Step<T>& s) override {
    if (batches_ == nullptr) return take_operator(s);
    const std::uint64_t targets = draw();
    if (gathered_) {
      running_->average(std::min(1 - 1 / static_cast<double>(updates_ + 1), o_.decay));
      ++updates_;
    }
    ++steps_;
    due_ = age_ >= o_.refresh;
    if (factored_) return {};
    if (due_) {
      if (std::string why = running_->decompose(); !why.empty()) return why;
      age_ = 0;
    }
    // In a new basis the old moments mean nothing.
    if (form_ == Curvature::ekfac && (due_ || gathered_))
      running_->correct(*batches_, s.theta, targets, due_ ? 0 : o_.decay);
    if (due_) largest_ = running_->largest();
    s.report.metrics.emplace_back("lambda_max", largest_);
    return {};
  }
  /// Of an objective that shows no network: its own Kronecker operator.
  std::string take_operator(Step<T>& s) {
    if (o_.damping == FactorDamping::factored || (o_.factors != Factors::automatic && source_ != Curvature::ggn) ||
        !o_.judged)
      throw UsageError(this->name() + ": damping = factored, factors other than ggn and judged = false need a network");
    if (!this->fresh() && factors_ != nullptr && age_ < o_.refresh) return {};
    inverse_.reset();
    operator_ = s.objective.curvature(s.theta, form_);
    factors_ = operator_->kronecker();
    if (factors_ == nullptr)
      throw UsageError(this->name() + ": this objective has no layers to factor; use hso.lowrank or hso.cg");
    try {
      largest_ = 0;
      for (double value : factors_->eigenvalues()) largest_ = std::max(largest_, value);
    } catch (const NumericalError& e) {
      factors_ = nullptr;
      return e.what();
    }
    age_ = 0;
    s.report.metrics.emplace_back("lambda_max", largest_);
    return {};
  }

  std::string propose(Step<T>& s) override {
    const T* g = this->gradient();
    T* step = this->own_step();
    const double delta = this->damping().delta();
    if (batches_ == nullptr) {
      apply_operator(delta, g, step);
    } else if (std::string why = apply_running(delta, g, step, s.report); !why.empty()) {
      return why;
    }
    if (o_.judged) {
      this->ops().axpby(this->n(), T(0), step, static_cast<T>(-o_.rate), step);
      return {};
    }
    clip_->start();
    double *along = clip_->take(), *factor = clip_->take();
    this->ops().dots_on_device(1, this->n(), g, this->n(), step, this->n(), along);
    this->ops().for_each(1, 1, TrustFactor<T>{along, o_.rate, o_.kl_clip, factor});
    this->ops().for_each(1, this->n(), ScaleBy<T>{factor, step});
    clip_->post();
    ball_.propose(this->ops(), o_.rate, o_.momentum, step);
    return {};
  }
  double eps() const { return o_.eps + (largest_ > 0 ? this->damping().eps_scale() / largest_ : 0); }

  void apply_operator(double delta, const T* g, T* step) {
    const double added = eps();
    if (!inverse_ || delta != delta_ || added != eps_)
      inverse_ = factors_->function([=](double lambda) { return 1 / (lambda + delta) + added; });
    delta_ = delta;
    eps_ = added;
    inverse_->apply(vector_view<const T>(g, this->n()), vector_view(step, this->n()));
  }
  std::string apply_running(double delta, const T* g, T* step, const StepReport& report) {
    const double whole = delta + batches_->options.weight_decay;
    if (!factored_) {
      running_->apply_corrected(g, whole, step);
    } else {
      if (due_ || (report.trials > 1 && delta != delta_)) {
        if (std::string why = running_->invert(whole); !why.empty()) return why;
        largest_ = running_->bound();
        delta_ = delta;
        due_ = false;
        age_ = 0;
      }
      running_->apply_inverse(g, step);
    }
    if (const double added = eps(); added > 0) this->ops().axpby(this->n(), static_cast<T>(added), g, T(1), step);
    return {};
  }
  void arrived(StepReport& report) override {
    if (!o_.judged) report.metrics.emplace_back("clip", clip_->values()[1]);
  }
  void taken(StepReport& report) override {
    // Factors keep their inverses between refreshes, whatever has become of the damping since.
    if (factored_ && batches_ != nullptr) report.metrics.emplace_back("inverse_delta", delta_);
    ++age_;
    if (!o_.judged) ball_.commit(this->ops());
  }
  void refused(Step<T>&) override {
    age_ = o_.refresh;
    steps_ = 0;
  }
  bool rescales() const override { return o_.rescale; }
  bool subspace() const override { return o_.judged && o_.rescale && o_.subspace; }
  bool judged() const override { return o_.judged; }
  bool must_descend() const override { return o_.momentum == 0; }

  HsoKroneckerOptions o_;
  Curvature form_, source_;
  bool factored_;
  MicroBatches<T>* batches_ = nullptr;  ///< of the objective whose curvature it is; null: it shows no network
  std::unique_ptr<RunningFactors<T>> running_;
  HeavyBall<T> ball_;
  std::unique_ptr<QueuedNumbers> clip_;  ///< not judged: g'step and the factor that bounds the change of the model
  std::unique_ptr<LinearOperator<T>> operator_, inverse_;
  KroneckerOperator<T>* factors_ = nullptr;
  double largest_ = 0, delta_ = -1, eps_ = -1;
  int age_ = 0, steps_ = 0, updates_ = 0;
  bool gathered_ = false, due_ = false;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_kfac(const HsoKroneckerOptions& options) {
  return std::make_unique<detail::Kronecker<T>>("hso.kfac", Curvature::kfac, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_ekfac(const HsoKroneckerOptions& options) {
  return std::make_unique<detail::Kronecker<T>>("hso.ekfac", Curvature::ekfac, options);
}

template std::unique_ptr<Optimizer<float>> make_hso_kfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_kfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<float>> make_hso_ekfac(const HsoKroneckerOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_ekfac(const HsoKroneckerOptions&);

}  // namespace hso
