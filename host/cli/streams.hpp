// SPDX-License-Identifier: Apache-2.0
//
// Standard output and standard error that may be full, closed or a pipe that nobody reads: work goes on, and the exit
// code says so.
#pragma once

#include <csignal>
#include <cstdio>

namespace hso::cli {

/// While one lives, whatever is printed to stdout and stderr goes to file descriptors 1 and 2, and a write that fails
/// is remembered instead of reported: printing never throws. Descriptors that were closed at the start are occupied, so
/// that no file takes their place; signals of pipes and of the limit of file sizes become errors of the write.
class Streams {
 public:
  Streams();
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Writes out what is left. `code`, or kOutputLost where that is 0 and something printed did not arrive; then says so
  /// on standard error, as far as that can be written.
  int finish(int code);
  /// finish() of the one that lives, then the end of the process at once: other threads may be at work.
  [[noreturn]] static void end_process(int code);

  static constexpr int kOutputLost = 7;

 private:
  struct Sink {
    int fd;
    bool closed = false;
    int error = 0;  ///< errno of the first write that failed
  };
  static FILE* open(Sink& sink, int buffering);
  static void occupy(Sink& sink);
  void replace();

  static Streams* living_;
  // Never freed, as are the files that write to them: a library that was opened meanwhile may have taken stdout for its
  // own and flush it when the process ends, as cuBLAS does.
  Sink& out_ = *new Sink{1};
  Sink& err_ = *new Sink{2};
  FILE *own_out_ = nullptr, *own_err_ = nullptr, *old_out_ = nullptr, *old_err_ = nullptr;
  struct sigaction pipe_, size_;
};

}  // namespace hso::cli
