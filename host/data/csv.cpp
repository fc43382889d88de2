// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "data/csv_columns.hpp"
#include "data/csv_labels.hpp"
#include "data/csv_text.hpp"
#include "data/gzip.hpp"
#include "data/text_encoding.hpp"
#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

constexpr std::size_t kCharactersShown = 40;
constexpr Index kRowsLookedAt = 1000;  // for oddities of the first line
constexpr std::string_view kTableEndings[] = {".csv", ".tsv", ".txt", ".data"};

constexpr const char* kLooksLikeHeader =
    "the first line holds whole numbers alone, unlike those below it; --header yes if it names the columns";

class CsvReader {
 public:
  CsvReader(const std::string& path, const UnpackedText& file, std::vector<std::string> notes,
            const DataOptions& options)
      : path_(path),
        options_(options),
        separator_(options.separator != 0 ? options.separator : detect_separator(path, file.text)),
        text_(file.text),
        lines_(path, file.text, separator_),
        labels_(path, options) {
    data_.name = path;
    data_.source.format = "csv";
    data_.source.dtype = "text";
    data_.source.notes = std::move(notes);
    data_.source.detail = fmt::format("{}separated by {}", file.compressed ? "gzip, " : "", separator_name(separator_));
  }

  Dataset read() {
    std::vector<CsvField> fields;
    if (!lines_.next(fields)) fail_empty();
    const CsvLine first(fields, lines_.line());
    const std::string above(lines_.last_comment());
    CsvLine second;
    if (lines_.next(fields)) second = CsvLine(fields, lines_.line());
    start(first, second);
    if (!header_ && !above.empty()) look_at_comment(above);
    if (!header_) store(first.fields(), first.number);
    if (!second.text.empty()) {
      store(second.fields(), second.number);
      while (lines_.next(fields)) store(fields, lines_.line());
    }
    return finish();
  }

 private:
  [[noreturn]] void fail(Index line, const std::string& message) const {
    throw InputError(fmt::format("{}: line {}: {}", path_, line, message));
  }
  [[noreturn]] void fail_empty() const {
    throw InputError(fmt::format("{}: found no rows, expected one sample a line", path_));
  }

  void start(const CsvLine& first, const CsvLine& second) {
    header_ =
        options_.header == CsvHeader::yes || (options_.header == CsvHeader::automatic && names_columns(first, second));
    columns_ = first.text.size();
    const LabelColumn label = find_label_column(path_, header_ ? first.text : std::vector<std::string>(),
                                                static_cast<Index>(columns_), options_.label);
    label_ = static_cast<std::size_t>(label.index);
    DataSource& source = data_.source;
    source.labels = fmt::format("column {}{} ({})", label.index,
                                header_ ? fmt::format(" '{}'", first.text[label_]) : std::string(), label.why);
    labels_.taken_from(source.labels);
    if (!label.note.empty()) source.notes.push_back(label.note);
    source.detail += header_ ? fmt::format(", line {} names the columns", first.number) : ", no line names the columns";
    if (header_) source.column_names = first.text;
    if (header_) source.column_names.erase(source.column_names.begin() + label.index);
    if (header_ && options_.header == CsvHeader::automatic &&
        std::any_of(first.text.begin(), first.text.end(), is_whole))
      source.notes.push_back(fmt::format(
          "line {} was taken for the names of the columns, though there are numbers in it (--header no denies it)",
          first.number));
    whole_below_.assign(columns_, false);
    data_.inputs.reserve(most_inputs());
  }

  /// By the lines of the text, and no more than it has room for: what is not written takes no memory.
  std::size_t most_inputs() const {
    const auto lines = static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\n')) + 1;
    return std::min(lines * (columns_ - 1), text_.size() / 2 + 1);
  }

  /// numpy.savetxt writes its header as a comment.
  void look_at_comment(const std::string& above) {
    CsvLines lines(path_, above, separator_);
    std::vector<CsvField> names;
    try {
      lines.next(names);
    } catch (const InputError&) {
      return;  // prose
    }
    if (names.size() == columns_)
      data_.source.notes.push_back(
          fmt::format("a comment of {} words stands above the first row: names in comments are "
                      "not read (--label NUMBER says which column is the label)",
                      columns_));
  }

  void store(const std::vector<CsvField>& fields, Index line) {
    if (fields.size() != columns_)
      fail(line, fmt::format("found {} fields, expected {} as above", fields.size(), columns_));
    for (std::size_t j = 0; j < columns_; ++j)
      if (j != label_) data_.inputs.push_back(input(fields[j], j, line));
    const Index row = labels_.count();
    labels_.add(fields[label_].text, fmt::format("line {}: field {}", line, label_ + 1));
    look_at(fields, row);
  }

  double input(const CsvField& field, std::size_t j, Index line) const {
    double value = 0;
    if (parse_csv_number(field.text, value)) return value;
    const bool cut = field.text.size() > kCharactersShown;
    const std::string found = fmt::format("field {}: found '{}{}', expected ", j + 1,
                                          field.text.substr(0, kCharactersShown), cut ? "..." : "");
    double ignored = 0;
    const auto [end, error] = std::from_chars(field.text.data(), field.text.data() + field.text.size(), ignored);
    if (error == std::errc::result_out_of_range) fail(line, found + "a number that fits a double");
    fail(line, found + "a finite number" + hint(field.text));
  }

  /// What may be meant where a field is no number.
  std::string hint(std::string_view field) const {
    const bool first = labels_.count() == 0;
    if (is_decimal_comma(field)) return " with a decimal point (decimal commas are not read)";
    if (first && !header_) return " (--header yes if this line names the columns, --label if this column is the label)";
    return first ? " (--label if this column is the label)" : "";
  }

  /// What the first row and column look like beside the others.
  void look_at(const std::vector<CsvField>& fields, Index row) {
    const double* inputs = data_.inputs.data() + data_.inputs.size() - (columns_ - 1);
    if (row == 0) {
      first_whole_ = std::all_of(fields.begin(), fields.end(), [](const CsvField& f) { return is_whole(f.text); });
      first_counts_ = first_whole_;
      for (std::size_t j = 0; j < columns_; ++j) first_counts_ = first_counts_ && fields[j].text == fmt::to_string(j);
      start_ = inputs[0];
    }
    counting_ = counting_ && label_ != 0 && inputs[0] == start_ + static_cast<double>(row) && start_ <= 1;
    for (std::size_t j = 0; row > 0 && row < kRowsLookedAt && j < columns_; ++j)
      if (!whole_below_[j] && is_whole(fields[j].text)) whole_below_[j] = true;
  }

  /// A first row of whole numbers over a column that has none.
  bool first_row_looks_like_a_header() const {
    const bool unlike_below = std::find(whole_below_.begin(), whole_below_.end(), false) != whole_below_.end();
    return !header_ && options_.header == CsvHeader::automatic && first_whole_ && data_.size > 2 && unlike_below;
  }

  void note_oddities() {
    auto& notes = data_.source.notes;
    const bool own_label = std::count(data_.targets.begin(), data_.targets.end(), data_.targets[0]) == 1;
    const bool counts = !header_ && options_.header == CsvHeader::automatic && first_counts_ && columns_ > 2;
    if (first_row_looks_like_a_header() || (counts && own_label && data_.size > 2))
      notes.push_back(fmt::format("{} (it was taken as a sample)", kLooksLikeHeader));
    const std::string name = data_.source.column_names.empty() ? "" : data_.source.column_names[0];
    if (counting_ && columns_ > 2 && data_.size > 2 &&
        (name.empty() || name == "index" || name == "id" || name == "Unnamed: 0"))
      notes.emplace_back("column 0 counts the rows: it was taken as an input");
  }

  Dataset finish() {
    data_.size = labels_.count();
    if (data_.size == 0) fail_empty();
    data_.input_shape = Shape{static_cast<Index>(columns_) - 1};
    labels_.finish(data_, first_row_looks_like_a_header() ? fmt::format("; {}", kLooksLikeHeader) : std::string());
    if (lines_.comments() > 0) data_.source.detail += fmt::format(", comments: {}", lines_.comments());
    note_oddities();
    return std::move(data_);
  }

  const std::string& path_;
  const DataOptions& options_;
  char separator_;
  std::string_view text_;
  CsvLines lines_;
  CsvLabels labels_;
  bool header_ = false;
  std::size_t columns_ = 0, label_ = 0;
  bool first_whole_ = false;   ///< the first row is of digits alone
  bool first_counts_ = false;  ///< it is 0, 1, 2, ...
  bool counting_ = true;       ///< the first column grows by 1 from row to row
  double start_ = 0;
  std::vector<bool> whole_below_;  ///< some row below the first has digits alone in this column
  Dataset data_;
};

}  // namespace

CsvHeader parse_csv_header(const std::string& word) {
  if (word == "auto") return CsvHeader::automatic;
  if (word == "yes") return CsvHeader::yes;
  if (word == "no") return CsvHeader::no;
  throw UsageError(fmt::format("header: found '{}', expected auto, yes or no", word));
}

char parse_csv_separator(const std::string& word) {
  constexpr std::pair<const char*, char> kNames[] = {{"auto", '\0'}, {"comma", ','}, {"semicolon", ';'},
                                                     {"tab", '\t'},  {"bar", '|'},   {"space", ' '}};
  for (const auto& [name, character] : kNames)
    if (word == name || (character != 0 && word == std::string(1, character))) return character;
  throw UsageError(fmt::format("separator: found '{}', expected auto, comma, semicolon, tab, bar or space", word));
}

bool is_csv(const std::string& spec) {
  if (std::filesystem::is_directory(spec)) return false;  // a folder of IDX files may be called so
  std::string_view name = spec;
  if (name.ends_with(".gz")) name.remove_suffix(3);
  return std::any_of(std::begin(kTableEndings), std::end(kTableEndings), [&](auto end) { return name.ends_with(end); });
}

Dataset read_csv(const std::string& path, const DataOptions& options) {
  UnpackedText file = read_unpacked(path);
  std::vector<std::string> notes;
  file.text = to_utf8(path, std::move(file.text), notes);
  return CsvReader(path, file, std::move(notes), options).read();
}

}  // namespace hso
