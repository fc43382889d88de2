// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/prune/structure.hpp"
#include "io/shown_text.hpp"

namespace hso {
namespace {

constexpr const char* kFormat = "hso-sparse-1";

std::size_t at(Index i) { return static_cast<std::size_t>(i); }
std::string shape_key(const ParameterInfo& p) { return "shape." + p.name; }
Index bytes_for(const ParameterInfo& p) { return (p.shape.size() + 7) / 8; }

Index parameter_count(const std::vector<ParameterInfo>& parameters) {
  Index count = 0;
  for (const ParameterInfo& p : parameters) count = std::max(count, p.offset + p.shape.size());
  return count;
}

std::map<std::string, std::string> described(const std::string& path, const std::vector<ParameterInfo>& parameters,
                                             const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> all{{"format", kFormat}};
  for (const ParameterInfo& p : parameters) all[shape_key(p)] = p.shape.to_string();
  for (const auto& [key, text] : metadata)
    if (!all.emplace(key, text).second)
      throw InputError(fmt::format("write_sparse {}: the metadata key '{}' is taken by the format", path, key));
  return all;
}

std::vector<double> kept_values(const ParameterInfo& p, Span<const double> theta, const Mask& mask) {
  std::vector<double> values;
  for (Index i = p.offset; i < p.offset + p.shape.size(); ++i)
    if (mask.kept[at(i)] != 0) values.push_back(theta[at(i)]);
  return values;
}

std::vector<double> packed_mask(const ParameterInfo& p, const Mask& mask) {
  std::vector<std::uint8_t> bytes(at(bytes_for(p)));
  for (Index i = 0; i < p.shape.size(); ++i)
    if (mask.kept[at(p.offset + i)] != 0) bytes[at(i / 8)] |= static_cast<std::uint8_t>(1 << i % 8);
  return {bytes.begin(), bytes.end()};
}

/// One file being read, tensor by tensor.
class SparseReader {
 public:
  explicit SparseReader(const std::string& path) : path_(path), file_(read_safetensors(path)) {
    const auto format = file_.metadata.find("format");
    if (format == file_.metadata.end() || format->second != kFormat)
      fail(fmt::format("found metadata format '{}', expected '{}'",
                       format == file_.metadata.end() ? "" : format->second, kFormat));
  }

  SparseParameters run(const std::vector<ParameterInfo>& parameters) {
    const Index count = parameter_count(parameters);
    out_ = {std::vector<double>(at(count)), {std::vector<std::uint8_t>(at(count))}, file_.metadata};
    out_.metadata.erase("format");
    for (const ParameterInfo& p : parameters) {
      check_shape(p);
      fill(p, take(p.name + ".values", false), take(p.name + ".mask", true));
    }
    if (!file_.tensors.empty()) fail(fmt::format("tensor '{}' is none of the model's", file_.tensors.begin()->first));
    if (!file_.unread.empty())
      fail(fmt::format("tensor '{}' has dtype {}, expected what write_sparse writes",
                       shown(file_.unread.begin()->first), shown(file_.unread.begin()->second)));
    for (const auto& [key, text] : out_.metadata)
      if (key.starts_with("shape.")) fail(fmt::format("'{}' names no tensor of the model", key));
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(fmt::format("{}: {}", path_, what)); }

  void check_shape(const ParameterInfo& p) {
    const auto shape = out_.metadata.find(shape_key(p));
    if (shape == out_.metadata.end()) fail(fmt::format("the shape of tensor '{}' is missing", p.name));
    if (shape->second != p.shape.to_string())
      fail(fmt::format("tensor '{}' has shape {}, expected {}", p.name, shape->second, p.shape.to_string()));
    out_.metadata.erase(shape);
  }

  std::vector<double> take(const std::string& name, bool integral) {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end()) fail(fmt::format("tensor '{}' is missing", name));
    Array array = std::move(found->second);
    file_.tensors.erase(found);
    if (array.shape.rank() != 1)
      fail(fmt::format("tensor '{}' has shape {}, expected one axis", name, array.shape.to_string()));
    if (array.integral != integral)
      fail(fmt::format("tensor '{}' holds {} numbers, expected {}", name, array.integral ? "whole" : "floating-point",
                       integral ? "bytes" : "floating-point ones"));
    return std::move(array.values);
  }

  void fill(const ParameterInfo& p, const std::vector<double>& values, const std::vector<double>& bytes) {
    if (static_cast<Index>(bytes.size()) != bytes_for(p))
      fail(fmt::format("tensor '{}.mask' has {} bytes, expected {}", p.name, bytes.size(), bytes_for(p)));
    std::size_t set = 0;
    for (Index i = 0; i < 8 * bytes_for(p); ++i) {
      if (!bit(p, bytes, i)) continue;
      if (i >= p.shape.size()) fail(fmt::format("tensor '{}.mask' has bits beyond {}", p.name, p.shape.size()));
      if (set < values.size() && !std::isfinite(values[set]))
        fail(fmt::format("tensor '{}.values' has {} at {}, expected finite numbers", p.name, unsigned_nan(values[set]),
                         set));
      if (set < values.size()) out_.theta[at(p.offset + i)] = values[set];
      out_.mask.kept[at(p.offset + i)] = 1;
      ++set;
    }
    if (set != values.size())
      fail(fmt::format("tensor '{}.values' has {} numbers, expected {} as bits are set in '{}.mask'", p.name,
                       values.size(), set, p.name));
  }

  bool bit(const ParameterInfo& p, const std::vector<double>& bytes, Index i) const {
    const double byte = bytes[at(i / 8)];
    if (!(byte >= 0 && byte <= 255)) fail(fmt::format("tensor '{}.mask' holds {}, expected bytes", p.name, byte));
    return (static_cast<unsigned>(byte) >> i % 8 & 1) != 0;
  }

  std::string path_;
  SafeTensors file_;
  SparseParameters out_;
};

}  // namespace

void write_sparse(const std::string& path, Span<const double> theta, const Mask& mask,
                  const std::vector<ParameterInfo>& parameters, std::string_view precision,
                  const std::map<std::string, std::string>& metadata) {
  const Index count = parameter_count(parameters);
  if (static_cast<Index>(theta.size()) != count || mask.size() != count)
    throw InputError(fmt::format("write_sparse {}: found {} parameters and a mask of {}, expected {} of each", path,
                                 theta.size(), mask.size(), count));
  std::deque<std::vector<double>> numbers;  // its elements stay where they are
  std::vector<NamedTensor> tensors;         // the wide ones first, so that all are aligned
  const auto append = [&](const std::string& name, std::vector<double> values, bool bytes) {
    numbers.push_back(std::move(values));
    tensors.push_back({name, Shape{static_cast<Index>(numbers.back().size())}, numbers.back(), bytes ? "U8" : ""});
  };
  for (const ParameterInfo& p : parameters) append(p.name + ".values", kept_values(p, theta, mask), false);
  for (const ParameterInfo& p : parameters) append(p.name + ".mask", packed_mask(p, mask), true);
  write_safetensors(path, tensors, precision, described(path, parameters, metadata));
}

SparseParameters read_sparse(const std::string& path, const std::vector<ParameterInfo>& parameters) {
  return SparseReader(path).run(parameters);
}

}  // namespace hso
