// SPDX-License-Identifier: Apache-2.0
//
// CSV files: which dialect, header and label column are taken, what is said about it, and which line is wrong.
#include <gtest/gtest.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;

using Numbers = std::vector<double>;
using Words = std::vector<std::string>;

Dataset csv(const std::string& text, const DataOptions& options = {}) {
  const TempDir dir;
  const Dataset data = read_csv(dir.write("a.csv", text), options);
  data.validate();
  return data;
}

std::string csv_error(const std::string& text, const DataOptions& options = {}) {
  const TempDir dir;
  const std::string path = dir.write("bad.csv", text);
  const std::string message = message_of<InputError>([&] { read_csv(path, options); });
  EXPECT_TRUE(starts_with(message, path + ": "));
  return message;
}

bool has_note(const Dataset& data, const std::string& words) {
  return std::any_of(data.source.notes.begin(), data.source.notes.end(),
                     [&](const std::string& note) { return note.find(words) != std::string::npos; });
}

TEST(Csv, ReadsNumbersAndLabels) {
  const Dataset last =
      csv("\xef\xbb\xbf"
          "1, -2.5 ,0\r\n+3e2,\t0.1,1\r\n\r\n");
  EXPECT_EQ(last.size, 2);
  EXPECT_EQ(last.classes, 2);
  EXPECT_EQ(last.input_shape, Shape{2});
  EXPECT_EQ(last.inputs, (Numbers{1, -2.5, 300, 0.1}));
  EXPECT_EQ(last.targets, (Numbers{0, 1}));
  const Dataset middle = csv("a;b;c\n1;0;2\n3;1;4", {.header = CsvHeader::yes, .label = "1", .separator = ';'});
  EXPECT_EQ(middle.inputs, (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(middle.targets, (Numbers{0, 1}));
  EXPECT_EQ(csv("1 7\n0 8\n", {.label = "-2", .separator = ' '}).targets, (Numbers{1, 0}));
}

TEST(Csv, SeparatorIsTheOneUnderWhichTheLinesAgree) {
  for (const char* text :
       {"1,2,0\n3,4,1\n", "1;2;0\n3;4;1\n", "1\t2\t0\n3\t4\t1\n", "1|2|0\n3|4|1\n", "1 2 0\n3 4 1\n",
        "  1   2 0  \n3  4  1\n", "1 ; 2 ; 0\n3;4;1", "1,\t2,\t0\n3,\t4,\t1\n", "1, 2, 0\n3, 4, 1\n"}) {
    const Dataset data = csv(text);
    EXPECT_EQ(data.inputs, (Numbers{1, 2, 3, 4})) << text;
    EXPECT_EQ(data.targets, (Numbers{0, 1})) << text;
  }
  EXPECT_TRUE(contains(csv("1;2;0\n3;4;1\n").source.detail, "separated by ';'"));
  EXPECT_TRUE(contains(csv_error("1,5;2,5;0\n"), "line 1: field 1: found '1,5'", "decimal point"));
}

TEST(Csv, QuotesCommentsAndBlankLines) {
  const Dataset data =
      csv("# two samples\n\n\"a \"\"b\"\"\",\"width, in\nmetres\",class\n  # one\n\"1\", \"2.5\" ,\"0\"\n "
          "\t\n3,\"4\",1\n#end");
  EXPECT_EQ(data.inputs, (Numbers{1, 2.5, 3, 4}));
  EXPECT_EQ(data.targets, (Numbers{0, 1}));
  EXPECT_EQ(data.source.column_names, (Words{"a \"b\"", "width, in\nmetres"}));
  EXPECT_TRUE(contains(data.source.detail, "line 3 names the columns", "comments: 3"));
  EXPECT_TRUE(contains(csv_error("1,0\n\n\"1\n2\",1\n"), "line 3: field 1: found '1\n2'"));
  EXPECT_TRUE(contains(csv_error("1,0\n1,\"x\n"), "line 2: found a quoted field that does not end"));
  EXPECT_TRUE(contains(csv_error("1,0\n\"1\"2,0\n"), "line 2: found text behind a quoted field"));
}

TEST(Csv, HeaderIsFoundAnnouncedOrDenied) {
  const std::string rows = "0,1,2\n0.5,0.5,1\n1.5,2.5,0\n";
  EXPECT_EQ(csv("a,b,c\n" + rows).source.column_names, (Words{"a", "b"}));
  EXPECT_EQ(csv(",b,c\n" + rows).source.column_names, (Words{"", "b"})) << "an index as pandas writes it";
  EXPECT_EQ(csv("\"0\",\"1\",\"2\"\n" + rows).size, 3) << "quoted over bare numbers";
  const Dataset mixed = csv("0,1,kind\n" + rows);
  EXPECT_EQ(mixed.size, 3);
  EXPECT_TRUE(has_note(mixed, "taken for the names of the columns, though there are numbers in it"));
  const Dataset numbers = csv(rows);
  EXPECT_EQ(numbers.size, 3);
  EXPECT_TRUE(has_note(numbers, "--header yes if it names the columns")) << "0,1,2 over decimals";
  const Dataset announced = csv(rows, {.header = CsvHeader::yes});
  EXPECT_EQ(announced.size, 2);
  EXPECT_EQ(announced.source.column_names, (Words{"0", "1"}));
  EXPECT_FALSE(has_note(csv(rows, {.header = CsvHeader::no}), "--header"));
  EXPECT_TRUE(contains(csv_error("a,b,c\n" + rows, {.header = CsvHeader::no}), "line 1: field 1: found 'a'"));
  EXPECT_TRUE(contains(csv_error(rows, {.outputs = 2}), "line 1: field 3 has label 2", "--header yes"));
  EXPECT_TRUE(contains(csv_error("NA,3,1\n2,4,0\n"), "line 1: field 1: found 'NA'")) << "a missing value is no name";
  EXPECT_EQ(csv("1,0\n2,1\n3,0\n").source.notes, Words{});
}

TEST(Csv, LabelColumnByNameNumberOrPlace) {
  const auto labels = [](const std::string& header, const std::string& label) {
    return csv(header + "\n0,1,2\n1,0,0\n2,2,1\n", {.label = label});
  };
  EXPECT_EQ(labels("a,b,c", "").targets, (Numbers{2, 0, 1}));
  EXPECT_TRUE(contains(labels("a,b,c", "").source.labels, "column 2 'c' (the last)"));
  for (const char* name : {"label", "Class", "TARGET", "y"}) {
    const Dataset data = labels(std::string(name) + ",b,c", "");
    EXPECT_EQ(data.targets, (Numbers{0, 1, 2})) << name;
    EXPECT_TRUE(contains(data.source.labels, "column 0", "(by its name)"));
  }
  EXPECT_EQ(labels("a,labels,c", "").targets, (Numbers{2, 0, 1})) << "only the whole name counts";
  EXPECT_EQ(labels("a,b,c", "b").targets, (Numbers{1, 0, 2}));
  EXPECT_EQ(labels("a,b,c", "B").targets, (Numbers{1, 0, 2}));
  EXPECT_EQ(labels("a,b,c", "-2").targets, (Numbers{1, 0, 2}));
  EXPECT_EQ(labels("label,b,c", "1").targets, (Numbers{1, 0, 2})) << "what is asked for wins over the name";
  EXPECT_TRUE(has_note(labels("y,label,c", ""), "columns 1, 0 could all hold the label: column 1 was taken"));
  EXPECT_TRUE(contains(csv_error("width,b\n1,0\n", {.label = "widht"}), "no columns named 'widht'", "'width'?"));
  EXPECT_TRUE(contains(csv_error("1,0\n", {.label = "b"}), "no line that names the columns"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n", {.label = "3"}), "expected the label in column 3"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n", {.label = "-4"}), "expected the label in column -4"));
}

TEST(Csv, TextLabelsAreNumberedInSortedOrder) {
  const Dataset data = csv("5,yew\n6,ash\n7,\"oak, red\"\n8,ash\n");
  EXPECT_EQ(data.source.class_names, (Words{"ash", "oak, red", "yew"}));
  EXPECT_EQ(data.targets, (Numbers{2, 0, 1, 0}));
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(csv("yew,5\nash,6\n", {.label = "0"}).targets, (Numbers{1, 0}));
  // Other rows of the same kind keep the numbers of the training data.
  const DataOptions trained{.class_names = Words{"ash", "oak, red", "yew"}};
  EXPECT_EQ(csv("1,yew\n2,yew\n", trained).targets, (Numbers{2, 2}));
  EXPECT_EQ(csv("1,yew\n2,yew\n", trained).classes, 3);
  EXPECT_TRUE(contains(csv_error("1,yew\n2,elm\n", trained), "line 2: field 2: found the label 'elm'",
                       "one of ash, oak, red, yew as in the training data"));
  EXPECT_TRUE(
      contains(csv_error("1,yew\n", {.class_names = Words{}}), "expected a whole number from 0 as in the training"));
  EXPECT_TRUE(contains(csv_error("1,ash\n2,yew\n3,elm\n", {.outputs = 2}), "3 different labels (ash, elm, yew)",
                       "at most 2 as the model has 2 outputs"));
  EXPECT_TRUE(contains(csv_error("1,0\n2,ash\n"), "line 2: field 2: found the label 'ash'", "as above"));
  EXPECT_TRUE(has_note(csv("1,ash\n2,yew\n5,3\n"), "1 of the 3 labels look like numbers"));
  EXPECT_TRUE(contains(csv_error("1,\n2,0\n"), "line 1: field 2: found the label ''"));
}

TEST(Csv, ValuesWhereTheLossTakesThem) {
  const Dataset data = csv("1,0.5\n2,-3\n", {.targets = Targets::values});
  EXPECT_EQ(data.classes, 0);
  EXPECT_EQ(data.target_shape, Shape{1});
  EXPECT_EQ(data.targets, (Numbers{0.5, -3}));
  EXPECT_TRUE(contains(csv_error("1,ash\n", {.targets = Targets::values}), "expected a finite number"));
}

TEST(Csv, NamesInACommentAreNoted) {
  EXPECT_TRUE(has_note(csv("# label,a\n0,5\n1,7\n"), "names in comments are not read"));
  EXPECT_EQ(csv("# label,\"a\n0,5\n1,7\n# b, c\n").source.notes, Words{});
}

TEST(Csv, AnIndexIsNoted) {
  EXPECT_TRUE(has_note(csv(",a,class\n0,5,1\n1,7,0\n2,5,1\n"), "column 0 counts the rows"));
  EXPECT_FALSE(has_note(csv("a,b,class\n0,5,1\n1,7,0\n2,5,1\n"), "column 0")) << "it has a name of its own";
}

TEST(Csv, NamesTheLineThatIsWrong) {
  EXPECT_TRUE(contains(csv_error("1,2,0\n3,4,1\n5,6\n"), "line 3: found 2 fields, expected 3"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n3,4,1,\n"), "line 2: found 4 fields, expected 3"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n3,,1\n"), "line 2: field 2: found '', expected a finite number"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n3,four,1\n"), "line 2: field 2: found 'four', expected a finite number"));
  EXPECT_TRUE(contains(csv_error("1,2x,0\n"), "line 1: field 2: found '2x', expected a finite number", "--header yes"));
  EXPECT_TRUE(contains(csv_error("ash,1\nyew,2\n"), "line 1: field 1: found 'ash'", "--label if this column"));
  EXPECT_TRUE(contains(csv_error("1,2,0\nnan,2,0\n"), "line 2: field 1: found 'nan'"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n1,-inf,0\n"), "line 2: field 2: found '-inf'"));
  EXPECT_TRUE(
      contains(csv_error("1,1e999,0\n"), "line 1: field 2: found '1e999', expected a number that fits a double"));
  EXPECT_TRUE(contains(csv_error("1,2,0\n1,2,0.5\n"), "line 2: field 3: found the label '0.5', expected a whole"));
  EXPECT_TRUE(contains(csv_error("1,2,-1\n"), "line 1: field 3: found the label '-1'"));
  EXPECT_TRUE(contains(csv_error("x,y,z\n1,2.5,0\n"), "found the label '2.5'", "column 1 'y' (by its name) is taken"));
  EXPECT_TRUE(contains(csv_error("1,2,1e300\n"), "found the label '1e300'"));
  EXPECT_TRUE(contains(csv_error("5\n"), "found 1 column, expected at least one feature and a label"));
  EXPECT_TRUE(contains(csv_error(""), "found no rows"));
  EXPECT_TRUE(contains(csv_error("# nothing\n\n"), "found no rows"));
  EXPECT_TRUE(contains(csv_error("a,b\n", {.header = CsvHeader::yes}), "found no rows"));
  EXPECT_TRUE(starts_with(message_of<InputError>([] { read_csv("no/such.csv"); }), "no/such.csv: cannot open"));
  const std::string long_field = csv_error(std::string(100000, 'x') + ",0\nx,0\n");
  EXPECT_LT(long_field.size(), 500u) << "what is echoed is cut";
}

TEST(Csv, LabelsBeyondTheModelNameTheirLine) {
  EXPECT_TRUE(
      contains(csv_error("# kinds\n7,1\n8,2\n9,3\n", {.outputs = 3}),
               "line 4: field 2 has label 3, expected 0 to 2 as the model has 3 outputs (the labels run from 1"));
}

TEST(Csv, RefusesLabelsThatAreNotNumberedFromZero) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "0.5," + std::to_string(i == 17 ? 200 : i % 10) + "\n";
  EXPECT_TRUE(contains(csv_error(text), "sample 17 has label 200, but only 11 different labels occur"));
}

TEST(Csv, WordsForHeaderAndSeparator) {
  EXPECT_EQ(parse_csv_header("auto"), CsvHeader::automatic);
  EXPECT_EQ(parse_csv_header("no"), CsvHeader::no);
  EXPECT_EQ(parse_csv_separator("tab"), '\t');
  EXPECT_EQ(parse_csv_separator(";"), ';');
  EXPECT_EQ(parse_csv_separator("auto"), 0);
  EXPECT_TRUE(contains(message_of<UsageError>([] { parse_csv_header("none"); }), "'none'", "auto, yes or no"));
  EXPECT_TRUE(contains(message_of<UsageError>([] { parse_csv_separator("x"); }), "'x'", "semicolon"));
}

TEST(Csv, DecimalCommasAreRefusedAsSuch) {
  for (const char* text : {"1,5;2,5\n2,5;3,5\n", "1,5;2,5;0\n2,5;3,5;1\n", "1,5;0\n2,5;1\n", "1,5;oak\n2,5;ash\n",
                           "a;b;y\n1,5;2,5;0\n2,5;3,5;1\n", "1,5\t-2,5e3\t0\n", "\"1,5\",\"2,5\",0\n"})
    EXPECT_TRUE(contains(csv_error(text), "field 1: found '1,5'", "decimal commas are not read")) << text;
  EXPECT_TRUE(contains(csv_error("1;2,5\n2;3,5\n"), "found the label '2,5'", "decimal commas are not read"));
  // Two columns of whole numbers are none.
  EXPECT_EQ(csv("1,0\n2,1\n3,1\n").inputs, (Numbers{1, 2, 3}));
}

}  // namespace
}  // namespace hso
