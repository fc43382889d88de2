// SPDX-License-Identifier: Apache-2.0
//
// Every case of the table against nested dual numbers: loss, gradient, products, dense Hessian, Gauss-Newton matrix.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

using Parameters = std::tuple<std::string, std::string>;

class Oracle : public testing::TestWithParam<Parameters> {
 protected:
  const Case& c_ = case_named(std::get<1>(GetParam()));
  Context& context_ = context(std::get<0>(GetParam()));
};

Numbers times(const Numbers& matrix, const Numbers& v) {
  Numbers out(v.size());
  for (std::size_t i = 0; i < v.size(); ++i)
    for (std::size_t j = 0; j < v.size(); ++j) out[i] += matrix[i * v.size() + j] * v[j];
  return out;
}

TEST_P(Oracle, EveryDerivativeIsExact) {
  const Problem p = problem_on(context_, c_);
  const double loss = reference_loss(p);
  const Numbers output = reference_values(p, c_.net.output), gradient = reference_gradient(p);
  const Numbers hessian = reference_hessian(p), ggn = reference_ggn(p);
  const Numbers v = random_numbers(p.theta.size(), c_.seed + 5000);
  for_types([&]<class T>() {
    const double tolerance = exact_tolerance<T>();
    Runner<T> run(context_, c_);
    EXPECT_TRUE(close(run.tape.forward(run.theta.data()), loss, tolerance)) << "forward";
    EXPECT_TRUE(close(run.output(), output, tolerance)) << "output";
    EXPECT_TRUE(close(run.gradient(), gradient, tolerance)) << "gradient";
    EXPECT_TRUE(close(run.product(Curvature::hessian, v), times(hessian, v), tolerance)) << "H v";
    EXPECT_TRUE(close(run.product(Curvature::ggn, v), times(ggn, v), tolerance)) << "G v";
    EXPECT_TRUE(close(run.dense(Curvature::hessian), hessian, tolerance)) << "dense H";
    EXPECT_TRUE(close(run.dense(Curvature::ggn), ggn, tolerance)) << "dense G";
    EXPECT_TRUE(close(run.dense_by_products(Curvature::hessian), hessian, tolerance)) << "H by products";
  });
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const Case& c : cases()) names.push_back(c.name);
  return names;
}

std::string test_name(const testing::TestParamInfo<Parameters>& info) {
  const std::string& device = std::get<0>(info.param);
  return std::get<1>(info.param) + "_" + device.substr(0, device.find(':'));
}

INSTANTIATE_TEST_SUITE_P(Cases, Oracle,
                         testing::Combine(testing::ValuesIn(contexts()), testing::ValuesIn(case_names())), test_name);

/// The oracle against itself: one Hessian by another route.
TEST(DualNumbers, ProductsAgreeWithTheMatrix) {
  const Problem p = problem_of(case_named("deep"));
  const Numbers v = random_numbers(p.theta.size(), 1);
  EXPECT_TRUE(close(reference_product(p, v), times(reference_hessian(p), v), 1e-13));
}

}  // namespace
}  // namespace hso::test
