// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/core/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "io/shown_text.hpp"

namespace hso {

static_assert(std::endian::native == std::endian::little, "RawTensor holds numbers as this processor does");

void StateVisitor::operator()(const std::string& name, std::vector<bool>& values) {
  const Index count = size_of(name, static_cast<Index>(values.size()));
  std::string bytes(static_cast<std::size_t>(count), '\0');
  if (!reads()) std::copy(values.begin(), values.end(), bytes.begin());
  host(full(name), "BOOL", bytes.data(), count, bytes.size());
  if (reads()) values.assign(bytes.begin(), bytes.end());
}

void StateVisitor::operator()(const std::string& name, Buffer<float>& buffer, Context& context) {
  sized(name, buffer, context);
}
void StateVisitor::operator()(const std::string& name, Buffer<double>& buffer, Context& context) {
  sized(name, buffer, context);
}

template <class U>
void StateVisitor::sized(const std::string& name, Buffer<U>& buffer, Context& context) {
  const Index size = size_of(name, buffer.size());
  if (size == 0) return;  // what is there then is not part of the state
  if (buffer.size() == 0) buffer = Buffer<U>(context, size);
  device(full(name), buffer);
}

Index StateVisitor::size_of(const std::string& name, Index now) {
  one(name + ".size", "I64", now);
  if (now < 0) throw InputError(fmt::format("state: {}.size is {}, expected 0 or above", full(name), now));
  return now;
}

void StateVersion::change() {
  static std::atomic<std::uint64_t> last{0};
  value_ = ++last;
}

void StateVisitor::seldom(StateVersion& version, const std::function<void()>& visit) {
  if (reads()) version.change();
  visit();
}

bool StateVisitor::started(bool now) {
  one("started", "BOOL", now);
  return now;
}

void StateVisitor::part(const std::string& name, const std::function<void()>& visit) {
  const std::string outer = prefix_;
  prefix_ += name + ".";
  visit();
  prefix_ = outer;
}

void StateVisitor::parts(const std::string& name, std::size_t count, const std::function<void(std::size_t)>& visit) {
  for (std::size_t i = 0; i < count; ++i) part(fmt::format("{}.{}", name, i), [&] { visit(i); });
}

void StateWriter::host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) {
  RawTensor& tensor = tensors_[name];
  if (!tensor.dtype.empty()) throw UsageError(fmt::format("state: '{}' is named twice", name));
  tensor = {dtype, Shape{count}, std::string(static_cast<const char*>(numbers), bytes)};
}

template <class U>
void StateWriter::keep(const std::string& name, const char* dtype, const Buffer<U>& buffer) {
  std::vector<U> numbers = buffer.download();
  host(name, dtype, numbers.data(), buffer.size(), numbers.size() * sizeof(U));
}

const RawTensor& StateReader::find(const std::string& name, const char* dtype, Index count) {
  const auto at = tensors_.find(name);
  if (at == tensors_.end()) throw InputError(fmt::format("{}: '{}' is missing", source_, name));
  const RawTensor& tensor = at->second;
  if (tensor.dtype != dtype || tensor.shape.size() != count)
    throw InputError(fmt::format("{}: '{}' is {} {}, expected {} [{}]", source_, name, shown(tensor.dtype),
                                 tensor.shape.to_string(), dtype, count));
  read_[name] = true;
  return tensor;
}

void StateReader::host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) {
  const RawTensor& tensor = find(name, dtype, count);
  if (bytes > 0) std::memcpy(numbers, tensor.bytes.data(), bytes);
}

template <class U>
void StateReader::give(const std::string& name, const char* dtype, Buffer<U>& buffer) {
  const RawTensor& tensor = find(name, dtype, buffer.size());
  std::vector<U> numbers(static_cast<std::size_t>(buffer.size()));
  if (!numbers.empty()) std::memcpy(numbers.data(), tensor.bytes.data(), numbers.size() * sizeof(U));
  buffer.upload(numbers);
}

void StateReader::require_all_read() const {
  for (const auto& [name, tensor] : tensors_)
    if (!read_.contains(name)) throw InputError(fmt::format("{}: '{}' is no part of this state", source_, shown(name)));
}

/// Copies between device memory and device memory, and numbers of the host to and from strings.
class StateSnapshot::Visitor final : public StateVisitor {
 public:
  Visitor(StateSnapshot& own, bool reads) : own_(own), reads_(reads) {}
  bool reads() const override { return reads_; }
  void seldom(StateVersion& version, const std::function<void()>& visit) override {
    const bool outer = unchanged_;
    unchanged_ = own_.versions_.contains(version.value());
    if (reads_ && !unchanged_) version.change();
    visit();
    unchanged_ = outer;
    if (!reads_) versions_.insert(version.value());
  }
  std::set<std::uint64_t> versions() { return std::move(versions_); }

 private:
  void host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) override {
    RawTensor& kept = own_.host_[name];
    if (reads_) {
      if (bytes > 0) std::memcpy(numbers, kept.bytes.data(), std::min(bytes, kept.bytes.size()));
      return;
    }
    own_.members_[name] = true;
    kept.dtype = dtype;
    kept.shape = Shape{count};
    kept.bytes.assign(static_cast<const char*>(numbers), bytes);
  }
  void device(const std::string& name, Buffer<float>& buffer) override { copy(name, own_.narrow_[name], buffer); }
  void device(const std::string& name, Buffer<double>& buffer) override { copy(name, own_.wide_[name], buffer); }
  template <class U>
  void copy(const std::string& name, Buffer<U>& kept, Buffer<U>& buffer) {
    if (!reads_) own_.members_[name] = true;
    if (buffer.size() == 0 || unchanged_) return;
    if (!reads_ && kept.size() != buffer.size()) kept = Buffer<U>(own_.context_, buffer.size());
    own_.context_.ops<U>().copy(kept.size(), reads_ ? kept.data() : buffer.data(),
                                reads_ ? buffer.data() : kept.data());
  }
  StateSnapshot& own_;
  bool reads_;
  bool unchanged_ = false;  ///< what is copied already
  std::set<std::uint64_t> versions_;
};

void StateSnapshot::take(const std::function<void(StateVisitor&)>& visit) {
  taken_ = false;  // until nothing has thrown
  members_.clear();
  Visitor visitor(*this, false);
  try {
    visit(visitor);
  } catch (...) {
    versions_.clear();  // what was copied is of two times
    throw;
  }
  versions_ = visitor.versions();
  taken_ = true;
}

RawTensors StateSnapshot::to_host() const {
  RawTensors out;
  for (const auto& [name, tensor] : host_)
    if (members_.contains(name)) out[name] = tensor;
  const auto add = [&](const auto& buffers, const char* dtype) {
    for (const auto& [name, buffer] : buffers) {
      if (!members_.contains(name)) continue;
      const auto numbers = buffer.download();
      out[name] = {dtype, Shape{buffer.size()},
                   std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(numbers[0]))};
    }
  };
  add(narrow_, "F32");
  add(wide_, "F64");
  return out;
}

void StateSnapshot::restore(const std::function<void(StateVisitor&)>& visit) {
  Visitor visitor(*this, true);
  visit(visitor);
}

}  // namespace hso
