#include <cstdio>
#include <hsogpu/hsogpu.hpp>

int main() {
  const auto context = hso::Context::create("auto");  // the first GPU, or the CPU
  hso::DataSplit digits = hso::load_data("digits", 0.2, /*seed=*/0);
  const auto scaling = hso::Standardizer::fit(digits.train, hso::Scaling::unit_range);
  scaling.apply(digits.train);
  scaling.apply(digits.test);

  const auto network = hso::build_network<float>(hso::parse_model("mlp:64-16-10:tanh"),
                                                 hso::LossKind::cross_entropy);
  const hso::DeviceData<float> train(*context, network, digits.train),
      test(*context, network, digits.test);
  hso::NetworkObjective<float> loss(*context, network, train), test_loss(*context, network, test);

  const auto start =
      hso::initial_parameters(network.parameters, hso::Initialization::glorot, /*seed=*/0);
  hso::Buffer<float> theta(*context, std::vector<float>(start.begin(), start.end()));

  const auto optimizer = hso::make_optimizer<float>("hso", {{"sign", "abs"}, {"delta", "0.01"}});
  for (int step = 0; step < 8; ++step) {  // one exact Hessian and one eigendecomposition each
    const hso::StepReport report = optimizer->step(loss, theta.data());
    std::printf("step %d: loss %.4f -> %.4f (%s)\n", step, report.loss_before, report.loss_after,
                name_of(report.status));
  }
  const hso::Evaluation result = test_loss.evaluate(theta.data());
  std::printf("%s: test loss %.4f, accuracy %.1f %%\n", context->name().c_str(), result.loss,
              100 * result.accuracy);
  return result.accuracy > 0.9 ? 0 : 1;
}
