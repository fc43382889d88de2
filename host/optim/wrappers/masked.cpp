// SPDX-License-Identifier: Apache-2.0
//
// make_masked: an optimizer whose removed parameters stay +0.
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "objective/mask_size.hpp"
#include "optim/step/queued_step.hpp"

namespace hso {

using detail::Keep;

namespace {

template <class T>
class MaskedOptimizer final : public Optimizer<T>, public detail::QueuedStep<T> {
 public:
  MaskedOptimizer(std::unique_ptr<Optimizer<T>> inner, const Mask& mask) : inner_(std::move(inner)), mask_(mask) {}
  const std::string& name() const override { return inner_->name(); }
  bool full_batch() const override { return inner_->full_batch(); }
  bool dense() const override { return inner_->dense(); }
  const T* displacement() const override { return displacement_.data(); }
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return inner_->bytes(context, layout) + checked_multiply(2 * static_cast<Index>(sizeof(T)) + 1, layout.n);
  }

  void visit_state(StateVisitor& state, Objective<T>* coming) override {
    state.part("inner", [&] { inner_->visit_state(state, coming); });
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    make_room(objective);
    keep(theta, trial_.data());
    StepReport report = inner_->step(objective, trial_.data());
    if (report.status != StepStatus::accepted) return report;
    take_displacement(theta);
    report.step_norm = ops_->nrm2(n_, displacement_.data());
    keep(trial_.data(), theta);
    return report;
  }

  detail::QueuedStep<T>* queued() override { return inner_->queued() != nullptr ? this : nullptr; }
  detail::Queueing announce(Objective<T>& objective, const T*, std::vector<std::uintptr_t>& key) override {
    make_room(objective);
    key.push_back(starts_);
    return inner_->queued()->announce(objective, trial_.data(), key);
  }
  void next(std::vector<double>& numbers) override { inner_->queued()->next(numbers); }
  void launch(Objective<T>& objective, T* theta, detail::DevicePlaces& at) override {
    keep(theta, trial_.data());
    inner_->queued()->launch(objective, trial_.data(), at);
    take_displacement(theta);
    ops_->dots_on_device(1, n_, displacement_.data(), n_, displacement_.data(), n_, at.results(1));
    ops_->for_each(1, n_, detail::Guarded<Keep<T>>{at.go(), {kept_.data(), trial_.data(), n_, theta, n_}});
  }
  void settle(detail::StepRecord& record, StepReport& report) override {
    inner_->queued()->settle(record, report);
    const double squares = *record.places.results(1);
    if (report.status == StepStatus::accepted) report.step_norm = std::sqrt(squares);
  }

 private:
  void make_room(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    detail::require_size("make_masked", mask_, objective.dimension());
    n_ = -1;  // until nothing has thrown
    ops_ = &objective.context().template ops<T>();
    kept_ = Buffer<std::uint8_t>(objective.context(), Span<const std::uint8_t>(mask_.kept));
    for (Buffer<T>* b : {&trial_, &displacement_}) *b = Buffer<T>(objective.context(), mask_.size());
    n_ = mask_.size();
    ++starts_;
  }
  void keep(const T* x, T* y) { ops_->for_each(1, n_, Keep<T>{kept_.data(), x, n_, y, n_}); }

  /// trial - theta has lost what rounding takes from a small step: the inner method's own is better.
  void take_displacement(const T* theta) {
    T* d = displacement_.data();
    if (const T* own = inner_->displacement(); own != nullptr) return keep(own, d);
    ops_->copy(n_, trial_.data(), d);
    ops_->axpby(n_, T(-1), theta, T(1), d);
    keep(d, d);
  }

  std::unique_ptr<Optimizer<T>> inner_;
  Mask mask_;
  Index n_ = -1;
  std::uintptr_t starts_ = 0;  ///< part of keys: every start makes other buffers
  detail::Ops<T>* ops_ = nullptr;
  Buffer<std::uint8_t> kept_;
  Buffer<T> trial_, displacement_;
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_masked(std::unique_ptr<Optimizer<T>> optimizer, const Mask& mask) {
  if (!optimizer) throw UsageError("make_masked: the optimizer is null");
  if (mask.kept.empty()) return optimizer;
  return std::make_unique<MaskedOptimizer<T>>(std::move(optimizer), mask);
}

template std::unique_ptr<Optimizer<float>> make_masked(std::unique_ptr<Optimizer<float>>, const Mask&);
template std::unique_ptr<Optimizer<double>> make_masked(std::unique_ptr<Optimizer<double>>, const Mask&);

}  // namespace hso
