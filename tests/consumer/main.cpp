#include <cstdio>
#include <hsogpu/hsogpu.hpp>

int main() {
  hso::TrainOptions options;  // mlp:64-32-10:tanh on the digits, on the first GPU or the CPU
  options.optimizer = "hso.kfac";
  const hso::TrainResult run = hso::train(options);
  std::printf("%s: accuracy %.1f %%\n", run.device.c_str(), 100 * run.last.test.accuracy);
  return run.last.test.accuracy > 0.9 ? 0 : 1;
}
