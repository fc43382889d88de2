// SPDX-License-Identifier: Apache-2.0
//
// What a recurrence keeps between its rules (detail/elements/recurrent.hpp says what the records hold). The steps come
// first, [L][B][...], with one more in front where the step before is read.
#pragma once

#include "hsogpu/core/types.hpp"

namespace hso::detail {

struct RecurrentSizes {
  Index batch, length, width;
  Index step() const { return batch * width; }
};

template <class T>
struct RecurrentLanes {
  T* data;
  Index stride;
};

/// Of the point: h and point records by forward, dz and adjoint records by backward.
template <class T, class Cell>
struct RecurrentSaved {
  T *h, *point, *rows, *adjoint;
  RecurrentSaved(T* memory, const RecurrentSizes& s)
      : h(memory),
        point(h + s.step() * (s.length + 1)),
        rows(point + s.step() * (s.length + 1) * Cell::kPoint),
        adjoint(rows + s.step() * s.length * Cell::kRow) {}
  static Index elements(const RecurrentSizes& s) {
    return s.step() * ((s.length + 1) * (1 + Cell::kPoint) + s.length * (Cell::kRow + Cell::kAdjoint));
  }
};

/// Of each lane: Rh and tangent records by jvp, and room for what a walk over the steps makes (Rp, then Rdz or dz).
template <class T, class Cell>
struct RecurrentKept {
  T *h, *tangent, *work;
  Index stride;
  RecurrentKept(T* memory, const RecurrentSizes& s)
      : h(memory),
        tangent(h + s.step() * (s.length + 1)),
        work(tangent + s.step() * (s.length + 1) * Cell::kTangent),
        stride(elements(s)) {}
  static Index elements(const RecurrentSizes& s) {
    return s.step() * ((s.length + 1) * (1 + Cell::kTangent) + s.length * Cell::kRow);
  }
};

}  // namespace hso::detail
