// SPDX-License-Identifier: Apache-2.0
#include "support/matrix_methods.hpp"

#include <algorithm>
#include <cmath>

namespace hso::test {

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t l = 0; l < a.columns; ++l)
      for (std::size_t j = 0; j < b.columns; ++j) c(i, j) += a(i, l) * b(l, j);
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix c(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) c(j, i) = a(i, j);
  return c;
}

Matrix scaled_sum(double alpha, const Matrix& a, double beta, const Matrix& b) {
  Matrix c = a;
  for (std::size_t i = 0; i < c.entries.size(); ++i) c.entries[i] = alpha * a.entries[i] + beta * b.entries[i];
  return c;
}

namespace {

Matrix identity(std::size_t n) {
  Matrix out(n, n);
  for (std::size_t i = 0; i < n; ++i) out(i, i) = 1;
  return out;
}

/// a := J'aJ with the rotation that zeroes a(p, q).
void rotate(Matrix& a, Matrix& v, std::size_t p, std::size_t q) {
  if (a(p, q) == 0) return;
  const double angle = 0.5 * std::atan2(2 * a(p, q), a(q, q) - a(p, p));
  const double c = std::cos(angle), s = std::sin(angle);
  const auto mix = [&](double& x, double& y) {
    const double old = x;
    x = c * old - s * y;
    y = s * old + c * y;
  };
  for (std::size_t i = 0; i < a.rows; ++i) mix(a(i, p), a(i, q));
  for (std::size_t i = 0; i < a.rows; ++i) mix(a(p, i), a(q, i));
  for (std::size_t i = 0; i < a.rows; ++i) mix(v(i, p), v(i, q));
}

Matrix slice(const Numbers& g, const Tensor& t) {
  Matrix out(t.rows, t.columns);
  std::copy_n(g.begin() + static_cast<std::ptrdiff_t>(t.offset), out.entries.size(), out.entries.begin());
  return out;
}
void put(const Matrix& m, const Tensor& t, Numbers& out) {
  std::copy(m.entries.begin(), m.entries.end(), out.begin() + static_cast<std::ptrdiff_t>(t.offset));
}
double norm(const Matrix& a) {
  double sum = 0;
  for (double x : a.entries) sum += x * x;
  return std::sqrt(sum);
}

/// (a + epsilon I)^exponent
Matrix power(const Matrix& a, double epsilon, double exponent) {
  const Eigen e = jacobi(a);
  Matrix scaled = e.vectors;
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.rows; ++j) scaled(i, j) *= std::pow(std::max(e.values[j], 0.0) + epsilon, exponent);
  return scaled * transposed(e.vectors);
}

/// Everything off the diagonal dropped.
Matrix diagonal_of(const Matrix& a) {
  Matrix out(a.rows, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) out(i, i) = a(i, i);
  return out;
}

double adam(double g, double& m, double& v, double beta1, double beta2, double epsilon, double t) {
  m = beta1 * m + (1 - beta1) * g;
  v = beta2 * v + (1 - beta2) * g * g;
  return m / (1 - std::pow(beta1, t)) / (std::sqrt(v / (1 - std::pow(beta2, t))) + epsilon);
}

}  // namespace

Eigen jacobi(Matrix a) {
  Matrix v = identity(a.rows);
  for (int sweep = 0; sweep < 30; ++sweep)
    for (std::size_t p = 0; p < a.rows; ++p)
      for (std::size_t q = p + 1; q < a.rows; ++q) rotate(a, v, p, q);
  Eigen out{Numbers(a.rows), v};
  for (std::size_t i = 0; i < a.rows; ++i) out.values[i] = a(i, i);
  return out;
}

std::vector<Tensor> tensors_of(const std::vector<ParameterInfo>& parameters) {
  std::vector<Tensor> out;
  for (const ParameterInfo& p : parameters) {
    const auto size = static_cast<std::size_t>(p.shape.size());
    const std::size_t rows = p.shape.rank() < 2 ? 1 : static_cast<std::size_t>(p.shape[0]);
    out.push_back({static_cast<std::size_t>(p.offset), rows, size / rows});
  }
  return out;
}

Numbers ReferenceShampoo::step(const Numbers& g) {
  if (steps_ == 0) {
    velocity_.assign(g.size(), 0.0);
    for (const Tensor& t : tensors) {
      left_.emplace_back(t.rows, t.rows);
      right_.emplace_back(t.columns, t.columns);
    }
    left_root_ = left_;
    right_root_ = right_;
  }
  Numbers out(g.size());
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Tensor& t = tensors[k];
    const Matrix x = slice(g, t);
    const double share = beta < 1 ? 1 - beta : 1, exponent = t.matrix() ? -0.25 : -0.5;
    left_[k] = scaled_sum(beta, left_[k], share, x * transposed(x));
    right_[k] = scaled_sum(beta, right_[k], share, transposed(x) * x);
    if (t.rows > max_dimension) left_[k] = diagonal_of(left_[k]);
    if (t.columns > max_dimension) right_[k] = diagonal_of(right_[k]);
    if (steps_ % refresh == 0) {
      left_root_[k] = t.matrix() ? power(left_[k], epsilon, exponent) : identity(1);
      right_root_[k] = power(right_[k], epsilon, exponent);
    }
    Matrix p = left_root_[k] * x * right_root_[k];
    if (graft) p = scaled_sum(norm(x) / norm(p), p, 0, p);
    put(p, t, out);
  }
  ++steps_;
  for (std::size_t i = 0; i < out.size(); ++i) {
    velocity_[i] = momentum * velocity_[i] + out[i];
    out[i] = -rate * velocity_[i];
  }
  return out;
}

Numbers ReferenceSoap::step(const Numbers& g) {
  const auto update = [&](std::size_t k, const Matrix& x) {
    left_[k] = scaled_sum(shampoo_beta, left_[k], 1 - shampoo_beta, x * transposed(x));
    right_[k] = scaled_sum(shampoo_beta, right_[k], 1 - shampoo_beta, transposed(x) * x);
  };
  const auto renew = [&](std::size_t k) {
    const bool matrix = tensors[k].matrix();
    if (matrix && tensors[k].rows <= max_dimension) ql_[k] = jacobi(left_[k]).vectors;
    if (matrix && tensors[k].columns <= max_dimension) qr_[k] = jacobi(right_[k]).vectors;
  };
  const bool first = steps_++ == 0;
  if (first) {
    m_ = v_ = Numbers(g.size());
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      left_.emplace_back(tensors[k].rows, tensors[k].rows);
      right_.emplace_back(tensors[k].columns, tensors[k].columns);
      ql_.push_back(identity(tensors[k].rows));
      qr_.push_back(identity(tensors[k].columns));
      update(k, slice(g, tensors[k]));
      renew(k);
    }
  }
  Numbers out(g.size());
  const auto t = static_cast<double>(steps_);
  for (std::size_t i = 0; i < g.size(); ++i) m_[i] = beta1 * m_[i] + (1 - beta1) * g[i];
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Matrix x = slice(g, tensors[k]);
    const Matrix rotated = transposed(ql_[k]) * x * qr_[k];
    Matrix n = transposed(ql_[k]) * slice(m_, tensors[k]) * qr_[k];
    for (std::size_t i = 0; i < n.entries.size(); ++i) {
      double& v = v_[tensors[k].offset + i];
      v = beta2 * v + (1 - beta2) * rotated.entries[i] * rotated.entries[i];
      n.entries[i] *= -rate / (1 - std::pow(beta1, t)) / (std::sqrt(v / (1 - std::pow(beta2, t))) + epsilon);
    }
    put(ql_[k] * n * transposed(qr_[k]), tensors[k], out);
    if (!first) update(k, x);
    if (steps_ % refresh == 0) renew(k);
  }
  return out;
}

Numbers ReferenceMuon::step(const Numbers& g) {
  if (steps_++ == 0) m_ = v_ = Numbers(g.size());
  Numbers out(g.size());
  for (const Tensor& t : tensors) {
    if (!t.matrix()) {
      for (std::size_t i = t.offset; i < t.offset + t.rows * t.columns; ++i)
        out[i] = -adam_rate * adam(g[i], m_[i], v_[i], beta1, beta2, epsilon, static_cast<double>(steps_));
      continue;
    }
    const Matrix now = slice(g, t), mean = scaled_sum(momentum, slice(m_, t), 1, now);
    put(mean, t, m_);
    Matrix x = nesterov ? scaled_sum(momentum, mean, 1, now) : mean;
    x = scaled_sum(1 / norm(x), x, 0, x);
    for (int i = 0; i < 5; ++i) {
      const Matrix a = x * transposed(x), b = scaled_sum(-4.7750, a, 2.0315, a * a);
      x = scaled_sum(3.4445, x, 1, b * x);
    }
    const double shape = std::sqrt(std::max(1.0, static_cast<double>(t.rows) / static_cast<double>(t.columns)));
    put(scaled_sum(-rate * shape, x, 0, x), t, out);
  }
  return out;
}

}  // namespace hso::test
