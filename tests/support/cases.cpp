// SPDX-License-Identifier: Apache-2.0
#include "support/cases.hpp"

#include <cmath>
#include <random>
#include <stdexcept>

#include "support/reference_tensors.hpp"

namespace hso::test {

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> out;
    add_dense_cases(out);
    add_wiring_cases(out);
    add_image_cases(out);
    add_sequence_cases(out);
    add_batch_norm_cases(out);
    return out;
  }();
  return all;
}

const Case& case_named(const std::string& name) {
  for (const Case& c : cases())
    if (c.name == name) return c;
  throw std::logic_error("no test case is called " + name);
}

Numbers random_numbers(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto uniform = [&] { return (static_cast<double>(engine() >> 11) + 0.5) * 0x1p-53; };
  Numbers out(n);
  for (double& x : out) {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    x = static_cast<float>(radius * std::cos(6.28318530717958647693 * uniform()));
  }
  return out;
}

namespace {

std::size_t size_of(const Net& net, Layer::Kind kind) {
  std::size_t size = 0;
  for (const Layer& l : net.layers)
    if (l.kind == kind) {
      size = 1;
      for (int extent : l.shape) size *= static_cast<std::size_t>(extent);
    }
  return size;
}

/// Labels for cross_entropy, -1 for none; 0, 1 and values between for bce; any numbers for squared_error.
Numbers targets(const Problem& p, std::uint64_t seed) {
  const Layer& loss = p.net->layers[static_cast<std::size_t>(p.net->loss)];
  const auto batch = static_cast<std::size_t>(p.batch);
  Numbers t = random_numbers(batch * size_of(*p.net, Layer::Kind::target), seed);
  if (loss.kind == Layer::Kind::squared_error || loss.kind == Layer::Kind::huber) return t;
  const std::size_t classes = reference_values(p, loss.in[0]).size() / t.size();
  for (std::size_t i = 0; i < t.size(); ++i) {
    const double positive = std::fabs(t[i]);
    // Of the positions of a sequence some do not count; of the first sample none does.
    const std::size_t positions = t.size() / batch;
    if (loss.kind == Layer::Kind::cross_entropy && positions > 1 && (i < positions || i % 4 == 3))
      t[i] = -1;
    else if (loss.kind == Layer::Kind::cross_entropy)
      t[i] = static_cast<double>(static_cast<std::size_t>(1000 * positive) % classes);
    else
      t[i] = i % 3 == 0 ? std::fmod(positive, 1.0) : static_cast<double>(i % 3 - 1);
  }
  return t;
}

/// Where the input goes into a table of rows: whole numbers below the count of its rows.
void make_tokens(Problem& p) {
  for (const Layer& l : p.net->layers) {
    if (l.kind != Layer::Kind::layer || !(l.name.starts_with("embedding") || l.name.starts_with("one_hot"))) continue;
    const auto count = static_cast<std::size_t>(LayerLine(l.name).number("count", 0));
    for (double& x : p.x) x = static_cast<double>(static_cast<std::size_t>(1000 * std::fabs(x)) % count);
  }
}

}  // namespace

Problem problem_of(const Case& c) {
  Problem p;
  p.net = &c.net;
  p.batch = c.batch;
  p.training = c.training;
  const auto batch = static_cast<std::size_t>(c.batch);
  p.theta = random_numbers(static_cast<std::size_t>(c.net.parameters), 3 * c.seed);
  for (double& x : p.theta) x = static_cast<float>(0.7 * x);
  p.x = random_numbers(batch * size_of(c.net, Layer::Kind::input), 3 * c.seed + 1);
  make_tokens(p);
  p.t = targets(p, 3 * c.seed + 2);
  p.weights.assign(batch, 1.0 / c.batch);
  return p;
}

}  // namespace hso::test
