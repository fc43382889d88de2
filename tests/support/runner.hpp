// SPDX-License-Identifier: Apache-2.0
//
// A problem on a tape, with host numbers in and out.
#pragma once

#include "hsogpu/graph/tape.hpp"
#include "support/cases.hpp"
#include "support/graph_of.hpp"

namespace hso::test {

/// The case's problem with the masks of its dropout layers, read from the values that the library's layers give.
Problem problem_on(Context& context, const Case& c);

template <class T>
struct Runner {
  /// Binds the whole batch; training mode as the case says.
  Runner(Context& context, const Case& c, Index lanes = 4);
  Runner(Context& context, const Problem& problem, Index lanes = 4);

  Index n() const { return tape.dimension(); }
  void set_theta(const Numbers& x) { theta.upload(narrow(x)); }
  /// The first `rows` rows from row `first` of the problem; the weight of each.
  void bind(int first, int rows, double weight);
  /// Random inputs into the rows of the tape from row `rows` on.
  void scribble_on_padding(int rows);
  double linearize(Linearization purpose = Linearization::for_hessian) {
    return tape.linearize(theta.data(), nullptr, purpose);
  }
  /// start + gradient; zero when not given.
  Numbers gradient(const Numbers& start = {});
  /// start + curvature V at the linearised point; V holds whole lanes of n.
  Numbers product(Curvature kind, const Numbers& v, const Numbers& start = {});
  Numbers dense(Curvature kind);
  /// Row k is the product with e_k.
  Numbers dense_by_products(Curvature kind);
  Numbers output() const;
  Numbers losses() const;
  Numbers next_statistics();

  static std::vector<T> narrow(const Numbers& x) { return {x.begin(), x.end()}; }
  static Numbers widen(const std::vector<T>& x) { return {x.begin(), x.end()}; }

  Context& context;
  Problem problem;
  Graph<T> graph;
  Tape<T> tape;
  Buffer<T> theta;
};

}  // namespace hso::test
