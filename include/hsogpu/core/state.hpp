// SPDX-License-Identifier: Apache-2.0
//
// What an object keeps from step to step, member by member. An object names each of its members once, and the same list
// is used to write them, to read them back, and to compare them: what is written cannot be forgotten when it is read.
//
//   void visit_state(StateVisitor& state) {
//     state("steps", steps_);
//     state("velocity", velocity_);                       device memory
//     state.part("inner", [&] { inner_.visit_state(state); });      its members are "inner.steps", ...
//   }
//
// Numbers keep every bit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso {

/// Numbers as they lie in memory, little-endian, with a type as safetensors calls it.
struct RawTensor {
  std::string dtype;  ///< "F32", "F64", "I32", "I64", "U64" or "BOOL"
  Shape shape;
  std::string bytes{};
  bool operator==(const RawTensor&) const = default;
};
using RawTensors = std::map<std::string, RawTensor>;

/// What device memory holds: another value after every change, and no two objects share one.
class StateVersion {
 public:
  StateVersion() { change(); }
  StateVersion(const StateVersion&) : StateVersion() {}
  StateVersion& operator=(const StateVersion&) { return change(), *this; }
  /// Before the memory is written.
  void change();
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  /// True: members are overwritten with saved values. False: they are only looked at.
  virtual bool reads() const = 0;

  void operator()(const std::string& name, double& value) { one(name, "F64", value); }
  void operator()(const std::string& name, int& value) { one(name, "I32", value); }
  void operator()(const std::string& name, Index& value) { one(name, "I64", value); }
  void operator()(const std::string& name, std::uint64_t& value) { one(name, "U64", value); }
  void operator()(const std::string& name, bool& value) { one(name, "BOOL", value); }
  void operator()(const std::string& name, std::vector<float>& values) { list(name, "F32", values); }
  void operator()(const std::string& name, std::vector<double>& values) { list(name, "F64", values); }
  void operator()(const std::string& name, std::vector<bool>& values);
  /// A buffer that has no memory yet is made in `context` when there are numbers to read.
  void operator()(const std::string& name, Buffer<float>& buffer, Context& context);
  void operator()(const std::string& name, Buffer<double>& buffer, Context& context);
  /// One that has its size already.
  void operator()(const std::string& name, Buffer<float>& buffer) { device(full(name), buffer); }
  void operator()(const std::string& name, Buffer<double>& buffer) { device(full(name), buffer); }

  /// Members of a part are "<name>.<member>".
  void part(const std::string& name, const std::function<void()>& visit);
  /// The same with one part for each number from 0 to `count`.
  void parts(const std::string& name, std::size_t count, const std::function<void(std::size_t)>& visit);
  /// Members whose device memory changes seldom: a snapshot copies it after a change alone.
  virtual void seldom(StateVersion& version, const std::function<void()>& visit);
  /// Whether there is a state: what is made at the first step is not there before it. `now`: of the object as it is.
  bool started(bool now);

 protected:
  /// `bytes` of numbers in host memory.
  virtual void host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) = 0;
  virtual void device(const std::string& name, Buffer<float>& buffer) = 0;
  virtual void device(const std::string& name, Buffer<double>& buffer) = 0;

 private:
  std::string full(const std::string& name) const { return prefix_ + name; }
  template <class Value>
  void one(const std::string& name, const char* dtype, Value& value) {
    host(full(name), dtype, &value, 1, sizeof(Value));
  }
  template <class Value>
  void list(const std::string& name, const char* dtype, std::vector<Value>& values) {
    const Index count = size_of(name, static_cast<Index>(values.size()));
    values.resize(static_cast<std::size_t>(count));
    host(full(name), dtype, values.data(), count, values.size() * sizeof(Value));
  }
  template <class U>
  void sized(const std::string& name, Buffer<U>& buffer, Context& context);
  Index size_of(const std::string& name, Index now);
  std::string prefix_;
};

/// Collects copies in host memory.
class StateWriter final : public StateVisitor {
 public:
  bool reads() const override { return false; }
  RawTensors take() { return std::move(tensors_); }

 private:
  void host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) override;
  void device(const std::string& name, Buffer<float>& buffer) override { keep(name, "F32", buffer); }
  void device(const std::string& name, Buffer<double>& buffer) override { keep(name, "F64", buffer); }
  template <class U>
  void keep(const std::string& name, const char* dtype, const Buffer<U>& buffer);
  RawTensors tensors_;
};

/// Gives members their values from host memory. InputError, which starts with `source`, names the one that is missing
/// or has another type or size.
class StateReader final : public StateVisitor {
 public:
  /// Keeps the reference.
  StateReader(const RawTensors& tensors, std::string source) : tensors_(tensors), source_(std::move(source)) {}
  bool reads() const override { return true; }
  /// InputError names a value that nobody asked for.
  void require_all_read() const;

 private:
  void host(const std::string& name, const char* dtype, void* numbers, Index count, std::size_t bytes) override;
  void device(const std::string& name, Buffer<float>& buffer) override { give(name, "F32", buffer); }
  void device(const std::string& name, Buffer<double>& buffer) override { give(name, "F64", buffer); }
  template <class U>
  void give(const std::string& name, const char* dtype, Buffer<U>& buffer);
  const RawTensor& find(const std::string& name, const char* dtype, Index count);
  const RawTensors& tensors_;
  std::string source_;
  std::map<std::string, bool> read_;
};

/// A copy in device memory, for one step back.
class StateSnapshot {
 public:
  explicit StateSnapshot(Context& context) : context_(context) {}
  /// Copies what `visit` names; memory of an earlier copy is used again.
  void take(const std::function<void(StateVisitor&)>& visit);
  bool taken() const { return taken_; }
  /// Gives it back, to the bit.
  void restore(const std::function<void(StateVisitor&)>& visit);
  void forget() { taken_ = false; }
  /// What StateWriter would have collected then.
  RawTensors to_host() const;

 private:
  class Visitor;
  Context& context_;
  bool taken_ = false;
  RawTensors host_;
  std::map<std::string, bool> members_;  ///< of the last copy: others are left from before
  std::set<std::uint64_t> versions_;     ///< of seldom changed members in that copy
  std::map<std::string, Buffer<float>> narrow_;
  std::map<std::string, Buffer<double>> wide_;
};

}  // namespace hso
