// SPDX-License-Identifier: Apache-2.0
//
// What the doubles of cuBLAS and cuSOLVER share: the memory that a call touches, and handles that are in use.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "device.hpp"

namespace hso::emulated {

/// A column-major matrix in device memory, or a batch of them; sizes and distances in bytes. An operand without
/// elements is never looked at.
struct Operand {
  std::string name;
  const void* data = nullptr;
  std::int64_t column_bytes = 0, columns = 0, pitch = 0;  ///< pitch: from one column to the next
  std::int64_t batch = 1, stride = 0;                     ///< stride: from one matrix to the next
  bool written = false;
};

template <class T>
Operand matrix(std::string name, const T* data, std::int64_t rows, std::int64_t columns, std::int64_t ld,
               bool written) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  return {std::move(name), data, rows * kSize, columns, ld * kSize, 1, 0, written};
}
template <class T>
Operand array(std::string name, T* data, std::int64_t count) {
  return matrix(std::move(name), data, count, 1, count, true);
}

/// Violation unless each operand lies in one live block of the device, and unless what is written is disjoint from
/// every other operand and, in a batch, from the other matrices.
void require_operands(const std::string& call, int device, const std::vector<Operand>& operands);
/// The first of these two alone: work that runs later, or again from a graph, finds its memory still there.
void require_live(const std::string& call, const std::vector<Operand>& operands);
/// Memory of the operands; a matrix that all of a batch read is counted once.
std::int64_t operand_bytes(const std::vector<Operand>& operands);

/// The size for a library with 32-bit integers. Violation when it does not fit: such a call cannot be emulated.
int narrow(std::int64_t size, const std::string& call);

/// Column by column, NaN into what a routine may leave with any value.
template <class T>
void fill_nan(T* a, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) a[i + j * ld] = std::numeric_limits<T>::quiet_NaN();
}

/// The handles of one kind that were created and not yet destroyed.
template <class Raw>
class LiveHandles {
 public:
  void add(Raw handle) {
    handles_.insert(handle);
    count_handle(1);
  }
  void require(Raw handle, const std::string& call) const {
    if (!handles_.contains(handle)) violation(call + ": the handle was destroyed, or is none");
  }
  void remove(Raw handle, const std::string& call) {
    require(handle, call);
    handles_.erase(handle);
    count_handle(-1);
  }

 private:
  std::set<Raw> handles_;
};

}  // namespace hso::emulated
