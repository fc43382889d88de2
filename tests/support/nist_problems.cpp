// SPDX-License-Identifier: Apache-2.0
#include "support/nist_problems.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>

#include "support/test_file.hpp"

namespace hso::test {
namespace {

using std::numbers::pi;

/// y in the first column, then one or two predictors.
struct Table {
  std::vector<double> y, x, x2;
};

/// The header names the lines: "Data (lines 61 to 74)".
Table read_table(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::size_t first = 0, last = 0;
  for (const std::string& line : lines)
    if (const auto at = line.find("(lines"); line.find("Data") != std::string::npos && at != std::string::npos)
      std::sscanf(line.c_str() + at, "(lines %zu to %zu)", &first, &last);
  Table t;
  for (std::size_t i = first; i >= 1 && i <= last && i <= lines.size(); ++i) {
    std::istringstream numbers(lines[i - 1]);
    double y = 0, x = 0, x2 = 0;
    numbers >> y >> x;
    t.y.push_back(y);
    t.x.push_back(x);
    if (numbers >> x2) t.x2.push_back(x2);
  }
  return t;
}

/// r_k = model(b, x_k) - y_k
template <class Model>
std::shared_ptr<const Residuals> fit(const Table& t, Model model) {
  return residuals_of([t, model]<class S>(const std::vector<S>& b) {
    std::vector<S> r;
    r.reserve(t.y.size());
    for (std::size_t k = 0; k < t.y.size(); ++k) r.push_back(model(b, t.x[k]) - S(t.y[k]));
    return r;
  });
}

template <class S>
S square(const S& x) {
  return x * x;
}

std::shared_ptr<const Residuals> nelson(const Table& t) {
  return residuals_of([t]<class S>(const std::vector<S>& b) {
    std::vector<S> r;
    for (std::size_t k = 0; k < t.y.size(); ++k)
      r.push_back(b[0] - b[1] * S(t.x[k]) * exp(-b[2] * S(t.x2[k])) - S(std::log(t.y[k])));
    return r;
  });
}

std::shared_ptr<const Residuals> exponentials(const std::string& name, const Table& t) {
  if (name == "Misra1a" || name == "BoxBOD")
    return fit(t, []<class S>(const std::vector<S>& b, double x) { return b[0] * (S(1) - exp(-b[1] * S(x))); });
  if (name == "Chwirut2")
    return fit(t, []<class S>(const std::vector<S>& b, double x) { return exp(-b[0] * S(x)) / (b[1] + b[2] * S(x)); });
  if (name == "Lanczos3")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] * exp(-b[1] * S(x)) + b[2] * exp(-b[3] * S(x)) + b[4] * exp(-b[5] * S(x));
    });
  if (name == "Gauss1")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] * exp(-b[1] * S(x)) + b[2] * exp(-square((S(x) - b[3]) / b[4])) +
             b[5] * exp(-square((S(x) - b[6]) / b[7]));
    });
  if (name == "MGH17")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] + b[1] * exp(-b[3] * S(x)) + b[2] * exp(-b[4] * S(x));
    });
  if (name == "Rat42")
    return fit(t, []<class S>(const std::vector<S>& b, double x) { return b[0] / (S(1) + exp(b[1] - b[2] * S(x))); });
  if (name == "Eckerle4")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] / b[1] * exp(S(-0.5) * square((S(x) - b[2]) / b[1]));
    });
  return nullptr;
}

std::shared_ptr<const Residuals> rational(const std::string& name, const Table& t) {
  if (name == "Kirby2")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return (b[0] + b[1] * S(x) + b[2] * S(x * x)) / (S(1) + b[3] * S(x) + b[4] * S(x * x));
    });
  if (name == "MGH09")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] * (S(x * x) + S(x) * b[1]) / (S(x * x) + S(x) * b[2] + b[3]);
    });
  if (name == "Thurber")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return (b[0] + b[1] * S(x) + b[2] * S(x * x) + b[3] * S(x * x * x)) /
             (S(1) + b[4] * S(x) + b[5] * S(x * x) + b[6] * S(x * x * x));
    });
  if (name == "Misra1b")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] * (S(1) - S(1) / square(S(1) + b[1] * S(x / 2)));
    });
  return nullptr;
}

std::shared_ptr<const Residuals> others(const std::string& name, const Table& t) {
  if (name == "Misra1c")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] * (S(1) - S(1) / sqrt(S(1) + S(2 * x) * b[1]));
    });
  if (name == "DanWood")
    return fit(t, []<class S>(const std::vector<S>& b, double x) { return b[0] * exp(b[1] * S(std::log(x))); });
  if (name == "Roszman1")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      return b[0] - b[1] * S(x) - atan(b[2] / (S(x) - b[3])) * S(1 / pi);
    });
  if (name == "ENSO")
    return fit(t, []<class S>(const std::vector<S>& b, double x) {
      const S u = S(2 * pi * x) / b[3], v = S(2 * pi * x) / b[6];
      return b[0] + b[1] * S(std::cos(pi * x / 6)) + b[2] * S(std::sin(pi * x / 6)) + b[4] * cos(u) + b[5] * sin(u) +
             b[7] * cos(v) + b[8] * sin(v);
    });
  if (name == "Bennett5")
    return fit(t, []<class S>(const std::vector<S>& b, double x) { return b[0] * exp(-log(b[1] + S(x)) / b[2]); });
  return nullptr;
}

std::shared_ptr<const Residuals> model_of(const std::string& name, const Table& t) {
  if (name == "Nelson") return nelson(t);
  for (auto* family : {exponentials, rational, others})
    if (auto found = family(name, t)) return found;
  throw std::logic_error("no model is written for the NIST problem " + name);
}

/// The terms that may change places.
std::vector<std::vector<int>> permutations_of(const std::string& name) {
  if (name == "Gauss1") return {{0, 1, 5, 6, 7, 2, 3, 4}};
  if (name == "MGH17") return {{0, 2, 1, 4, 3}};
  if (name == "ENSO") return {{0, 1, 2, 6, 7, 8, 3, 4, 5}};
  if (name == "Lanczos3")
    return {{0, 1, 4, 5, 2, 3}, {2, 3, 0, 1, 4, 5}, {2, 3, 4, 5, 0, 1}, {4, 5, 0, 1, 2, 3}, {4, 5, 2, 3, 0, 1}};
  return {};
}

/// Numbers as text, of vectors and of matrices.
std::vector<double> numbers(const nlohmann::json& list) {
  std::vector<double> out;
  for (const auto& entry : list)
    if (entry.is_array())
      for (const auto& text : entry) out.push_back(std::stod(text.get<std::string>()));
    else
      out.push_back(std::stod(entry.get<std::string>()));
  return out;
}

NistPoint point_of(const nlohmann::json& j, const std::vector<double>& b) {
  return {b, numbers(j["grad"]), numbers(j["hess"]), numbers(j["gauss_newton"]), std::stod(j["f"].get<std::string>())};
}

double digits_between(const std::vector<double>& got, const std::vector<double>& want) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]) / std::fabs(want[i]);
    worst = error <= worst ? worst : error;  // NaN is the worst
  }
  if (std::isnan(worst)) return -std::numeric_limits<double>::infinity();
  return worst > 0 ? -std::log10(worst) : 17;
}

}  // namespace

std::vector<NistProblem> nist_problems() {
  const auto golden = nlohmann::json::parse(test_file("data/golden/nist_strd_nonlinear.json"));
  std::vector<NistProblem> out;
  for (const auto& [name, j] : golden.items()) {
    NistProblem p;
    p.name = name;
    p.residuals = model_of(name, read_table(test_file("data/nist_strd/" + name + ".dat")));
    p.starts = {numbers(j["start1"]), numbers(j["start2"])};
    p.certified = numbers(j["certified"]);
    p.certified_sd = numbers(j["certified_sd"]);
    p.points = {point_of(j["half_rss_at_start1"], p.starts[0]), point_of(j["half_rss_at_start2"], p.starts[1]),
                point_of(j["half_rss_at_certified"], p.certified)};
    p.rss = std::stod(j["rss"].get<std::string>());
    p.observations = j["nobs"].get<int>();
    p.permutations = permutations_of(name);
    out.push_back(std::move(p));
  }
  return out;
}

double correct_digits(const NistProblem& problem, const std::vector<double>& b) {
  double best = digits_between(b, problem.certified);
  for (const auto& order : problem.permutations) {
    std::vector<double> moved(b.size());
    for (std::size_t i = 0; i < b.size(); ++i) moved[i] = b[static_cast<std::size_t>(order[i])];
    best = std::max(best, digits_between(moved, problem.certified));
  }
  return best;
}

}  // namespace hso::test
