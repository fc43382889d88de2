// SPDX-License-Identifier: Apache-2.0
#include "support/runner.hpp"

#include <limits>

namespace hso::test {
namespace {

template <class T>
Numbers values(Context& context, const View<const T>& view) {
  std::vector<T> host(static_cast<std::size_t>(view.size()));
  context.to_host(view.data, host.data(), view.size() * static_cast<Index>(sizeof(T)));
  return {host.begin(), host.end()};
}

template <class T>
Buffer<T> device_copy(Context& context, const Numbers& x) {
  const std::vector<T> host(x.begin(), x.end());
  return Buffer<T>(context, Span<const T>(host));
}

/// What a result that is not added to must overwrite.
Numbers unset(std::size_t n) { return Numbers(n, std::numeric_limits<double>::quiet_NaN()); }

}  // namespace

Problem problem_on(Context& context, const Case& c) {
  Problem p = problem_of(c);
  for (int i = 0; c.training && i < static_cast<int>(c.net.layers.size()); ++i) {
    const Layer& layer = c.net.layers[static_cast<std::size_t>(i)];
    if (layer.kind != Layer::Kind::dropout) continue;
    const Graph<double> graph = graph_of<double>(c.net, i);
    Tape<double> tape(context, graph, c.batch);
    tape.set_training(true, kStep);
    tape.bind(p.x, p.t);
    Buffer<double> theta(context, Span<const double>(p.theta));
    tape.forward(theta.data());
    for (double y : values(context, tape.output())) p.masks[i].push_back(y == 0 ? 0 : 1 / (1 - layer.number));
  }
  return p;
}

template <class T>
Runner<T>::Runner(Context& on, const Case& c, Index lanes) : Runner(on, problem_on(on, c), lanes) {}

template <class T>
Runner<T>::Runner(Context& on, const Problem& p, Index lanes)
    : context(on),
      problem(p),
      graph(graph_of<T>(*p.net)),
      tape(on, graph, p.batch, lanes),
      theta(device_copy<T>(on, p.theta)) {
  tape.set_training(p.training, kStep);
  bind(0, p.batch, 0);
}

template <class T>
void Runner<T>::bind(int first, int rows, double weight) {
  const auto slice = [&](const Numbers& all) {
    const auto row = static_cast<std::ptrdiff_t>(all.size()) / problem.batch;
    return std::vector<T>(all.begin() + first * row, all.begin() + (first + rows) * row);
  };
  const std::vector<T> x = slice(problem.x), t = slice(problem.t);
  tape.bind(x, t, weight);
}

template <class T>
void Runner<T>::scribble_on_padding(int rows) {
  const Index row = tape.input().size() / problem.batch, size = (problem.batch - rows) * row;
  const std::vector<T> numbers = narrow(random_numbers(static_cast<std::size_t>(size), 77));
  context.to_device(numbers.data(), tape.input().data + rows * row, size * static_cast<Index>(sizeof(T)));
}

template <class T>
Numbers Runner<T>::gradient(const Numbers& start) {
  Buffer<T> g = device_copy<T>(context, start.empty() ? unset(static_cast<std::size_t>(n())) : start);
  tape.gradient(theta.data(), g.data(), !start.empty());
  return widen(g.download());
}

template <class T>
Numbers Runner<T>::product(Curvature kind, const Numbers& v, const Numbers& start) {
  const Index k = static_cast<Index>(v.size()) / n();
  Buffer<T> in = device_copy<T>(context, v), out = device_copy<T>(context, start.empty() ? unset(v.size()) : start);
  tape.product(kind, vector_view<const T>(in.data(), n(), k), vector_view(out.data(), n(), k), !start.empty());
  return widen(out.download());
}

template <class T>
Numbers Runner<T>::dense(Curvature kind) {
  Buffer<T> h = device_copy<T>(context, unset(static_cast<std::size_t>(n() * n())));
  tape.dense(kind, h.data());
  return widen(h.download());
}

template <class T>
Numbers Runner<T>::dense_by_products(Curvature kind) {
  Numbers identity(static_cast<std::size_t>(n() * n()));
  for (Index i = 0; i < n(); ++i) identity[static_cast<std::size_t>(i * n() + i)] = 1;
  return product(kind, identity);
}

template <class T>
Numbers Runner<T>::output() const {
  return values(context, tape.output());
}
template <class T>
Numbers Runner<T>::next_statistics() {
  const View<T> all = tape.next_statistics();
  return values<T>(context, {all.data, all.shape, 1, all.size()});
}
template <class T>
Numbers Runner<T>::losses() const {
  return values(context, tape.losses());
}

template struct Runner<float>;
template struct Runner<double>;

}  // namespace hso::test
