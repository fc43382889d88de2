// SPDX-License-Identifier: Apache-2.0
//
// What belongs to a unit: removing it as listed makes the outputs independent of it, and nothing less does.
#include "hsogpu/prune/structure.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "hsogpu/core/error.hpp"
#include "support/compare.hpp"
#include "support/messages.hpp"
#include "support/shrink_models.hpp"

namespace hso::test {
namespace {

using List = std::vector<Index>;

TEST(Structure, NeuronsOfAnMlp) {
  const auto groups = prunable_units(parse_model("mlp:3-2-2-1"));  // 6 + 2, 4 + 2, 2 + 1
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].layers, std::vector<int>{0});
  EXPECT_EQ(groups[1].layers, std::vector<int>{2});
  ASSERT_EQ(groups[0].units.size(), 2u);
  const Unit& first = groups[0].units[1];
  EXPECT_EQ(first.layer, 0);
  EXPECT_EQ(first.index, 1);
  EXPECT_EQ(first.incoming, (List{3, 4, 5, 7}));
  EXPECT_EQ(first.outgoing, (List{9, 11}));
  EXPECT_EQ(first.multiply_adds, 5);
  const Unit& second = groups[1].units[0];
  EXPECT_EQ(second.incoming, (List{8, 9, 12}));
  EXPECT_EQ(second.outgoing, List{14});
}

TEST(Structure, ChannelsBecomeRunsOfFeatures) {
  // conv [2][1][2][2] 0..7, bias 8 9; output [2][2][2]; linear [2][8] 10..25, bias 26 27
  const auto groups =
      prunable_units(model_of("[1, 3, 3]", {"conv2d out = 2, kernel = 2", "flatten", "linear out = 2"}));
  ASSERT_EQ(groups.size(), 1u);
  const Unit& u = groups[0].units.at(1);
  EXPECT_EQ(u.incoming, (List{4, 5, 6, 7, 9}));
  EXPECT_EQ(u.outgoing, (List{14, 15, 16, 17, 22, 23, 24, 25}));
  EXPECT_EQ(u.multiply_adds, 4 * 4 + 8);
}

TEST(Structure, SummedNeuronsGoTogether) {
  // linear [2][1] 0 1, bias 2 3; linear [2][2] 4..7, bias 8 9; add; linear [1][2] 10 11, bias 12
  const auto groups = prunable_units(model_of(
      "[1]", {"linear out = 2, name = \"a\"", "tanh", "linear out = 2", "add from = \"a\"", "linear out = 1"}));
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].layers, (std::vector<int>{0, 2}));
  const Unit& u = groups[0].units.at(0);
  EXPECT_EQ(u.incoming, (List{0, 2, 4, 5, 8})) << "4 is from the unit to itself";
  EXPECT_EQ(u.outgoing, (List{6, 10}));
}

TEST(Structure, GroupsOfAConvolutionGoTogether) {
  const auto units = [](const std::string& options) {
    const auto groups = prunable_units(model_of(
        "[1, 2, 2]", {"conv2d out = 4, kernel = 1", "conv2d kernel = 1, " + options, "flatten", "linear out = 2"}));
    return std::pair{groups.at(0).layers, groups.at(0).units.size()};
  };
  EXPECT_EQ(units("out = 4, groups = 4"), (std::pair{std::vector<int>{0, 1}, std::size_t{4}}));
  EXPECT_EQ(units("out = 8, groups = 4"), (std::pair{std::vector<int>{0, 1}, std::size_t{4}}));
  EXPECT_EQ(units("out = 6, groups = 2"), (std::pair{std::vector<int>{0, 1}, std::size_t{2}}));
  EXPECT_EQ(units("out = 6"), (std::pair{std::vector<int>{0}, std::size_t{4}}));
}

TEST(Structure, SaysWhyALayerIsFixed) {
  const auto reasons = [](const std::string& input, const std::vector<std::string>& layers) {
    std::string text;
    for (const FixedLayer& f : fixed_layers(model_of(input, layers)))
      text += std::to_string(f.layer) + ": " + f.reason + "\n";
    return text;
  };
  EXPECT_EQ(reasons("[2]", {"linear out = 3", "linear out = 2"}), "1: its units are bound to the model's outputs\n");
  EXPECT_EQ(reasons("[2]", {"linear out = 2", "add from = \"input\"", "linear out = 2"}),
            "0: its units are bound to the model's inputs\n2: its units are bound to the model's outputs\n");
  EXPECT_EQ(reasons("[1, 2, 2]",
                    {"conv2d out = 4, kernel = 1", "tanh", "reshape size = [8, 2], name = \"r\"", "linear out = 2"}),
            "0: its units are bound to the reshape of layer r\n3: its units are bound to the model's outputs\n");
  EXPECT_EQ(reasons("[1, 2, 2]", {"conv2d out = 4, kernel = 1", "linear out = 3", "flatten", "linear out = 2"}),
            "0: all its units only go together\n"
            "3: its units are bound to the model's outputs\n");
}

TEST(Structure, ListsAreAscendingDisjointAndComplete) {
  for (const ShrinkCase& c : shrink_cases()) {
    SCOPED_TRACE(c.name);
    const Index n = parameters_of(c.model);
    for (const UnitGroup& g : prunable_units(c.model)) {
      EXPECT_GE(g.units.size(), 2u);
      List all_incoming;
      for (const Unit& u : g.units) {
        EXPECT_EQ(u.layer, g.layers.front());
        List both = u.incoming;
        both.insert(both.end(), u.outgoing.begin(), u.outgoing.end());
        for (const List* list : {&u.incoming, &u.outgoing}) EXPECT_TRUE(std::is_sorted(list->begin(), list->end()));
        EXPECT_EQ(std::set<Index>(both.begin(), both.end()).size(), both.size());
        EXPECT_TRUE(*std::max_element(both.begin(), both.end()) < n &&
                    *std::min_element(both.begin(), both.end()) >= 0);
        all_incoming.insert(all_incoming.end(), u.incoming.begin(), u.incoming.end());
      }
      EXPECT_EQ(std::set<Index>(all_incoming.begin(), all_incoming.end()).size(), all_incoming.size());
    }
  }
}

TEST(Structure, NothingReadsAUnitButItsOutgoingWeights) {
  for (const ShrinkCase& c : shrink_cases()) {
    SCOPED_TRACE(c.name);
    for (const UnitGroup& g : prunable_units(c.model)) {
      const Unit& u = g.units.back();
      Numbers theta = random_theta(c.model, 3);
      const Numbers before = outputs(c.model, theta);
      for (Index i : u.outgoing) theta[static_cast<std::size_t>(i)] = 0;
      const Numbers cut = outputs(c.model, theta);
      EXPECT_TRUE(!c.smooth || !close(cut, before, 1e-6));
      for (Index i : u.incoming) theta[static_cast<std::size_t>(i)] += 0.5;
      EXPECT_TRUE(close(outputs(c.model, theta), cut, 0)) << "layer " << u.layer << ", unit " << u.index;
    }
  }
}

TEST(Structure, RowsAndColumnsOfAMatrix) {
  const ParameterInfo w{"0.weight", Shape{2, 1, 1, 3}, 10};
  EXPECT_EQ(weight_rows(w), (std::vector<List>{{10, 11, 12}, {13, 14, 15}}));
  EXPECT_EQ(weight_columns(w), (std::vector<List>{{10, 13}, {11, 14}, {12, 15}}));
  EXPECT_TRUE(starts_with(message_of<UsageError>([] { weight_rows({"0.bias", Shape{2}, 0}); }), "0.bias: shape [2]"));
}

TEST(Structure, RunsLeaveTheEndOfARowAlone) {
  const ParameterInfo w{"0.weight", Shape{2, 5}, 3};
  EXPECT_EQ(weight_runs(w, 2), (std::vector<List>{{3, 4}, {5, 6}, {8, 9}, {10, 11}}));
  EXPECT_EQ(weight_runs(w, 4), (std::vector<List>{{3, 4, 5, 6}, {8, 9, 10, 11}}));
  EXPECT_TRUE(weight_runs(w, 6).empty());
  EXPECT_TRUE(starts_with(message_of<UsageError>([&] { weight_runs(w, 1); }), "0.weight: runs of 1"));
}

TEST(Structure, MultiplyAddsOfAMask) {
  for (const ShrinkCase& c : shrink_cases()) {
    const Index n = parameters_of(c.model);
    Mask mask = Mask::all(n);
    EXPECT_EQ(multiply_adds(c.model, mask), multiply_adds(c.model)) << c.name;
    for (const UnitGroup& g : prunable_units(c.model)) {
      Mask one = mask;
      remove(one, g.units.front());
      EXPECT_EQ(multiply_adds(c.model, one), multiply_adds(c.model) - g.units.front().multiply_adds) << c.name;
    }
  }
  EXPECT_TRUE(contains(message_of<InputError>([] { multiply_adds(parse_model("mlp:2-2"), Mask::all(5)); }),
                       "found a mask of 5 parameters, expected 6"));
}

TEST(Masks, CountAndCompose) {
  Mask a{{1, 0, 1, 1}}, b{{1, 1, 0, 1}};
  EXPECT_EQ(a.count(), 3);
  EXPECT_EQ(a.sparsity(), 0.25);
  EXPECT_EQ(Mask{}.sparsity(), 0);
  EXPECT_EQ(a &= b, (Mask{{1, 0, 0, 1}}));
  EXPECT_TRUE(contains(message_of<InputError>([&] { a &= Mask::all(3); }), "one of 4 parameters and one of 3"));
  Unit far;
  far.incoming = {9};
  EXPECT_TRUE(contains(message_of<InputError>([&] { remove(a, far); }), "parameter 9", "4 parameters"));
}

}  // namespace
}  // namespace hso::test
