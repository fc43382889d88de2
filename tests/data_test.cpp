// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/data/dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"
#include "support/test_file.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;

using Numbers = std::vector<double>;

std::vector<int> class_counts(const Dataset& data) {
  std::vector<int> counts(static_cast<std::size_t>(data.classes));
  for (double label : data.targets) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

Dataset small_set() { return {"small", 3, Shape{2}, {1, 2, 3, 4, 5, 6}, Shape{}, {0, 1, 1}, 2}; }

TEST(DatasetTest, ValidateNamesWhatIsWrong) {
  EXPECT_NO_THROW(small_set().validate());
  const auto error = [](auto change) {
    Dataset data = small_set();
    change(data);
    return message_of<InputError>([&] { data.validate(); });
  };
  EXPECT_TRUE(contains(error([](Dataset& d) { d.size = 4; }), "small: found 6 input values, expected 8 for 4 samples"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets.pop_back(); }), "found 2 target values, expected 3"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.inputs[3] = std::nan(""); }), "sample 1, input 1: found nan"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.inputs[3] = -std::nan(""); }), "found nan")) << "no sign";
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets[2] = HUGE_VAL; }), "sample 2, target 0: found inf"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets[1] = 2; }),
                       "sample 1 has label 2, expected a whole number from 0 to 1"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets[0] = -1; }), "label -1"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.targets[0] = 0.5; }), "label 0.5"));
  EXPECT_TRUE(contains(error([](Dataset& d) {
                         d.target_shape = Shape{1, 1};
                       }),
                       "target shape [1, 1] beside 2 classes"));
  EXPECT_TRUE(contains(error([](Dataset& d) { d.size = -1; }), "size -1"));
}

TEST(DatasetTest, SubsetTakesRowsInOrder) {
  const std::vector<Index> rows = {2, 0, 2};
  const Dataset part = small_set().subset(rows);
  part.validate();
  EXPECT_EQ(part.size, 3);
  EXPECT_EQ(part.classes, 2);
  EXPECT_EQ(part.inputs, (Numbers{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(part.targets, (Numbers{1, 0, 1}));
  const std::vector<Index> outside = {3};
  EXPECT_TRUE(contains(message_of<InputError>([&] { small_set().subset(outside); }), "sample 3, expected 0 to 2"));
}

TEST(Digits, KnownFacts) {
  const Dataset data = digits();
  data.validate();
  EXPECT_EQ(data.size, 1797);
  EXPECT_EQ(data.input_shape, (Shape{1, 8, 8}));
  EXPECT_EQ(class_counts(data), (std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  EXPECT_EQ(*std::max_element(data.inputs.begin(), data.inputs.end()), 16);
  EXPECT_EQ(*std::min_element(data.inputs.begin(), data.inputs.end()), 0);
  // The first image as it is printed everywhere.
  EXPECT_EQ(std::vector<double>(data.inputs.begin(), data.inputs.begin() + 16),
            (std::vector<double>{0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0}));
  std::vector<std::size_t> constant;
  for (std::size_t j = 0; j < 64; ++j) {
    std::set<double> values;
    for (std::size_t i = 0; i < 1797; ++i) values.insert(data.inputs[i * 64 + j]);
    if (values.size() == 1) constant.push_back(j);
  }
  EXPECT_EQ(constant, (std::vector<std::size_t>{0u, 32u, 39u}));
}

TEST(Digits, PixelSumsOfEachClass) {
  // Summed by a separate script over the UCI file.
  const Dataset data = digits();
  std::vector<double> sums(10);
  for (std::size_t i = 0; i < data.inputs.size(); ++i)
    sums[static_cast<std::size_t>(data.targets[i / 64])] += data.inputs[i];
  EXPECT_EQ(sums, (Numbers{56415, 57007, 55566, 56151, 56239, 55915, 56336, 54289, 57408, 56392}));
}

TEST(Digits, EqualTheUciFile) {
  const test::TempDir dir;
  const auto read = [&](const std::string& name) {
    return read_csv(dir.write(name, test::test_file("data/optdigits/" + name)));
  };
  const Dataset file = read("optdigits.tes.csv");
  EXPECT_EQ(file.input_shape, Shape{64});
  EXPECT_EQ(file.inputs, digits().inputs);
  EXPECT_EQ(file.targets, digits().targets);
  const Dataset train = read("optdigits.tra.csv");
  EXPECT_EQ(train.size, 3823);
  EXPECT_EQ(class_counts(train), (std::vector<int>{376, 389, 380, 389, 387, 376, 377, 387, 380, 382}));
}

TEST(Shuffle, IsAPermutationThatDependsOnTheSeed) {
  for (Index n : {0, 1, 2, 3, 33, 1797}) {
    const auto order = shuffled_indices(n, 7);
    EXPECT_EQ(order, shuffled_indices(n, 7));
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<Index> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), Index{0});
    EXPECT_EQ(sorted, all);
  }
  EXPECT_NE(shuffled_indices(100, 1), shuffled_indices(100, 2));
  EXPECT_THROW(shuffled_indices(-1, 0), UsageError);
}

TEST(Shuffle, EveryPermutationIsEquallyLikely) {
  // 24 permutations of 4, 4,800 seeds: chi-square with 23 degrees of freedom exceeds 59.5 with probability 5e-5.
  std::map<std::vector<Index>, int> counts;
  for (std::uint64_t seed = 0; seed < 4800; ++seed) ++counts[shuffled_indices(4, seed)];
  ASSERT_EQ(counts.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, count] : counts) chi_square += (count - 200.0) * (count - 200.0) / 200.0;
  EXPECT_LT(chi_square, 59.5);
}

TEST(Split, IsDisjointCompleteAndRepeatable) {
  Dataset data = digits();
  for (std::size_t i = 0; i < 1797; ++i) data.inputs[64 * i] = static_cast<double>(i);  // a name for each sample
  const DataSplit parts = split(data, 360, 3);
  EXPECT_EQ(parts.test.size, 360);
  EXPECT_EQ(parts.train.size, 1437);
  parts.train.validate();
  parts.test.validate();
  std::set<double> names;
  for (const Dataset* part : {&parts.train, &parts.test}) {
    for (Index i = 0; i < part->size; ++i) {
      const auto name = static_cast<std::size_t>(part->inputs[static_cast<std::size_t>(64 * i)]);
      EXPECT_EQ(part->targets[static_cast<std::size_t>(i)], data.targets[name]);
      names.insert(static_cast<double>(name));
    }
    const auto counts = class_counts(*part);
    EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 0);
  }
  EXPECT_EQ(names.size(), 1797u);
  EXPECT_EQ(parts.test.inputs, split(data, 360, 3).test.inputs);
  EXPECT_NE(parts.test.inputs, split(data, 360, 4).test.inputs);
  const auto order = shuffled_indices(1797, 3);
  EXPECT_EQ(parts.test.inputs[0], static_cast<double>(order[0]));
  EXPECT_EQ(parts.train.inputs[0], static_cast<double>(order[360]));
}

TEST(Split, PartsAreTheSubsetsOfTheShuffle) {
  const Dataset data = digits();
  for (const Index test_size : {Index{1}, Index{360}, Index{1796}}) {
    const DataSplit parts = split(data, test_size, 5);
    const std::vector<Index> order = shuffled_indices(data.size, 5);
    const Span<const Index> all(order);
    const auto middle = static_cast<std::size_t>(test_size);
    const Dataset train = data.subset(all.subspan(middle)), test = data.subset(all.first(middle));
    EXPECT_EQ(parts.train.inputs, train.inputs);
    EXPECT_EQ(parts.train.targets, train.targets);
    EXPECT_EQ(parts.test.inputs, test.inputs);
    EXPECT_EQ(parts.test.targets, test.targets);
  }
}

TEST(Split, RefusesSizesThatDoNotFit) {
  EXPECT_TRUE(contains(message_of<UsageError>([] { split(small_set(), 3, 0); }), "test part of 3 of the 3 samples"));
  EXPECT_THROW(split(small_set(), -1, 0), UsageError);
  EXPECT_EQ(split(small_set(), 0, 0).test.size, 0);
}

TEST(ScalingTest, NamesGoBothWays) {
  for (Scaling s : {Scaling::none, Scaling::unit_range, Scaling::standard, Scaling::per_feature})
    EXPECT_EQ(parse_scaling(scaling_name(s)), s);
  EXPECT_TRUE(contains(message_of<UsageError>([] { parse_scaling("per-feture"); }), "did you mean 'per-feature'?"));
}

TEST(ScalingTest, NoneAndUnitRange) {
  const Dataset before = digits();
  Dataset data = before;
  Standardizer::fit(data, Scaling::none).apply(data);
  EXPECT_EQ(data.inputs, before.inputs);
  Standardizer::fit(data, Scaling::unit_range).apply(data);
  for (std::size_t i = 0; i < data.inputs.size(); ++i) ASSERT_EQ(data.inputs[i], before.inputs[i] / 16) << i;
  EXPECT_EQ(data.targets, before.targets);
}

/// Mean and population standard deviation of column j of `columns` interleaved ones.
std::pair<double, double> moments(const std::vector<double>& values, std::size_t j, std::size_t columns) {
  double sum = 0, squares = 0, n = 0;
  for (std::size_t i = j; i < values.size(); i += columns, n += 1) {
    sum += values[i];
    squares += values[i] * values[i];
  }
  return {sum / n, std::sqrt(std::max(0.0, squares / n - sum / n * sum / n))};
}

TEST(ScalingTest, StandardHasMeanZeroAndDeviationOne) {
  Dataset data = digits();
  const Standardizer fitted = Standardizer::fit(data, Scaling::standard);
  EXPECT_EQ(fitted.mean.size(), 1u);
  fitted.apply(data);
  const auto [mean, deviation] = moments(data.inputs, 0, 1);
  EXPECT_NEAR(mean, 0, 1e-10);
  EXPECT_NEAR(deviation, 1, 1e-10);
}

TEST(ScalingTest, PerFeatureOnlyShiftsConstantFeatures) {
  Dataset data = digits();
  for (std::size_t i = 0; i < 1797; ++i) data.inputs[64 * i] = 0.1;  // a mean that rounds
  const Standardizer fitted = Standardizer::fit(data, Scaling::per_feature);
  fitted.apply(data);
  for (std::size_t j = 0; j < 64; ++j) {
    const bool constant = j == 0 || j == 32 || j == 39;
    const auto [mean, deviation] = moments(data.inputs, j, 64);
    EXPECT_NEAR(mean, 0, 1e-10) << j;
    EXPECT_NEAR(deviation, constant ? 0 : 1, 1e-10) << j;
    if (constant) {
      EXPECT_EQ(fitted.scale[j], 1);
    }
  }
  EXPECT_EQ(data.inputs[0], 0);
}

/// Scaled numbers are the same whatever the unit of the inputs, from the smallest to the largest double.
TEST(ScalingTest, DoesNotDependOnTheUnit) {
  for (Scaling scaling : {Scaling::unit_range, Scaling::standard, Scaling::per_feature}) {
    Dataset plain = small_set();
    Standardizer::fit(plain, scaling).apply(plain);
    for (double unit : {0x1p-1000, 0x1p-600, 0x1p600, 0x1p1020}) {
      Dataset data = small_set();
      for (double& value : data.inputs) value *= unit;
      Standardizer::fit(data, scaling).apply(data);
      EXPECT_EQ(data.inputs, plain.inputs) << scaling_name(scaling) << " " << unit;
    }
  }
}

TEST(ScalingTest, RefusesInputsThatOverflow) {
  Dataset data = small_set();
  data.inputs[3] = 1e308;
  const Standardizer tiny{{0.0}, {1e-10}};
  EXPECT_TRUE(contains(message_of<InputError>([&] { tiny.apply(data); }), "sample 1, input 1: 1e+308 becomes inf"));
}

TEST(ScalingTest, FittedOnTrainAppliedToBoth) {
  Dataset train = small_set(), test = small_set();
  test.inputs = {7, 8, 9, 10, 11, 12};
  const Standardizer fitted = Standardizer::fit(train, Scaling::per_feature);
  fitted.apply(test);
  const double deviation = std::sqrt(8.0 / 3.0);  // of 1, 3, 5 and of 2, 4, 6
  const std::vector<double> expected = {4 / deviation, 4 / deviation, 6 / deviation,
                                        6 / deviation, 8 / deviation, 8 / deviation};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_DOUBLE_EQ(test.inputs[i], expected[i]);
  Dataset wide{"wide", 1, Shape{3}, {1, 2, 3}, Shape{}, {0}, 1};
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { fitted.apply(wide); }), "found 2 means and 2 scales, expected 1 or 3"));
  EXPECT_THROW(Standardizer::fit(Dataset{}, Scaling::standard), InputError);
}

}  // namespace
}  // namespace hso
