// SPDX-License-Identifier: Apache-2.0
#include "train/parameter_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "io/shown_text.hpp"

namespace hso {
namespace {

/// A layer's name, and its tensors by what follows the last dot.
struct Layer {
  std::string name;
  std::map<std::string, std::string> shapes{};
};
using Likeness = std::map<std::string, std::string>;

/// "fc1.weight" -> "fc1" and "weight".
std::pair<std::string, std::string> split_name(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::pair(std::string(), name)
                                  : std::pair(name.substr(0, dot), name.substr(dot + 1));
}

class Layers {
 public:
  void add(const std::string& tensor, const Shape& shape) {
    const auto [name, rest] = split_name(tensor);
    auto at = std::find_if(list.begin(), list.end(), [&, &name = name](const Layer& l) { return l.name == name; });
    if (at == list.end()) at = list.insert(at, {name});
    at->shapes[rest] = shape.to_string();
  }
  std::map<Likeness, std::vector<std::string>> alike() const {
    std::map<Likeness, std::vector<std::string>> out;
    for (const Layer& layer : list) out[layer.shapes].push_back(layer.name);
    return out;
  }
  std::vector<Layer> list;
};

/// The words between the numbers of a name, and the numbers.
struct Numbered {
  std::string words;
  std::vector<std::uint64_t> numbers;
};

Numbered numbers_in(const std::string& name) {
  constexpr std::size_t kMostDigits = 18;
  Numbered out;
  for (std::size_t at = 0; at < name.size();) {
    std::size_t end = at;
    while (end < name.size() && end - at < kMostDigits && std::isdigit(static_cast<unsigned char>(name[end]))) ++end;
    out.words += end > at ? '#' : name[at];
    if (end > at) out.numbers.push_back(std::stoull(name.substr(at, end - at)));
    at = std::max(end, at + 1);
  }
  return out;
}

/// Sorts names that differ in numbers alone; false for others.
bool sort_by_number(std::vector<std::string>& names) {
  const std::string words = numbers_in(names.front()).words;
  for (const std::string& name : names)
    if (numbers_in(name).words != words) return false;
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return numbers_in(a).numbers < numbers_in(b).numbers; });
  return true;
}

/// From the layers of the file to those of the model; empty where there is doubt.
std::map<std::string, std::string> match(const Layers& file, const Layers& model) {
  std::map<std::string, std::string> out;
  std::map<Likeness, std::vector<std::string>> found = file.alike();
  const auto expected = model.alike();
  if (found.size() != expected.size()) return {};
  for (const auto& [likeness, names] : expected) {
    std::vector<std::string>& others = found[likeness];
    if (others.size() != names.size() || !sort_by_number(others)) return {};
    for (std::size_t i = 0; i < names.size(); ++i) out[others[i]] = names[i];
  }
  return out;
}

/// Leaves out what no parameter can be.
void drop_others(SafeTensors& file, const std::map<std::string, Shape>& parameters, std::vector<std::string>& dropped) {
  std::erase_if(file.unread, [&](const auto& entry) {
    const bool other = !parameters.contains(entry.first);
    if (other) dropped.push_back(fmt::format("{} ({})", entry.first, entry.second));
    return other;
  });
  std::erase_if(file.tensors, [&](const auto& entry) {
    const bool other = entry.second.integral && !parameters.contains(entry.first);
    if (other) dropped.push_back(fmt::format("{} (integers)", entry.first));
    return other;
  });
}

}  // namespace

SafeTensors with_model_names(SafeTensors file, const std::string& source, const std::vector<ParameterInfo>& parameters,
                             std::vector<std::string>& notes) {
  std::map<std::string, Shape> names;
  Layers theirs, ours;
  for (const ParameterInfo& p : parameters) {
    names.emplace(p.name, p.shape);
    ours.add(p.name, p.shape);
  }
  std::vector<std::string> dropped;
  drop_others(file, names, dropped);
  if (!dropped.empty()) notes.push_back(fmt::format("{}: not read, as no parameter: {}", source, listed(dropped)));
  const auto is_known = [&](const auto& entry) { return names.contains(entry.first); };
  if (!file.unread.empty() || std::all_of(file.tensors.begin(), file.tensors.end(), is_known)) return file;

  for (const auto& [name, tensor] : file.tensors) theirs.add(name, tensor.shape);
  const std::map<std::string, std::string> matched = match(theirs, ours);
  if (matched.empty()) return file;
  std::map<std::string, Array> renamed;
  for (auto& [name, tensor] : file.tensors) {
    const auto [layer, rest] = split_name(name);
    renamed[matched.at(layer).empty() ? rest : matched.at(layer) + '.' + rest] = std::move(tensor);
  }
  file.tensors = std::move(renamed);
  std::vector<std::string> pairs;
  for (const Layer& layer : ours.list)
    for (const auto& [from, to] : matched)
      if (to == layer.name) pairs.push_back(fmt::format("{} is {}", from, to));
  notes.push_back(
      fmt::format("{}: layers were taken by their shapes and numbers, as names differ: {}", source, listed(pairs)));
  return file;
}

}  // namespace hso
