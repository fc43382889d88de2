// SPDX-License-Identifier: Apache-2.0
#include "cli/streams.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hso::cli {
namespace {

void ignore(int signal, struct sigaction& before) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, &before);
}

}  // namespace

Streams* Streams::living_ = nullptr;

Streams::Streams() {
  living_ = this;
  ignore(SIGPIPE, pipe_);
  ignore(SIGXFSZ, size_);
  for (Sink* sink : {&out_, &err_}) occupy(*sink);
  std::fflush(stdout);
  std::fflush(stderr);
  replace();
}

/// Lower descriptors are given out first: without this a file that is opened later would get what is printed.
void Streams::occupy(Sink& sink) {
  if (::fcntl(sink.fd, F_GETFD) >= 0 || errno != EBADF) return;
  sink.closed = true;
  int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd >= 0 && fd != sink.fd) {
    ::dup2(fd, sink.fd);
    if (fd > STDERR_FILENO) ::close(fd);  // below it is standard input, which was closed as well
  }
}

FILE* Streams::open(Sink& sink, int buffering) {
  const cookie_io_functions_t functions{nullptr,
                                        [](void* cookie, const char* bytes, std::size_t size) -> ssize_t {
                                          auto& to = *static_cast<Sink*>(cookie);
                                          for (std::size_t done = 0; to.error == 0 && done < size;) {
                                            const ssize_t n =
                                                to.closed ? -1 : ::write(to.fd, bytes + done, size - done);
                                            if (n >= 0)
                                              done += static_cast<std::size_t>(n);
                                            else if (to.closed || errno != EINTR)
                                              to.error = to.closed ? EBADF : errno;
                                          }
                                          return static_cast<ssize_t>(size);
                                        },
                                        nullptr, nullptr};
  FILE* file = ::fopencookie(&sink, "w", functions);
  if (file != nullptr) std::setvbuf(file, nullptr, buffering, BUFSIZ);
  return file;
}

void Streams::replace() {
  own_out_ = open(out_, ::isatty(out_.fd) == 1 ? _IOLBF : _IOFBF);
  own_err_ = open(err_, _IONBF);
  old_out_ = stdout;
  old_err_ = stderr;
  if (own_out_ != nullptr) stdout = own_out_;
  if (own_err_ != nullptr) stderr = own_err_;
}

int Streams::finish(int code) {
  std::fflush(stdout);
  std::fflush(stderr);
  const auto tell = [](const char* name, const Sink& sink) {
    if (sink.error != 0 && sink.error != EPIPE)
      fmt::print(stderr, "hso: {}: not all of it could be written: {}\n", name, std::strerror(sink.error));
  };
  tell("standard output", out_);
  const bool lost = out_.error != 0 || err_.error != 0;
  return code == 0 && lost ? kOutputLost : code;
}

void Streams::end_process(int code) { ::_exit(living_ != nullptr ? living_->finish(code) : code); }

Streams::~Streams() {
  living_ = nullptr;
  stdout = old_out_;
  stderr = old_err_;
  for (FILE* file : {own_out_, own_err_})
    if (file != nullptr) std::fflush(file);
  for (const Sink& sink : {out_, err_})
    if (sink.closed) ::close(sink.fd);
  sigaction(SIGPIPE, &pipe_, nullptr);
  sigaction(SIGXFSZ, &size_, nullptr);
}

}  // namespace hso::cli
