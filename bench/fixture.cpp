// SPDX-License-Identifier: Apache-2.0
#include "fixture.hpp"

#include <cmath>
#include <cstdlib>

#include "hsogpu/detail/ops.hpp"

namespace hso::bench {
namespace {

/// float32 and float64 fixtures see the same numbers: those of float32.
template <class T>
std::vector<T> rounded(const std::vector<double>& x) {
  std::vector<T> out;
  out.reserve(x.size());
  for (double value : x) out.push_back(static_cast<T>(static_cast<float>(value)));
  return out;
}

template <class T>
Buffer<T> upload(Context& context, const std::vector<double>& x) {
  const std::vector<T> host = rounded<T>(x);
  return Buffer<T>(context, Span<const T>(host));
}

}  // namespace

Context& device() {
  const char* word = std::getenv("HSO_BENCH_DEVICE");
  static const std::unique_ptr<Context> context = Context::create(word == nullptr ? "auto" : word);
  return *context;
}

template <class T>
Fixture<T>::Fixture(Context& c, const NetCase& net_case, Index k)
    : context(c),
      net(net_case),
      network(build_network<T>(parse_model(net_case.model), LossKind::cross_entropy)),
      tape(c, network.graph, net_case.batch, k),
      lanes(k),
      theta(upload<T>(c, initial_parameters(network.parameters, Initialization::glorot, 0))),
      g(c, n()),
      v(upload<T>(c, random_numbers(k * n(), 3))),
      hv(c, k * n()) {
  const Batch batch = make_batch(net);
  const std::vector<T> inputs = rounded<T>(batch.inputs), labels = rounded<T>(batch.labels);
  tape.bind(inputs, labels);
  tape.set_training(!network.statistics.empty());  // batchnorm as a step has it
}

template <class T>
void Fixture<T>::gradient() {
  tape.gradient(theta.data(), g.data());
}

template <class T>
void Fixture<T>::linearise(Linearization purpose) {
  tape.linearize(theta.data(), nullptr, purpose);
}

template <class T>
void Fixture<T>::product(Curvature kind) {
  tape.product(kind, vector_view<const T>(v.data(), n(), lanes), vector_view(hv.data(), n(), lanes));
}

template <class T>
void Fixture<T>::hvp_linearised() {
  product(Curvature::hessian);
}

template <class T>
void Fixture<T>::hvp_fresh() {
  linearise();
  product(Curvature::hessian);
}

template <class T>
void Fixture<T>::ggn() {
  product(Curvature::ggn);
}

template <class T>
std::vector<double> Fixture<T>::result(const Buffer<T>& buffer) const {
  const std::vector<T> host = buffer.download();
  return {host.begin(), host.begin() + n()};
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

template struct Fixture<float>;
template struct Fixture<double>;

}  // namespace hso::bench
