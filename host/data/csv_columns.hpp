// SPDX-License-Identifier: Apache-2.0
//
// What the first lines of a CSV file say of its columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/csv_text.hpp"
#include "hsogpu/data/dataset.hpp"

namespace hso {

/// A line that outlives the reading of the next one.
struct CsvLine {
  std::vector<std::string> text;
  std::vector<bool> quoted;
  Index number = 0;

  CsvLine() = default;
  CsvLine(const std::vector<CsvField>& fields, Index line);
  std::vector<CsvField> fields() const;
};

/// Whether the first line names the columns. `second` is empty where there is none.
/// It does when its fields are words (a letter or '_' first, and no mark of a missing value; the first one may be
/// empty, as pandas writes an index). Whole numbers among them are names too where a word stands over a number; so is
/// a line in quotes over one without.
bool names_columns(const CsvLine& first, const CsvLine& second);

struct LabelColumn {
  Index index = 0;
  std::string why;  ///< "the last", "by its name", "as asked"
  std::string note{};
};
/// By DataOptions::label. `names`: the header, or empty. InputError (starting with `path`) lists the names.
LabelColumn find_label_column(const std::string& path, const std::vector<std::string>& names, Index columns,
                              const std::string& label);

}  // namespace hso
