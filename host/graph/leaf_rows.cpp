// SPDX-License-Identifier: Apache-2.0
#include "graph/leaf_rows.hpp"

#include <algorithm>

#include "graph/traversal.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {
namespace {

/// Every piece of rows is computed by the same launches: where those are replayed, the position of the unit vectors and
/// the results stay in one place, and the results are copied from there.
template <class T>
class LeafRows {
 public:
  LeafRows(Tape<T>& tape, Curvature kind, std::size_t leaf, Index begin, Index width)
      : tape_(tape),
        ops_(tape.context().template ops<T>()),
        kind_(kind),
        leaf_(leaf),
        begin_(begin),
        width_(width),
        shape_(tape.graph()[tape.leaves()[leaf]].shape),
        scratch_(tape.context()),
        position_(scratch_.template take<Index>(1)),
        seeds_(scratch_.template take<T>(most() * shape_.size())),
        fixed_(tape.traversal().replays() ? scratch_.template take<T>(most() * width) : nullptr),
        tangents_(tape.leaves().size()),
        results_(tape.leaves().size()) {}

  void run(T* rows, Index stride, bool add) {
    for (Index first = 0; first < shape_.size(); first += most()) {
      check_interrupted();
      const Index count = std::min(most(), shape_.size() - first);
      seed(first, count);
      T* to = rows + first * stride;
      if (fixed_ == nullptr) {
        multiply(to, stride, count, add);
        continue;
      }
      multiply(fixed_, width_, count, false);
      ops_.for_each(count, width_, Axpby<T>{T(1), fixed_, width_, add ? T(1) : T(0), to, stride});
    }
  }

 private:
  Index most() const { return std::min(tape_.lanes(), shape_.size()); }

  void seed(Index first, Index count) {
    ops_.for_each(1, 1, SetIndex<T>{position_, first});
    ops_.for_each(count, shape_.size(), UnitVectors<T>{seeds_, shape_.size(), first});
    tangents_[leaf_] = {seeds_, shape_, count, shape_.size(), position_};
  }

  void multiply(T* to, Index stride, Index count, bool add) {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const auto& other = tape_.graph()[tape_.leaves()[i]];
      if (other.offset >= begin_ && other.offset < begin_ + width_)
        results_[i] = {to + other.offset - begin_, other.shape, count, stride};
    }
    tape_.product(kind_, Span<const View<T>>(tangents_), Span<const View<T>>(results_), add);
  }

  Tape<T>& tape_;
  Ops<T>& ops_;
  Curvature kind_;
  std::size_t leaf_;
  Index begin_, width_;
  Shape shape_;
  Scratch scratch_;
  Index* position_;
  T* seeds_;
  T* fixed_;
  std::vector<View<T>> tangents_, results_;
};

}  // namespace

template <class T>
void leaf_rows(Tape<T>& tape, Curvature kind, std::size_t leaf, Index begin, Index width, T* rows, Index stride,
               bool add) {
  LeafRows<T>(tape, kind, leaf, begin, width).run(rows, stride, add);
}

template void leaf_rows(Tape<float>&, Curvature, std::size_t, Index, Index, float*, Index, bool);
template void leaf_rows(Tape<double>&, Curvature, std::size_t, Index, Index, double*, Index, bool);

}  // namespace hso::detail
