#include <cmath>
#include <cstdio>
#include <hsogpu/hsogpu.hpp>

int main() {
  // y = b0 exp(-b1 t) + b2, measured eight times.
  const std::vector<double> t{0, 1, 2, 3, 4, 6, 8, 12}, y{11.9, 8.7, 6.6, 5.1, 4.2, 3.0, 2.5, 2.1};

  const auto context = hso::Context::create("cpu");
  hso::LeastSquaresObjective<double> misfit(
      *context, /*parameters=*/3, /*residuals=*/8,
      {.residuals = [&](const double* b, double* r, double* jacobian) {
        for (std::size_t k = 0; k < t.size(); ++k) {
          const double decay = std::exp(-b[1] * t[k]);
          r[k] = b[0] * decay + b[2] - y[k];
          if (jacobian == nullptr) continue;
          jacobian[3 * k] = decay;
          jacobian[3 * k + 1] = -b[0] * t[k] * decay;
          jacobian[3 * k + 2] = 1;
        }
      }});

  hso::Buffer<double> b(*context, std::vector<double>{1, 1, 0});
  const auto optimizer = hso::make_optimizer<double>("hso", hso::robust_settings("ggn"));
  const hso::Summary summary = hso::minimize(*optimizer, misfit, b);
  const std::vector<double> value = b.download(), deviation = misfit.standard_deviations(b.data());

  std::printf("%s after %d steps, |r|^2 / 2 = %.4g\n", name_of(summary.termination), summary.steps,
              summary.value);
  for (std::size_t i = 0; i < value.size(); ++i)
    std::printf("b%zu = %.3f +- %.3f\n", i, value[i], deviation[i]);
  return summary.converged() ? 0 : 1;
}
