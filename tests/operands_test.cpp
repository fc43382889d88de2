// SPDX-License-Identifier: Apache-2.0
//
// Rows of every length and alignment: a device moves aligned rows in packs of several elements, the ends of rows and
// all others element by element. The numbers are small and whole, so that every result is exact.
#include <gtest/gtest.h>

#include <random>

#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class OperandsTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, OperandsTest, testing::ValuesIn(test::contexts()), test::device_word);

template <class T>
std::vector<T> whole_numbers(Index n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<T> x;
  for (Index i = 0; i < n; ++i) x.push_back(static_cast<T>(engine() % 9));
  return x;
}

struct Rows {
  Index count, length, stride, shift;  ///< row r begins at shift + r stride
};

std::vector<Rows> every_kind_of_rows(Index count) {
  std::vector<Rows> all;
  for (Index length : {1, 2, 3, 4, 5, 8, 31, 64, 257})
    for (Index gap : {0, 1, 2, 3, 4})
      for (Index shift : {0, 1, 2, 4}) all.push_back({count, length, length + gap, shift});
  return all;
}

/// for_each on the device against the formula on the host. make(from, to) gives the functor; whatever lies between
/// and around the rows stays as it was.
template <class From, class To, class Make>
void expect_the_formula(Context& context, const Make& make, Index count = 6) {
  for (const Rows& rows : every_kind_of_rows(count)) {
    const Index size = rows.shift + rows.count * rows.stride + 8;
    const auto from = whole_numbers<From>(size, 1);
    auto expected = whole_numbers<To>(size, 2);
    Buffer<From> device_from(context, Span<const From>(from));
    Buffer<To> device_to(context, Span<const To>(expected));
    const auto on_device = make(rows, device_from.data() + rows.shift, device_to.data() + rows.shift);
    context.ops<To>().for_each(rows.count, rows.length, on_device);
    const auto f = make(rows, from.data() + rows.shift, expected.data() + rows.shift);
    for (Index o = 0; o < rows.count; ++o)
      for (Index i = 0; i < rows.length; ++i) run_element(f, row_at(f, o), i);
    ASSERT_EQ(device_to.download(), expected)
        << "rows of " << rows.length << ", " << rows.stride << " apart, from " << rows.shift;
  }
}

TEST_P(OperandsTest, RowsThatAreReadWrittenAndUpdated) {
  test::for_types([&]<class T>() {
    expect_the_formula<T, T>(
        context(), [](const Rows& r, const T* from, T* to) { return Axpby<T>{2, from, r.stride, 0, to, r.stride}; });
    expect_the_formula<T, T>(
        context(), [](const Rows& r, const T* from, T* to) { return Axpby<T>{2, from, r.stride, 3, to, r.stride}; });
    for (const bool accumulate : {false, true})
      expect_the_formula<T, T>(context(), [=](const Rows& r, const T* from, T* to) {
        return Scale<T>{from, from, r.stride, to, r.stride, accumulate};
      });
  });
}

TEST_P(OperandsTest, RowsWithCoordinates) {
  test::for_types([&]<class T>() {
    expect_the_formula<T, T>(context(), [](const Rows& r, const T* from, T* to) {
      return AddToRows<T>{from, r.stride, to, 3 * r.stride, 3, r.stride, true};
    });
    expect_the_formula<T, T>(context(), [](const Rows& r, const T* from, T* to) {
      return AddToColumns<T>{from, 3, to, 3 * r.stride, 3, r.stride, false};
    });
    expect_the_formula<T, T>(context(), [](const Rows& r, const T* from, T* to) {
      return CopyRows<T>{from, 3 * r.stride, r.stride, to, r.stride, 2 * r.stride, 3};
    });
  });
}

TEST_P(OperandsTest, OperandsOfOtherTypes) {
  expect_the_formula<std::uint8_t, float>(context(), [](const Rows& r, const std::uint8_t* kept, float* to) {
    return Keep<float>{kept, to, r.stride, to, r.stride};
  });
  expect_the_formula<float, double>(
      context(),
      [](const Rows&, const float* from, double* to) {
        return Convert<double, float>{from, to};
      },
      1);
  expect_the_formula<double, float>(
      context(),
      [](const Rows&, const double* from, float* to) {
        return Convert<float, double>{from, to};
      },
      1);
}

}  // namespace
}  // namespace hso
