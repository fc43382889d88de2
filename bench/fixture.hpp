// SPDX-License-Identifier: Apache-2.0
//
// A network with its data and point on the device that is timed, and the products that are timed.
#pragma once

#include <memory>

#include "cases.hpp"
#include "hsogpu/core/context.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso::bench {

/// The device of this process: HSO_BENCH_DEVICE, "auto" without it.
Context& device();

/// One network on the device with its batch bound: theta from a Glorot start, `lanes` random directions.
template <class T>
struct Fixture {
  Fixture(Context& context, const NetCase& net, Index lanes = 1);

  Index n() const { return network.graph.parameter_count(); }
  void gradient();        ///< g := gradient, and the point for products
  void hvp_fresh();       ///< hv := H v from nothing
  void hvp_linearised();  ///< hv := H v of all lanes at the point of the last gradient() or linearise()
  void ggn();             ///< hv := G v, likewise
  void linearise(Linearization purpose = Linearization::for_hessian);
  std::vector<double> result(const Buffer<T>& buffer) const;  ///< the first n numbers

  Context& context;
  NetCase net;
  Network<T> network;
  Tape<T> tape;
  Index lanes;
  Buffer<T> theta, g, v, hv;

 private:
  void product(Curvature kind);
};

/// Relative distance |a - b| / |b|.
double distance(const std::vector<double>& a, const std::vector<double>& b);

/// Hessian products at the fixture's linearised point.
template <class T>
class TapeHessian final : public LinearOperator<T> {
 public:
  explicit TapeHessian(Fixture<T>& f) : f_(f) {}
  Context& context() const override { return f_.context; }
  Index dimension() const override { return f_.n(); }
  Index lanes() const override { return f_.tape.lanes(); }
  void apply(View<const T> v, View<T> hv) override { f_.tape.product(Curvature::hessian, v, hv); }

 private:
  Fixture<T>& f_;
};

}  // namespace hso::bench
