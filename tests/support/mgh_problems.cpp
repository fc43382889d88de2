// SPDX-License-Identifier: Apache-2.0
#include "support/mgh_problems.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "support/test_file.hpp"

namespace hso::test {
namespace {

using Data = std::vector<double>;
using Made = std::shared_ptr<const Residuals>;

template <class S>
S square(const S& x) {
  return x * x;
}

Made rosenbrock() {  // 1 and 21
  return residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    for (std::size_t i = 0; i + 1 < x.size(); i += 2) {
      r.push_back(S(10) * (x[i + 1] - square(x[i])));
      r.push_back(S(1) - x[i]);
    }
    return r;
  });
}

Made powell_badly_scaled() {  // 3
  return residuals_of([]<class S>(const std::vector<S>& x) {
    return std::vector<S>{S(1e4) * x[0] * x[1] - S(1), exp(-x[0]) + exp(-x[1]) - S(1.0001)};
  });
}

Made beale() {  // 5
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const S y = x[1];
    return std::vector<S>{S(1.5) - x[0] * (S(1) - y), S(2.25) - x[0] * (S(1) - y * y),
                          S(2.625) - x[0] * (S(1) - y * y * y)};
  });
}

Made helical_valley() {  // 7
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const S turns = atan(x[1] / x[0]) * S(0.5 / std::numbers::pi) + S(plain(x[0]) < 0 ? 0.5 : 0.0);
    return std::vector<S>{S(10) * (x[2] - S(10) * turns), S(10) * (sqrt(square(x[0]) + square(x[1])) - S(1)), x[2]};
  });
}

Made gaussian() {  // 9
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const Data y{0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989};
    std::vector<S> r;
    for (std::size_t i = 1; i <= 15; ++i) {
      const double t = (8.0 - static_cast<double>(i)) / 2;
      r.push_back(x[0] * exp(S(-0.5) * x[1] * square(S(t) - x[2])) - S(y[i <= 8 ? i - 1 : 15 - i]));
    }
    return r;
  });
}

/// Box and Gulf Research in the corrected form, |y_i - x2|.
Made gulf() {  // 11
  return residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    for (int i = 1; i <= 99; ++i) {
      const double t = i / 100.0, y = 25 + std::pow(-50 * std::log(t), 2.0 / 3);
      const S d = S(y) - x[1];
      r.push_back(exp(-(power(plain(d) < 0 ? -d : d, x[2]) / x[0])) - S(t));
    }
    return r;
  });
}

Made powell_singular() {  // 13
  return residuals_of([]<class S>(const std::vector<S>& x) {
    return std::vector<S>{x[0] + S(10) * x[1], S(std::sqrt(5.0)) * (x[2] - x[3]), square(x[1] - S(2) * x[2]),
                          S(std::sqrt(10.0)) * square(x[0] - x[3])};
  });
}

Made kowalik_osborne() {  // 15
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const Data y{0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246};
    const Data u{4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625};
    std::vector<S> r;
    for (std::size_t i = 0; i < y.size(); ++i)
      r.push_back(S(y[i]) - x[0] * (S(u[i] * u[i]) + S(u[i]) * x[1]) / (S(u[i] * u[i]) + S(u[i]) * x[2] + x[3]));
    return r;
  });
}

Made osborne_1() {  // 17
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const Data y{0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751,
                 0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490,
                 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406};
    std::vector<S> r;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double t = 10.0 * static_cast<double>(i);
      r.push_back(S(y[i]) - (x[0] + x[1] * exp(-S(t) * x[3]) + x[2] * exp(-S(t) * x[4])));
    }
    return r;
  });
}

Made osborne_2() {  // 19
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const Data y{1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
                 0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
                 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
                 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
                 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054};
    std::vector<S> r;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const S t(static_cast<double>(i) / 10);
      r.push_back(S(y[i]) - (x[0] * exp(-t * x[4]) + x[1] * exp(-square(t - x[8]) * x[5]) +
                             x[2] * exp(-square(t - x[9]) * x[6]) + x[3] * exp(-square(t - x[10]) * x[7])));
    }
    return r;
  });
}

Made penalty_1() {  // 23
  return residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    S sum(-0.25);
    for (const S& xi : x) {
      r.push_back(S(std::sqrt(1e-5)) * (xi - S(1)));
      sum += square(xi);
    }
    r.push_back(sum);
    return r;
  });
}

Made variably_dimensioned() {  // 25
  return residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    S sum(0);
    for (std::size_t i = 0; i < x.size(); ++i) {
      r.push_back(x[i] - S(1));
      sum += S(static_cast<double>(i + 1)) * r[i];
    }
    r.push_back(sum);
    r.push_back(square(sum));
    return r;
  });
}

Made brown_almost_linear() {  // 27
  return residuals_of([]<class S>(const std::vector<S>& x) {
    S sum(0), product(1);
    for (const S& xi : x) {
      sum += xi;
      product *= xi;
    }
    std::vector<S> r;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) r.push_back(x[i] + sum - S(static_cast<double>(x.size() + 1)));
    r.push_back(product - S(1));
    return r;
  });
}

Made discrete_integral() {  // 29
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const std::size_t n = x.size();
    const double h = 1.0 / static_cast<double>(n + 1);
    const auto cube = [&](std::size_t j) {
      const S u = x[j] + S(static_cast<double>(j + 1) * h + 1);
      return u * u * u;
    };
    std::vector<S> r;
    for (std::size_t i = 0; i < n; ++i) {
      const double t = static_cast<double>(i + 1) * h;
      S below(0), above(0);
      for (std::size_t j = 0; j < n; ++j) {
        const double u = static_cast<double>(j + 1) * h;
        if (j <= i)
          below += S(u) * cube(j);
        else
          above += S(1 - u) * cube(j);
      }
      r.push_back(x[i] + S(h / 2) * (S(1 - t) * below + S(t) * above));
    }
    return r;
  });
}

Made broyden_banded() {  // 31
  return residuals_of([]<class S>(const std::vector<S>& x) {
    const int n = static_cast<int>(x.size());
    std::vector<S> r;
    for (int i = 0; i < n; ++i) {
      const S& xi = x[static_cast<std::size_t>(i)];
      S sum = xi * (S(2) + S(5) * square(xi)) + S(1);
      for (int j = std::max(0, i - 5); j <= std::min(n - 1, i + 1); ++j)
        if (j != i) sum += -(x[static_cast<std::size_t>(j)] * (S(1) + x[static_cast<std::size_t>(j)]));
      r.push_back(sum);
    }
    return r;
  });
}

Made residuals_numbered(int number) {
  static const std::map<int, std::function<Made()>> table{{1, rosenbrock},
                                                          {3, powell_badly_scaled},
                                                          {5, beale},
                                                          {7, helical_valley},
                                                          {9, gaussian},
                                                          {11, gulf},
                                                          {13, powell_singular},
                                                          {15, kowalik_osborne},
                                                          {17, osborne_1},
                                                          {19, osborne_2},
                                                          {21, rosenbrock},
                                                          {23, penalty_1},
                                                          {25, variably_dimensioned},
                                                          {27, brown_almost_linear},
                                                          {29, discrete_integral},
                                                          {31, broyden_banded}};
  return table.at(number)();
}

void append(const nlohmann::json& numbers, Data& out) {
  if (numbers.is_array())
    for (const auto& inner : numbers) append(inner, out);
  else
    out.push_back(std::stod(numbers.get<std::string>()));
}

MghPoint point_of(const nlohmann::json& j) {
  MghPoint p;
  append(j["x"], p.x);
  p.value = std::stod(j["f"].get<std::string>());
  if (j.contains("g")) append(j["g"], p.gradient);
  append(j["H"], p.hessian);
  return p;
}

}  // namespace

std::vector<MghProblem> mgh_problems() {
  const auto problems = nlohmann::json::parse(test_file("data/golden/mgh_unconstrained.json"));
  std::vector<MghProblem> out;
  for (const auto& [key, j] : problems.items()) {
    MghProblem p;
    p.number = std::stoi(key);
    p.name = j["name"].get<std::string>();
    p.residuals = residuals_numbered(p.number);
    for (const auto& point : j["points"]) p.points.push_back(point_of(point));
    p.minimum = point_of(j["minimum"]);
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace hso::test
