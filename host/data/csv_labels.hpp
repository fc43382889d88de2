// SPDX-License-Identifier: Apache-2.0
//
// The label column of a CSV file, field by field.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/data/dataset.hpp"

namespace hso {

/// The first label tells whether they are numbers or names; class_names of the options tell it before.
class CsvLabels {
 public:
  CsvLabels(const std::string& path, const DataOptions& options);
  /// `place`: "line 3: field 2" for messages. InputError when it is not of the kind of those before.
  void add(std::string_view field, const std::string& place);
  /// "column 4 'kind' (the last)", for messages about the first label.
  void taken_from(const std::string& column) { column_ = column; }
  Index count() const { return static_cast<Index>(targets_.size()); }

  /// Fills targets, classes and names. InputError for labels that do not fit the model, with `hint` at its end.
  void finish(Dataset& data, const std::string& hint);

 private:
  enum class Kind { unknown, numbers, names, known_names, values };
  static Kind kind_by(const DataOptions& options);
  [[noreturn]] void fail(const std::string& place, std::string_view field, const std::string& expected) const;
  void add_number(std::string_view field, const std::string& place);
  void add_name(std::string_view field, const std::string& place);
  void sort_names(Dataset& data);

  const std::string& path_;
  std::string column_;
  const DataOptions& options_;
  Kind kind_;
  std::vector<double> targets_;
  std::map<std::string, Index, std::less<>> names_;
  std::string first_beyond_;  ///< place of the first label that the model has no output for
  double beyond_ = 0;
};

}  // namespace hso
