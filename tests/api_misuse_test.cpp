// SPDX-License-Identifier: Apache-2.0
//
// Wrong arguments of the library: an exception that says what was found and what was expected, never a crash.
#include <gtest/gtest.h>

#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/analysis.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

constexpr Index kHuge = std::numeric_limits<Index>::max();

class Misuse : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Misuse, testing::ValuesIn(contexts()), device_word);

TEST_P(Misuse, UploadsThatDoNotFitTheBuffer) {
  Buffer<double> b(context(), Numbers{1, 2, 3});
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         b.upload(Numbers{1, 2, 3, 4});
                       }),
                       "Buffer::upload", "4 numbers", "at most 3"));
  EXPECT_EQ(b.download(), (Numbers{1, 2, 3}));
  b.upload(Numbers{9});
  EXPECT_EQ(b.download(), (Numbers{9, 2, 3}));
}

TEST_P(Misuse, ABufferWithoutAContextIsEmpty) {
  Buffer<float> none;
  EXPECT_TRUE(none.download().empty());
  none.upload({});
  const std::vector<float> one{1};
  EXPECT_TRUE(contains(message_of<InputError>([&] { none.upload(one); }), "1 numbers", "at most 0"));
  EXPECT_TRUE(Buffer<float>(context(), 0).download().empty());
}

TEST_P(Misuse, DataThatIsNotSound) {
  const Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  const auto error = [&](const auto& change) {
    Dataset data = s.inputs;
    change(data);
    return message_of<InputError>([&] { DeviceData<double>(context(), s.network, data); });
  };
  for (double label : {3.0, 12.0, -1.0, 1e9, 0.5, std::nan("")})
    EXPECT_TRUE(contains(error([&](Dataset& d) { d.targets[7] = label; }), "random", "7")) << label;
  EXPECT_TRUE(contains(error([](Dataset& d) { d.inputs.pop_back(); }), "99", "100"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.inputs.clear(); }), "0 ", "100"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets.pop_back(); }), "19", "20"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.size = 21; }), "100", "105"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.size = kHuge; }), "size"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.inputs[11] = INFINITY; }), "inf"));
}

TEST_P(Misuse, NullPointers) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  f.value(s.theta.data());
  Buffer<double> g(context(), s.n());
  double* none = nullptr;
  const auto says = [](const auto& call, const char* method, const char* argument) {
    EXPECT_TRUE(contains(message_of<UsageError>(call), method, std::string(argument) + " is null")) << method;
  };
  says([&] { f.evaluate(none); }, "evaluate", "theta");
  says([&] { f.value(none); }, "value", "theta");
  says([&] { f.gradient(none, g.data()); }, "gradient", "theta");
  says([&] { f.gradient(s.theta.data(), none); }, "gradient", "g");
  says([&] { f.linearize(none, g.data(), Curvature::ggn); }, "gradient", "theta");
  says([&] { f.curvature(none, Curvature::hessian); }, "curvature", "theta");
  says([&] { f.kronecker(none); }, "kronecker", "theta");
  says([&] { make_optimizer<double>("adam")->step(f, none); }, "", "theta");
  says([&] { make_masked<double>(nullptr, {}); }, "make_masked", "the optimizer");
  says([&] { make_masked<double>(nullptr, {.kept = {1, 0}}); }, "make_masked", "the optimizer");
  says([&] { make_wrapped<double>(nullptr, {}); }, "make_wrapped", "the optimizer");
  Tape<double> tape(context(), s.network.graph, 4);
  says([&] { tape.forward(none); }, "Tape", "theta");
  says([&] { tape.linearize(none, nullptr); }, "Tape", "theta");
}

TEST(MisuseOfGraphs, ParametersBeyondWhatCanBeCounted) {
  Graph<double> g;
  for (Index offset : {kHuge, kHuge - 1, kHuge - 3})
    EXPECT_TRUE(contains(message_of<UsageError>([&] {
                           g.parameter_at("w", {2, 2}, offset);
                         }),
                         "parameter_at w", std::to_string(offset), "64 bits"));
  EXPECT_EQ(g.parameter_count(), 0);
  g.parameter_at("w", {2, 2}, 3);
  EXPECT_EQ(g.parameter_count(), 7);
}

TEST_P(Misuse, NumbersOfASpectrumRequest) {
  Buffer<double> a(context(), Numbers{2, 1, 1, 3});
  MatrixOperator<double> matrix(context(), 2, a.data());
  const auto says = [&](const SpectrumRequest& request, const char* name) {
    const SpectrumPlan by_hand{.method = SpectrumMethod::trace};
    EXPECT_TRUE(contains(message_of<UsageError>([&] { plan_spectrum(matrix, request); }), "SpectrumRequest", name));
    EXPECT_TRUE(contains(message_of<UsageError>([&] { analyze_spectrum(matrix, request, &by_hand); }), name));
  };
  for (Index probes : {kHuge, Index{1}, Index{0}, Index{-1}, -kHuge}) {
    says({.method = SpectrumMethod::trace, .probes = probes}, "probes = ");
    says({.method = SpectrumMethod::slq, .probes = probes}, "probes = ");
  }
  says({.method = SpectrumMethod::slq, .steps = -3}, "steps = -3");
  says({.method = SpectrumMethod::lanczos, .count = 0}, "count = 0");
  says({.method = SpectrumMethod::lanczos, .block = -1}, "block = -1");
  says({.method = SpectrumMethod::lanczos, .max_products = -1}, "max_products = -1");
  says({.method = SpectrumMethod::lanczos, .tolerance = std::nan("")}, "tolerance = nan");
  says({.near = std::nan("")}, "near = nan");
  says({.method = SpectrumMethod::slq, .damping = INFINITY}, "damping = inf");
}

}  // namespace
}  // namespace hso::test
