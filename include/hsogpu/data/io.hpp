// SPDX-License-Identifier: Apache-2.0
//
// Arrays on disk: NumPy `.npy` (format 1.0 to 3.0), its archives `.npz`, and safetensors.
// Writers write to a temporary name beside the target (NAME.tmp-PID-N, which a killed process leaves behind), flush,
// and rename: a reader never sees half a file. Errors: InputError (path, what was found, what was expected) for files
// that are wrong or cannot be opened, MemoryError when the disk is full.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Any array, converted to double. `integral` tells whether the file held an integer or boolean type.
struct Array {
  Shape shape;
  std::vector<double> values;
  bool integral = false;
  std::string dtype{};  ///< of .npy: the file's number type as numpy calls it, "float64"
};

/// C or Fortran order, little or big endian, float16/32/64, (u)int8..64, bool. Rank at most Shape::kMaxRank.
Array read_npy(const std::string& path);

/// One array of a .npz file (numpy.savez, savez_compressed). InputError lists the arrays when there is none of this
/// name.
Array read_npz(const std::string& path, const std::string& name);

/// Little-endian float32 ("<f4") or float64 ("<f8") after T; C order.
template <class T>
void write_npy(const std::string& path, const Shape& shape, Span<const T> values);

/// Named tensors in one file, plus string metadata (https://github.com/huggingface/safetensors, "Format").
struct SafeTensors {
  std::map<std::string, Array> tensors;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::string> unread{};  ///< tensors of other types, such as F8_E4M3: the type of each
};
SafeTensors read_safetensors(const std::string& path);  ///< reads F16, BF16, F32, F64, I8..I64, U8..U64, BOOL

struct NamedTensor {
  std::string name;
  Shape shape;
  Span<const double> values;
  std::string dtype{};  ///< "F32", "F64" or "U8" (whole numbers from 0 to 255); empty: that of the file's precision
};
/// Stores each tensor as its dtype says, else F32 or F64 (`precision` "float32" or "float64"), in the order given.
void write_safetensors(const std::string& path, Span<const NamedTensor> tensors, std::string_view precision,
                       const std::map<std::string, std::string>& metadata = {});

/// Writes the text to a temporary file and renames it to `path`.
void write_text_atomically(const std::string& path, std::string_view text);

/// The whole file; InputError names the path when it cannot be read.
std::string read_text(const std::string& path);

}  // namespace hso
