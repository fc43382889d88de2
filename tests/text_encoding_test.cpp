// SPDX-License-Identifier: Apache-2.0
//
// Text that is not UTF-8: Latin-1 is converted and said to be, all else is refused, and a run keeps the names.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/text_encoding.hpp"
#include "hsogpu/core/error.hpp"
#include "io/utf8.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::run_program;
using test::starts_with;
using test::TempDir;
using Words = std::vector<std::string>;

/// "Gaensefuesschen" with its umlauts, in both encodings.
const std::string kLatin1 =
                      "G\xe4nsef\xfc\xdf"
                      "chen",
                  kUtf8 =
                      "G\xc3\xa4nsef\xc3\xbc\xc3\x9f"
                      "chen";

TEST(Utf8, ByTheRanges) {
  for (const std::string good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                 "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good));
    EXPECT_EQ(find_no_utf8("ab" + good + "\xff"), 2 + good.size());
  }
  // Stray and missing bytes, more bytes than needed, surrogates, beyond U+10FFFF.
  for (const std::string bad : {"\x80", "\xc2", "\xe2\x82", "\xf0\x9f\x98", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
                                "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"})
    EXPECT_EQ(find_no_utf8("ab" + bad), 2u);
}

TEST(TextEncoding, Latin1IsConvertedAndUtf8Stays) {
  Words notes;
  EXPECT_EQ(to_utf8("a.csv", "plain", notes), "plain");
  EXPECT_EQ(to_utf8("a.csv", kUtf8, notes), kUtf8);
  EXPECT_TRUE(notes.empty());
  EXPECT_EQ(to_utf8("a.csv", "a\nb\n" + kLatin1 + "\xa0\xff", notes), "a\nb\n" + kUtf8 + "\xc2\xa0\xc3\xbf");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(contains(notes[0], "line 3", "Latin-1"));
}

TEST(TextEncoding, OthersAreRefusedByLine) {
  const auto error = [](const std::string& text) {
    Words notes;
    return message_of<InputError>([&] { to_utf8("a.csv", text, notes); });
  };
  EXPECT_TRUE(starts_with(error("\xff\xfe" + std::string("a\0", 2)), "a.csv: line 1: ", "UTF-16", "expected"));
  EXPECT_TRUE(starts_with(error("a\n" + kUtf8 + "\nb\xe4\n"), "a.csv: line 3: ", "0xe4", "as the file is elsewhere"));
  EXPECT_TRUE(starts_with(error("a\nb\xe4\n\x84 c"), "a.csv: line 3: ", "0x84", "Latin-1"));
}

TEST(TextEncoding, ARunOnLatin1NamesIsEvaluated) {
  const TempDir dir;
  const auto table = [](const std::string& name) {
    return "l\xe4nge;breite;art\n1;5;" + name + "\n2;6;Katze\n1;4;" + name + "\n2;5;Katze\n";
  };
  const std::string data = dir.write("a.csv", table(kLatin1)), run = dir.file("run");
  const test::ProgramResult trained =
      run_program({"train", "--data", data, "--label", "art", "--model", "mlp:2-3-2:tanh", "--device", "cpu",
                   "--optimizer", "sgd", "--epochs", "1", "--test-fraction", "0", "--out", run});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_TRUE(contains(trained.err, "note: line 1 is not UTF-8", kUtf8 + " 2"));
  const test::ProgramResult own = run_program({"eval", "--checkpoint", run, "--json"});
  ASSERT_EQ(own.exit_code, 0) << own.err;
  EXPECT_EQ(nlohmann::json::parse(own.out).at("data").at("class_names"), (Words{kUtf8, "Katze"}));
  // The same class in a file that is UTF-8.
  const std::string other = dir.write("b.csv", "l;breite;art\n1;5;" + kUtf8 + "\n");
  const test::ProgramResult given = run_program({"eval", "--checkpoint", run, "--data", other, "--json"});
  ASSERT_EQ(given.exit_code, 0) << given.err;
  EXPECT_EQ(nlohmann::json::parse(given.out).at("data").at("class_counts"), (std::vector<int>{1, 0}));
}

TEST(TextEncoding, APathThatConfigTomlCannotHoldIsRefusedBeforeTheRun) {
  const TempDir dir;
  const std::string data = dir.write(kLatin1 + ".csv", "1,5,1\n2,6,0\n3,4,1\n");
  const test::ProgramResult r = run_program({"train", "--data", data, "--model", "mlp:2-3-2:tanh", "--device", "cpu",
                                             "--optimizer", "sgd", "--epochs", "1", "--out", dir.file("run")});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_TRUE(contains(r.err, "data: found", "G\\xe4nse", "UTF-8"));
}

}  // namespace
}  // namespace hso
