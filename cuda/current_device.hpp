// SPDX-License-Identifier: Apache-2.0
//
// The runtime keeps one current device for each thread of the host. Other code of the user may rely on its own choice,
// so whatever changes it here puts it back.
#pragma once

#include <utility>

#include "check.hpp"

namespace hso::detail {

/// The device is current while this lives, then the one before is again.
class CurrentDevice {
 public:
  explicit CurrentDevice(int ordinal) noexcept {
    status_ = cudaGetDevice(&before_);
    changed_ = status_ == cudaSuccess && before_ != ordinal;
    if (changed_) status_ = cudaSetDevice(ordinal);
  }
  CurrentDevice(CurrentDevice&& other) noexcept
      : before_(other.before_), changed_(std::exchange(other.changed_, false)), status_(other.status_) {}
  CurrentDevice& operator=(CurrentDevice&&) = delete;
  ~CurrentDevice() {
    if (changed_) static_cast<void>(cudaSetDevice(before_));
  }
  /// DeviceError when the device could not be made current.
  const CurrentDevice& require() const {
    check(status_, "cudaSetDevice");
    return *this;
  }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t status_ = cudaSuccess;
};

/// A stream or a library handle, usable while its device is current: as long as this lives.
template <class Handle>
class OnDevice {
 public:
  OnDevice(int ordinal, Handle handle) : current_(ordinal), handle_(handle) { current_.require(); }
  operator Handle() const noexcept { return handle_; }

 private:
  CurrentDevice current_;
  Handle handle_;
};

}  // namespace hso::detail
