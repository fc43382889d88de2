// SPDX-License-Identifier: Apache-2.0
//
// Misuse and resource failures throw one of these kinds; numerical outcomes are values in results, never exceptions.
// Messages start with the function, file, line or flag at fault, then say what was found and what was expected.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace hso {

/// The kinds map one to one to the exit codes of the program `hso`.
enum class ErrorKind : int {
  usage = 2,      ///< a flag, an option or an argument is wrong
  input = 3,      ///< a file or the data in it is wrong; shapes that do not fit
  memory = 4,     ///< memory or disk space is not there
  numerical = 5,  ///< a computation that was asked for cannot be done in these numbers
  device = 6,     ///< no such device, driver missing, device lost
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

struct UsageError : Error {
  explicit UsageError(const std::string& m) : Error(ErrorKind::usage, m) {}
};
struct InputError : Error {
  explicit InputError(const std::string& m) : Error(ErrorKind::input, m) {}
};
struct MemoryError : Error {
  explicit MemoryError(const std::string& m) : Error(ErrorKind::memory, m) {}
};
struct NumericalError : Error {
  explicit NumericalError(const std::string& m) : Error(ErrorKind::numerical, m) {}
};
struct DeviceError : Error {
  explicit DeviceError(const std::string& m) : Error(ErrorKind::device, m) {}
};

}  // namespace hso
