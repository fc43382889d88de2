// SPDX-License-Identifier: Apache-2.0
//
// Minimisation by HSO in a trust region, at the settings for functions that may be badly scaled.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "optim/minimize/checks.hpp"

namespace hso {
namespace {

constexpr const char *kFirstRadius = "1", *kShorterRadius = "0.3";

template <class T>
Summary run(OptimizerSettings settings, const char* radius, Objective<T>& objective, View<T> theta,
            const MinimizeOptions& options) {
  settings["radius"] = radius;
  return minimize(*make_optimizer<T>("hso", settings), objective, theta, options);
}

/// The limits that are left, and a history that goes on.
MinimizeOptions after(const Summary& first, const MinimizeOptions& options) {
  MinimizeOptions rest = options;
  rest.max_steps -= first.solves;
  rest.max_evaluations -= first.values + first.gradients + first.products + first.hessians;
  rest.max_seconds -= first.seconds;
  if (options.callback)
    rest.callback = [&options, &first](const StepRecord& record, const StepReport& report) {
      StepRecord moved = record;
      moved.step += first.solves;
      moved.seconds += first.seconds;
      return options.callback(moved, report);
    };
  return rest;
}

/// `end`, with what both have cost.
Summary both(const Summary& first, const Summary& second, const Summary& end) {
  Summary s = end;
  s.message = fmt::format("{}; started twice, as steps grew without lowering f", end.message);
  s.steps = first.steps + second.steps;
  s.values = first.values + second.values;
  s.gradients = first.gradients + second.gradients;
  s.products = first.products + second.products;
  s.hessians = first.hessians + second.hessians;
  s.solves = first.solves + second.solves;
  s.seconds = first.seconds + second.seconds;
  s.history = first.history;
  for (StepRecord record : second.history) {
    record.step += first.solves;
    record.seconds += first.seconds;
    s.history.push_back(record);
  }
  return s;
}

}  // namespace

OptimizerSettings robust_settings(const std::string& curvature) {
  const Curvature kind = parse_curvature(curvature);
  if (kind != Curvature::hessian && kind != Curvature::ggn && kind != Curvature::finite_difference)
    throw UsageError(
        fmt::format("robust_settings: curvature = '{}', expected hessian, ggn or finite_difference", curvature));
  return {{"control", "trust_region"}, {"scaling", "curvature"}, {"eps_scale", "0"}, {"curvature", curvature}};
}

template <class T>
Summary minimize(Objective<T>& objective, View<T> theta, const MinimizeOptions& options) {
  detail::check_theta(objective, theta);
  const Index n = theta.lanes * theta.size();
  auto& ops = objective.context().template ops<T>();
  Buffer<T> start(objective.context(), n), end(objective.context(), n);
  ops.copy(n, theta.data, start.data());
  MinimizeOptions watched = options;
  watched.stop_drifting = true;
  const Summary first = run<T>(robust_settings(), kFirstRadius, objective, theta, watched);
  const MinimizeOptions rest = after(first, options);
  if (!first.drifted || rest.max_steps < 1) return first;
  ops.copy(n, theta.data, end.data());
  ops.copy(n, start.data(), theta.data);
  try {
    const Summary second = run<T>(robust_settings(), kShorterRadius, objective, theta, rest);
    if (second.value <= first.value) return both(first, second, second);
    ops.copy(n, end.data(), theta.data);
    return both(first, second, first);
  } catch (...) {
    ops.copy(n, end.data(), theta.data);
    throw;
  }
}

template <class T>
Summary minimize(Objective<T>& objective, Buffer<T>& theta, const MinimizeOptions& options) {
  return minimize(objective, theta.view(), options);
}

template <class T>
Summary minimize(Objective<T>& objective, std::vector<T>& theta, const MinimizeOptions& options) {
  return detail::in_device_memory(objective, theta, [&](View<T> at) { return minimize(objective, at, options); });
}

template Summary minimize(Objective<float>&, View<float>, const MinimizeOptions&);
template Summary minimize(Objective<double>&, View<double>, const MinimizeOptions&);
template Summary minimize(Objective<float>&, Buffer<float>&, const MinimizeOptions&);
template Summary minimize(Objective<double>&, Buffer<double>&, const MinimizeOptions&);
template Summary minimize(Objective<float>&, std::vector<float>&, const MinimizeOptions&);
template Summary minimize(Objective<double>&, std::vector<double>&, const MinimizeOptions&);

}  // namespace hso
