// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/csv.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "io/suggest.hpp"

namespace hso {

namespace {

constexpr Index kDigitsTestSize = 360;

enum class SourceKind { digits, fashion_mnist, npy_pair, csv, idx_folder };

bool is_npy_pair(const std::string& spec) { return spec.find(".npy,") != std::string::npos && spec.ends_with(".npy"); }

SourceKind parse_source(const std::string& spec) {
  if (spec == "digits") return SourceKind::digits;
  if (spec == "fashion-mnist") return SourceKind::fashion_mnist;
  if (is_npy_pair(spec)) return SourceKind::npy_pair;
  if (spec.ends_with(".csv")) return SourceKind::csv;
  if (std::filesystem::is_directory(spec)) return SourceKind::idx_folder;
  if (spec.find('/') != std::string::npos && !std::filesystem::exists(spec))
    throw InputError(fmt::format("{}: no such file or folder", spec));
  throw UsageError(
      fmt::format("--data: found '{}', expected digits, fashion-mnist, X.npy,Y.npy, FILE.csv or an existing "
                  "folder of IDX files{}",
                  spec, did_you_mean(spec, {"digits", "fashion-mnist"})));
}

Dataset read_pair(const std::string& spec) {
  const std::size_t comma = spec.find(".npy,") + 4;
  return read_npy_pair(spec.substr(0, comma), spec.substr(comma + 1));
}

/// The sets that have no test part of their own.
Dataset read_whole(SourceKind kind, const std::string& spec) {
  if (kind == SourceKind::digits) return digits();
  if (kind == SourceKind::npy_pair) return read_pair(spec);
  return read_csv_with_or_without_header(spec);
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

DataSplit load_data(const std::string& spec, double test_fraction, std::uint64_t seed) {
  const SourceKind kind = parse_source(spec);
  if (kind == SourceKind::fashion_mnist) return fashion_mnist();
  if (kind == SourceKind::idx_folder) return read_idx_folder(spec);
  const Dataset data = read_whole(kind, spec);
  return split(data, kind == SourceKind::digits ? kDigitsTestSize : test_size_of(data, test_fraction), seed);
}

Dataset load_all(const std::string& spec) {
  const SourceKind kind = parse_source(spec);
  if (kind == SourceKind::fashion_mnist) return fashion_mnist().train;
  if (kind == SourceKind::idx_folder) return read_idx_folder(spec).train;
  return read_whole(kind, spec);
}

}  // namespace hso
