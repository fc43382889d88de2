// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/checks.hpp"
#include "data/split.hpp"
#include "hsogpu/core/error.hpp"
#include "io/file.hpp"
#include "io/suggest.hpp"

namespace hso {

namespace {

constexpr Index kDigitsTestSize = 360;

constexpr const char* kExpected =
    "digits, fashion-mnist, X.npy,Y.npy, FILE.npz, FILE.npz:X:Y, FILE.csv (or .tsv, .txt, .data; .gz), text:FILE, "
    "wav:FOLDER or an existing folder of IDX files";

enum class SourceKind { digits, fashion_mnist, npy_pair, npz, csv, text, sounds, idx_folder };

constexpr std::string_view kText = "text:", kSounds = "wav:";

bool is_npy_pair(const std::string& spec) { return spec.find(".npy,") != std::string::npos && spec.ends_with(".npy"); }

/// The place of ".npz:" in FILE.npz:X:Y; npos for other words.
std::size_t named_arrays(const std::string& spec) {
  const std::size_t at = spec.rfind(".npz:");
  return at != std::string::npos && std::count(spec.begin() + static_cast<std::ptrdiff_t>(at), spec.end(), ':') == 2
             ? at
             : std::string::npos;
}

SourceKind parse_source(const std::string& spec) {
  if (spec == "digits") return SourceKind::digits;
  if (spec == "fashion-mnist") return SourceKind::fashion_mnist;
  if (spec.starts_with(kText)) return SourceKind::text;
  if (spec.starts_with(kSounds)) return SourceKind::sounds;
  if (is_npy_pair(spec)) return SourceKind::npy_pair;
  if (spec.ends_with(".npz") || named_arrays(spec) != std::string::npos) return SourceKind::npz;
  if (is_csv(spec)) return SourceKind::csv;
  if (std::filesystem::is_directory(spec)) return SourceKind::idx_folder;
  if (spec.find('/') != std::string::npos && !is_there(spec))
    throw InputError(fmt::format("{}: no such file or folder", spec));
  throw UsageError(fmt::format("--data: found '{}', expected {}{}", spec, kExpected,
                               did_you_mean(spec, {"digits", "fashion-mnist"})));
}

Dataset read_pair(const std::string& spec, const DataOptions& options) {
  const std::size_t comma = spec.find(".npy,") + 4;
  return read_npy_pair(spec.substr(0, comma), spec.substr(comma + 1), options);
}

Dataset read_arrays(const std::string& spec, const DataOptions& options) {
  const std::size_t at = named_arrays(spec);
  if (at == std::string::npos) return read_npz_pair(spec, "x", "y", options);
  const std::size_t first = at + 5, second = spec.find(':', first);
  return read_npz_pair(spec.substr(0, at + 4), spec.substr(first, second - first), spec.substr(second + 1), options);
}

Dataset read_digits(const DataOptions& options) {
  Dataset data = digits();
  set_classes("digits", options, data);
  return data;
}

/// The sets that have no test part of their own.
Dataset read_whole(SourceKind kind, const std::string& spec, const DataOptions& options) {
  if (kind == SourceKind::digits) return read_digits(options);
  if (kind == SourceKind::npy_pair) return read_pair(spec, options);
  if (kind == SourceKind::npz) return read_arrays(spec, options);
  if (kind == SourceKind::text) return read_characters(spec.substr(kText.size()), options.window, options);
  if (kind == SourceKind::sounds)
    return read_sounds(spec.substr(kSounds.size()), options.window, options.bands, options);
  return read_csv(spec, options);
}

/// UsageError for options that this kind of data has no use for.
void check_options(SourceKind kind, const std::string& spec, const DataOptions& options) {
  if (kind == SourceKind::csv) return;
  const char* given = !options.label.empty()                   ? "label"
                      : options.header != CsvHeader::automatic ? "header"
                      : options.separator != 0                 ? "separator"
                                                               : nullptr;
  if (given != nullptr) throw UsageError(fmt::format("{}: goes with CSV files alone, found the data {}", given, spec));
}

Index test_size_of(const Dataset& data, double fraction) {
  if (!(fraction >= 0 && fraction < 1))
    throw UsageError(fmt::format("test fraction: found {}, expected a number from 0 to below 1", fraction));
  if (fraction == 0) return 0;
  if (data.size < 2)
    throw InputError(fmt::format("{}: found 1 sample, expected 2 or more to split off a test part", data.name));
  const auto wanted = static_cast<Index>(std::llround(fraction * static_cast<double>(data.size)));
  return std::clamp<Index>(wanted, 1, data.size - 1);
}

}  // namespace

DataSplit load_data(const std::string& spec, double test_fraction, std::uint64_t seed, const DataOptions& options) {
  const SourceKind kind = parse_source(spec);
  check_options(kind, spec, options);
  if (kind == SourceKind::fashion_mnist) return fashion_mnist(options);
  if (kind == SourceKind::idx_folder) return read_idx_folder(spec, options);
  Dataset data = read_whole(kind, spec, options);
  const Index test_size = kind == SourceKind::digits ? kDigitsTestSize : test_size_of(data, test_fraction);
  if (kind == SourceKind::text) return split_in_order(std::move(data), test_size);
  return split_in_place(std::move(data), test_size, seed);
}

Dataset load_all(const std::string& spec, const DataOptions& options) {
  const SourceKind kind = parse_source(spec);
  check_options(kind, spec, options);
  if (kind == SourceKind::fashion_mnist) return fashion_mnist(options).train;
  if (kind == SourceKind::idx_folder) return read_idx_folder(spec, options).train;
  return read_whole(kind, spec, options);
}

}  // namespace hso
