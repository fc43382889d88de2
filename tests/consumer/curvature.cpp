#include <cstdio>
#include <hsogpu/hsogpu.hpp>

int main() {
  const auto context = hso::Context::create("auto");
  const auto model = hso::parse_model("mlp:64-32-10:tanh");
  const auto loss_kind = hso::LossKind::cross_entropy;
  const hso::PreparedData digits = hso::prepare_data(model, loss_kind, {.data = "digits"});
  const auto network = hso::build_network<double>(model, loss_kind);
  const hso::DeviceData<double> data(*context, network, digits.split.train);
  hso::NetworkObjective<double> loss(*context, network, data);

  const hso::Buffer<double> theta(
      *context, hso::initial_parameters(network.parameters, hso::Initialization::glorot, 0));
  const auto hessian = loss.curvature(theta.data(), hso::Curvature::hessian);
  const hso::Index n = hessian->dimension();

  // H V for the unit vectors of the last four parameters (biases of the output layer): four columns
  // of the Hessian, which is never formed.
  const hso::Index k = 4, first = n - k;
  std::vector<double> units(k * n, 0.0);
  for (hso::Index i = 0; i < k; ++i) units[i * n + first + i] = 1;
  const hso::Buffer<double> v(*context, units);
  hso::Buffer<double> hv(*context, k * n);
  hessian->apply(hso::vector_view(v.data(), n, k), hso::vector_view(hv.data(), n, k));
  const std::vector<double> columns = hv.download();
  std::printf("n = %lld\n", static_cast<long long>(n));
  for (hso::Index i = 0; i < k; ++i) {
    for (hso::Index j = 0; j < k; ++j) std::printf("%10.6f", columns[j * n + first + i]);
    std::printf("\n");
  }

  // The largest eigenvalues by Lanczos, each with a bound of its error.
  const auto spectrum =
      hso::analyze_spectrum(*hessian, {.method = hso::SpectrumMethod::lanczos, .count = 3});
  for (std::size_t i = 0; i < spectrum.eigenvalues.size(); ++i)
    std::printf("%.8f +- %.1e\n", spectrum.eigenvalues[i], spectrum.residuals[i]);
  return spectrum.converged ? 0 : 1;
}
