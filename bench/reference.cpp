// SPDX-License-Identifier: Apache-2.0
#include "reference.hpp"
#include "hsogpu/graph/tape.hpp"

#include <algorithm>
#include <map>

namespace hso::bench {
namespace {

struct Answers {
  std::vector<double> gradient, hessian, ggn;
};

template <class T>
Answers answers(Context& context, const NetCase& net) {
  Fixture<T> f(context, net);
  Answers a;
  f.gradient();
  a.gradient = f.result(f.g);
  f.hvp_fresh();
  a.hessian = f.result(f.hv);
  f.linearise(Linearization::for_ggn);
  f.ggn();
  a.ggn = f.result(f.hv);
  return a;
}

}  // namespace

template <class T>
double largest_error(const NetCase& net) {
  static std::map<std::string, double> known;
  const auto at = known.find(net.name);
  if (at != known.end()) return at->second;
  const auto cpu = Context::create("cpu");
  const Answers exact = answers<double>(*cpu, net), found = answers<T>(device(), net);
  double worst = 0;
  for (const double d : {distance(found.gradient, exact.gradient), distance(found.hessian, exact.hessian),
                         distance(found.ggn, exact.ggn)})
    worst = d <= worst ? worst : d;  // a NaN wins
  return known[net.name] = worst;
}

template double largest_error<float>(const NetCase&);
template double largest_error<double>(const NetCase&);

}  // namespace hso::bench
