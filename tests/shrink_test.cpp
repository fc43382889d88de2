// SPDX-License-Identifier: Apache-2.0
//
// The shrunken model against the masked one: the same outputs, nothing left that could go.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "hsogpu/core/error.hpp"
#include "hsogpu/prune/structure.hpp"
#include "support/compare.hpp"
#include "support/messages.hpp"
#include "support/shrink_models.hpp"

namespace hso::test {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void remove_all(Mask& mask, const std::vector<Index>& list) {
  for (Index i : list) mask.kept[at(i)] = 0;
}

/// Equal outputs, a consistent description of what stays, and nothing more to remove.
void expect_equivalent(const ModelSpec& model, const Numbers& theta, const Mask& mask, const ShrunkModel& small) {
  EXPECT_TRUE(
      close(outputs(small.model, small.theta), outputs(model, masked(theta, mask)), rounding_tolerance<double>(), 1));
  ASSERT_EQ(static_cast<Index>(small.theta.size()), parameters_of(small.model));
  ASSERT_EQ(small.source.size(), small.theta.size());
  ASSERT_EQ(small.mask.size(), parameters_of(small.model));
  EXPECT_TRUE(std::set<Index>(small.source.begin(), small.source.end()).size() == small.source.size());
  EXPECT_EQ(masked(small.theta, small.mask), small.theta);
  EXPECT_LE(small.mask.count(), mask.count());
  const ShrunkModel again = shrink(small.model, small.theta, small.mask);
  EXPECT_EQ(again.model, small.model);
  EXPECT_EQ(again.theta, small.theta);
  EXPECT_EQ(again.mask, small.mask);
}

/// Random units of every group go, at least one stays in each.
std::vector<Unit> random_units(const ModelSpec& model, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Unit> chosen;
  for (UnitGroup& g : prunable_units(model)) {
    std::shuffle(g.units.begin(), g.units.end(), random);
    g.units.resize(random() % g.units.size());
    chosen.insert(chosen.end(), g.units.begin(), g.units.end());
  }
  return chosen;
}

TEST(Shrink, AFullMaskChangesNothing) {
  for (const ShrinkCase& c : shrink_cases()) {
    SCOPED_TRACE(c.name);
    const Numbers theta = random_theta(c.model, 1);
    const ShrunkModel same = shrink(c.model, theta, Mask::all(static_cast<Index>(theta.size())));
    EXPECT_EQ(same.model, c.model);
    EXPECT_EQ(same.theta, theta);
    EXPECT_EQ(same.mask.count(), same.mask.size());
    EXPECT_TRUE(std::is_sorted(same.source.begin(), same.source.end()));
    EXPECT_TRUE(same.notes.empty());
  }
}

TEST(Shrink, RemovedUnitsAreGoneExactly) {
  for (const ShrinkCase& c : shrink_cases()) {
    const Numbers theta = random_theta(c.model, 2);
    for (std::uint64_t seed : {1u, 2u, 3u}) {
      SCOPED_TRACE(c.name + ", seed " + std::to_string(seed));
      Mask mask = Mask::all(static_cast<Index>(theta.size()));
      for (const Unit& u : random_units(c.model, seed)) remove(mask, u);
      const ShrunkModel small = shrink(c.model, theta, mask);
      expect_equivalent(c.model, theta, mask, small);
      EXPECT_EQ(static_cast<Index>(small.theta.size()), mask.count());
      EXPECT_EQ(small.mask.count(), small.mask.size());
      EXPECT_EQ(multiply_adds(small.model), multiply_adds(c.model, mask));
      for (std::size_t i = 0; i < small.theta.size(); ++i) EXPECT_EQ(small.theta[i], theta[at(small.source[i])]);
    }
  }
}

TEST(Shrink, WhatNobodyReadsGoes) {
  for (const ShrinkCase& c : shrink_cases()) {
    SCOPED_TRACE(c.name);
    const Numbers theta = random_theta(c.model, 3);
    Mask mask = Mask::all(static_cast<Index>(theta.size())), unit = mask;
    for (const Unit& u : random_units(c.model, 4)) remove_all(mask, u.outgoing), remove(unit, u);
    const ShrunkModel small = shrink(c.model, theta, mask);
    expect_equivalent(c.model, theta, mask, small);
    EXPECT_EQ(static_cast<Index>(small.theta.size()), unit.count());
  }
}

/// The layer types that turn a zero into something else.
bool keeps_zero(const ModelSpec& model) {
  return std::none_of(model.layers.begin(), model.layers.end(),
                      [](const LayerSpec& l) { return l.type == "sigmoid" || l.type == "softplus"; });
}

TEST(Shrink, WhatReadsNothingGoesWithItsBias) {
  for (const ShrinkCase& c : shrink_cases()) {
    SCOPED_TRACE(c.name);
    const Numbers theta = random_theta(c.model, 5);
    Mask mask = Mask::all(static_cast<Index>(theta.size())), unit = mask;
    for (const Unit& u : random_units(c.model, 6)) remove_all(mask, u.incoming), remove(unit, u);
    const ShrunkModel small = shrink(c.model, theta, mask);
    expect_equivalent(c.model, theta, mask, small);
    if (keeps_zero(c.model)) {
      EXPECT_EQ(static_cast<Index>(small.theta.size()), unit.count());
    }
  }
}

TEST(Shrink, AnyMaskOfSingleWeights) {
  for (const ShrinkCase& c : shrink_cases()) {
    const Numbers theta = random_theta(c.model, 7);
    for (double kept : {0.7, 0.4, 0.2, 0.1, 0.03, 0.0}) {
      SCOPED_TRACE(c.name + ", kept " + std::to_string(kept));
      Mask mask = random_mask(static_cast<Index>(theta.size()), kept, 8);
      expect_equivalent(c.model, theta, mask, shrink(c.model, theta, mask));
      for (const Unit& u : random_units(c.model, 9)) remove_all(mask, u.index % 2 == 0 ? u.incoming : u.outgoing);
      expect_equivalent(c.model, theta, mask, shrink(c.model, theta, mask));
    }
  }
}

/// A unit left in the small model matters for its outputs, unless it is the last of its layer.
TEST(Shrink, WhatStaysMatters) {
  int checked = 0;
  for (const ShrinkCase& c : shrink_cases()) {
    const Numbers theta = random_theta(c.model, 9);
    for (double kept : {0.5, 0.3, 0.2}) {
      SCOPED_TRACE(c.name + ", kept " + std::to_string(kept));
      if (!c.smooth) continue;
      const Mask mask = random_mask(static_cast<Index>(theta.size()), kept, 10);
      const ShrunkModel small = shrink(c.model, theta, mask);
      const Numbers y = outputs(small.model, small.theta);
      for (const UnitGroup& g : prunable_units(small.model))
        for (std::size_t i = 0; i < std::min<std::size_t>(g.units.size(), 4); ++i, ++checked) {
          const Unit& u = g.units[i];
          Mask without = small.mask;
          remove(without, u);
          EXPECT_FALSE(close(outputs(small.model, masked(small.theta, without)), y, 1e-9))
              << "layer " << u.layer << ", unit " << u.index;
        }
    }
  }
  EXPECT_GT(checked, 100);
}

TEST(Shrink, ConstantsMoveIntoBiases) {
  // 0..1 weights, 2 3 biases; 4 5 weights, 6 bias: unit 0 reads nothing but has its bias.
  const ModelSpec model = parse_model("mlp:1-2-1:sigmoid");
  const Numbers theta{5, 2, 0.3, 0.1, 3, 4, 0.25};
  const ShrunkModel small = shrink(model, theta, Mask{{0, 1, 1, 1, 1, 1, 1}});
  EXPECT_EQ(small.model.layers[0].out, 1);
  EXPECT_EQ(small.source, (std::vector<Index>{1, 3, 5, 6}));
  EXPECT_TRUE(close(small.theta, {2, 0.1, 4, 0.25 + 3 / (1 + std::exp(-0.3))}, exact_tolerance<double>()));
  ASSERT_EQ(small.notes.size(), 1u);
  EXPECT_EQ(small.notes[0], "layer 2 (linear): 1 biases took up constants of removed units");
  const ShrunkModel revived = shrink(model, theta, Mask{{0, 1, 1, 1, 1, 1, 0}});
  EXPECT_EQ(revived.mask.count(), 4) << "a removed bias comes back for the constant";
}

TEST(Shrink, ConstantsWithoutAPlaceStay) {
  const auto notes = [](const std::string& reader) {
    const ModelSpec model =
        model_of("[1, 3, 3]",
                 {"conv2d out = 2, kernel = 1", "conv2d kernel = 3, out = 2, " + reader, "flatten", "linear out = 1"});
    const Numbers theta = random_theta(model, 11);
    Mask mask = Mask::all(static_cast<Index>(theta.size()));
    mask.kept[0] = 0;
    const ShrunkModel small = shrink(model, theta, mask);
    expect_equivalent(model, theta, mask, small);
    return std::pair{small.model.layers[0].out, small.notes.empty() ? "" : small.notes[0]};
  };
  EXPECT_EQ(notes("padding = 0"), (std::pair{Index{1}, std::string("layer 1 (conv2d): 2 biases took up constants of "
                                                                   "removed units")}));
  EXPECT_EQ(notes("padding = 1"), (std::pair{Index{2}, std::string("layer 1 (conv2d): 1 of its inputs are constants "
                                                                   "that stay: the layer pads them with zeros")}));
  EXPECT_EQ(notes("bias = false"),
            (std::pair{Index{2}, std::string("layer 1 (conv2d): 1 of its inputs are constants that stay: the layer has "
                                             "no bias to take them up")}));
}

TEST(Shrink, DeathSpreadsThroughLayers) {
  const ModelSpec model = parse_model("mlp:2-3-3-2");  // weights 0..5, 9..17, 21..26
  const Numbers theta = random_theta(model, 12);
  Mask mask = Mask::all(static_cast<Index>(theta.size()));
  for (Index i : {21, 24, 9 + 3 + 1, 9 + 6 + 1}) mask.kept[at(i)] = 0;  // unit 0 of the second: unread; unit 1 of the
  const ShrunkModel small = shrink(model, theta, mask);                 // first is read by that one alone
  EXPECT_EQ(small.model.layers[0].out, 2);
  EXPECT_EQ(small.model.layers[2].out, 2);
  expect_equivalent(model, theta, mask, small);
}

TEST(Shrink, UnitsThatOnlyReadEachOtherGo) {
  const ModelSpec model = model_of("[2]", {"linear out = 3", "tanh name = \"a\"", "linear out = 3", "add from = \"a\"",
                                           "linear out = 1"});  // 6 + 3, 9 + 3, 3 + 1
  const Numbers theta = random_theta(model, 13);
  Mask mask = Mask::all(static_cast<Index>(theta.size()));
  for (Index i : {9 + 1, 9 + 2, 21 + 1, 21 + 2}) mask.kept[at(i)] = 0;  // units 1 and 2: read by each other alone
  const ShrunkModel small = shrink(model, theta, mask);
  EXPECT_EQ(small.model.layers[0].out, 1);
  EXPECT_EQ(small.theta.size(), 7u);
  expect_equivalent(model, theta, mask, small);
}

TEST(Shrink, ANetworkCutThroughKeepsOneUnitALayer) {
  const ModelSpec model = parse_model("mlp:4-5-6-3:sigmoid");
  const Numbers theta = random_theta(model, 14);
  Mask mask = Mask::all(static_cast<Index>(theta.size()));
  for (Index i = 25; i < 55; ++i) mask.kept[at(i)] = 0;
  const ShrunkModel small = shrink(model, theta, mask);
  expect_equivalent(model, theta, mask, small);
  EXPECT_EQ(small.model.layers[0].out, 1);
  EXPECT_EQ(small.model.layers[2].out, 1);
  EXPECT_EQ(small.mask.count(), 3) << "the biases of the outputs";
  ASSERT_EQ(small.notes.size(), 3u);
  EXPECT_EQ(small.notes[0], "layer 0 (linear): all 5 units are dead; one stays, without weights");
  EXPECT_EQ(small.model.name, model.name + "-shrunk");
}

TEST(Shrink, ReshapeToFlatAndGroupsFollow) {
  const ModelSpec model = model_of("[2, 3, 3]", {"conv2d out = 6, kernel = 1", "conv2d out = 6, kernel = 1, groups = 3",
                                                 "reshape size = 54", "linear out = 2"});
  const Numbers theta = random_theta(model, 15);
  Mask mask = Mask::all(static_cast<Index>(theta.size()));
  remove(mask, prunable_units(model).at(0).units.at(1));
  const ShrunkModel small = shrink(model, theta, mask);
  EXPECT_EQ(small.model.layers[1].groups, 2);
  EXPECT_EQ(small.model.layers[2].size, std::vector<Index>{36});
  expect_equivalent(model, theta, mask, small);
}

TEST(Shrink, RefusesOtherLengths) {
  const ModelSpec model = parse_model("mlp:2-2");
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { shrink(model, Numbers(5), Mask::all(6)); }),
                          "shrink: found 5 parameters and a mask of 6, expected 6 of each as mlp:2-2:tanh has"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { shrink(model, Numbers(6), Mask::all(7)); }), "a mask of 7"));
}

}  // namespace
}  // namespace hso::test
