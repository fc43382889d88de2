// SPDX-License-Identifier: Apache-2.0
#include "support/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace hso::test {

Child::Child(const std::vector<std::string>& arguments, const std::string& command) {
  std::vector<std::string> words{"/bin/sh", "-c", "export OMP_NUM_THREADS=${OMP_NUM_THREADS_TRIED:-1}; " + command,
                                 "sh", HSO_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
  if (posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, argv.data(), environ) != 0)
    throw std::runtime_error("cannot start the program");
  posix_spawn_file_actions_destroy(&actions);
}

Child::~Child() {
  if (!runs()) return;
  ::kill(pid_, SIGKILL);
  wait();
}

void Child::signal(int number) const { ::kill(pid_, number); }

int Child::threads() const {
  namespace fs = std::filesystem;
  std::error_code ended;
  const fs::directory_iterator tasks("/proc/" + std::to_string(pid_) + "/task", ended);
  return ended ? 0 : static_cast<int>(std::distance(fs::begin(tasks), fs::end(tasks)));
}

bool Child::runs() {
  if (code_ >= 0) return false;
  int status = 0;
  rusage used{};
  if (::wait4(pid_, &status, WNOHANG, &used) != pid_) return true;
  peak_bytes_ = static_cast<std::size_t>(used.ru_maxrss) * 1024;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Child::wait(double seconds) {
  eventually([this] { return !runs(); }, seconds);
  return code_;
}

bool eventually(const std::function<bool()>& condition, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace hso::test
