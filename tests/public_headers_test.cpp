// SPDX-License-Identifier: Apache-2.0
//
// Public headers lean on the standard library and on each other, on nothing else.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> public_headers() {
  std::vector<fs::path> headers;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(HSO_SOURCE_DIR) / "include/hsogpu"))
    if (entry.path().extension() == ".hpp" && entry.path().parent_path().filename() != "detail" &&
        entry.path().parent_path().filename() != "elements")
      headers.push_back(entry.path());
  return headers;
}

/// "file:line: text" for every line of the public headers that `wrong` picks.
template <class Predicate>
std::string offending_lines(const Predicate& wrong) {
  std::string found;
  for (const fs::path& path : public_headers()) {
    std::ifstream file(path);
    std::string line;
    for (int number = 1; std::getline(file, line); ++number)
      if (wrong(line)) found += path.filename().string() + ":" + std::to_string(number) + ": " + line + "\n";
  }
  return found;
}

TEST(PublicHeaders, ThereAreSome) { EXPECT_GE(public_headers().size(), 40u); }

TEST(PublicHeaders, IncludeTheStandardLibraryAndEachOtherOnly) {
  // Headers of the standard C++ library have neither a dot nor a slash in their names.
  const std::regex allowed(R"(\s*#\s*include\s+(<[a-z_0-9]+>|"hsogpu/([a-z]+/)?[a-z_0-9]+\.hpp")\s*(//.*)?)");
  const std::regex include(R"(\s*#\s*include.*)");
  EXPECT_EQ(offending_lines([&](const std::string& line) {
              return std::regex_match(line, include) && !std::regex_match(line, allowed);
            }),
            "");
}

TEST(PublicHeaders, NameNoTypeOfCudaOrOfAThirdParty) {
  const std::regex comment(R"(//.*$)");
  const std::regex foreign(
      R"(\b(cuda[A-Z]\w*|cublas\w*|cusolver\w*|__device__|__host__|(thrust|cub|fmt|nlohmann|toml|CLI)::))");
  EXPECT_EQ(offending_lines([&](const std::string& line) {
              return std::regex_search(std::regex_replace(line, comment, ""), foreign);
            }),
            "");
}

}  // namespace
