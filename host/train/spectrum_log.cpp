// SPDX-License-Identifier: Apache-2.0
#include "train/spectrum_log.hpp"

#include <algorithm>

#include "hsogpu/linalg/analysis.hpp"
#include "linalg/estimate_json.hpp"

namespace hso {
namespace {

using Json = nlohmann::ordered_json;

struct Layer {
  std::string name;
  IndexRange range;
};

/// Weight and bias of a layer follow each other in theta: "2.weight" and "2.bias" are layer "2".
std::vector<Layer> layers_of(const std::vector<ParameterInfo>& parameters) {
  std::vector<Layer> out;
  for (const ParameterInfo& p : parameters) {
    const std::string name = p.name.substr(0, p.name.rfind('.'));
    if (out.empty() || out.back().name != name) out.push_back({name, {p.offset, p.offset}});
    out.back().range.end = p.offset + p.shape.size();
  }
  return out;
}

/// Ends of the spectrum to 1e-4, trace and norm from ten probes: enough to plot over training.
template <class T>
void describe(LinearOperator<T>& a, Curvature kind, std::uint64_t seed, Json& line) {
  SpectrumRequest request;
  request.method = SpectrumMethod::lanczos_slq;
  request.which = SpectrumEnd::both;
  request.tolerance = 1e-4;
  request.max_products = 200;
  request.probes = 10;
  request.steps = 20;
  request.seed = seed;
  if (is_positive_semidefinite(kind)) request.lower_bound = 0;
  SpectrumPlan plan;
  plan.method = request.method;
  const SpectrumAnalysis<T> s = analyze_spectrum(a, request, &plan);
  line["n"] = s.n;
  line["eigenvalues"] = s.eigenvalues;
  line["residuals"] = s.residuals;
  line["stop"] = s.stop;
  if (!s.trace) return;
  line["trace"] = estimate_json(*s.trace);
  line["frobenius_squared"] = estimate_json(*s.frobenius_squared);
}

}  // namespace

template <class T>
std::vector<std::string> spectrum_lines(Objective<T>& objective, const T* theta,
                                        const std::vector<ParameterInfo>& parameters, Curvature kind, Index step,
                                        std::uint64_t seed) {
  const auto whole = objective.curvature(theta, kind);
  std::vector<std::string> out;
  const auto add = [&](const std::string& name, LinearOperator<T>& a) {
    Json line{{"step", step}, {"layer", name}, {"kind", name_of(kind)}};
    describe(a, kind, seed, line);
    out.push_back(line.dump());
  };
  add("all", *whole);
  for (const Layer& layer : layers_of(parameters)) {
    RestrictedOperator<T> block(*whole, layer.range);
    add(layer.name, block);
  }
  return out;
}

template std::vector<std::string> spectrum_lines(Objective<float>&, const float*, const std::vector<ParameterInfo>&,
                                                 Curvature, Index, std::uint64_t);
template std::vector<std::string> spectrum_lines(Objective<double>&, const double*, const std::vector<ParameterInfo>&,
                                                 Curvature, Index, std::uint64_t);

}  // namespace hso
