// SPDX-License-Identifier: Apache-2.0
//
// The program as a process of its own, for what would end the tests: signals, closed streams, limits, kills.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace hso::test {

class Child {
 public:
  /// Starts `hso` with these arguments under a shell that runs `hso_command`, in which "$@" are the program and its
  /// arguments: `exec "$@" 2>/dev/full`. One thread, output to /dev/null where the command does not say otherwise.
  explicit Child(const std::vector<std::string>& arguments, const std::string& command = R"(exec "$@")");
  /// Kills what still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const;
  /// Threads that it has now; 0 when it has ended.
  int threads() const;
  bool runs();
  /// The exit code, 128 + N after signal N; -1 when it has not ended after this many seconds.
  int wait(double seconds = 60);
  /// The most memory that it held, once it has ended.
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  pid_t pid_ = -1;
  int code_ = -1;
  std::size_t peak_bytes_ = 0;
};

/// Waits until the condition holds; false after `seconds`.
bool eventually(const std::function<bool()>& condition, double seconds = 30);

}  // namespace hso::test
