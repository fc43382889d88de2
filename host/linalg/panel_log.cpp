// SPDX-License-Identifier: Apache-2.0
#include "linalg/panel_log.hpp"

#include <cmath>

namespace hso::detail {
namespace {

Index numbers_each(Index width) { return 1 + width + 2 * width * width; }

Index coefficient_room(Index panels, Index width, Index rows) {
  return checked_multiply(2 * panels, checked_multiply(width, rows));
}

}  // namespace

Index panel_count(Index rows) {
  Index count = 0;
  for (; rows > 0; rows -= panel_width(rows)) ++count;
  return count;
}

template <class T>
PanelLog<T>::PanelLog(Context& context, Index panels, Index width, Index rows)
    : context_(context),
      most_(panels),
      width_(width),
      each_(numbers_each(width)),
      coefficients_(context, coefficient_room(panels, width, rows)),
      numbers_(context, panels * each_ + coefficient_room(panels, width, rows)),
      host_(static_cast<std::size_t>(numbers_.size())) {}

template <class T>
Index PanelLog<T>::bytes(Index panels, Index width, Index rows) {
  constexpr auto kDouble = static_cast<Index>(sizeof(double));
  return coefficient_room(panels, width, rows) * (kDouble + static_cast<Index>(sizeof(T))) +
         panels * numbers_each(width) * kDouble;
}

template <class T>
typename PanelLog<T>::Places PanelLog<T>::open(Index against, Index width, bool joins) {
  double* numbers = product();
  T* first = coefficients_.data() + used_;
  panels_.push_back({against, width, used_, joins});
  used_ += 2 * against * width;
  double* status = numbers + 1;
  return {first, first + against * width, numbers, status, status + width_, status + width_ + width_ * width_};
}

template <class T>
PanelNumbers PanelLog<T>::numbers_of(const Panel& panel, const double* numbers, const double* coefficients) const {
  const Index m = panel.against, w = panel.width;
  const double *status = numbers + 1, *before = status + width_, *r = before + width_ * width_;
  const double *first = coefficients + panel.at, *second = first + m * w;
  const auto r1 = [&](Index l, Index j) { return w == 1 || !panel.joins ? double(l == j) : before[l * w + j]; };
  const auto r2 = [&](Index l, Index j) { return panel.joins ? r[l * w + j] : l == j ? std::sqrt(r[j]) : 0; };
  PanelNumbers out{m, w, numbers[0], std::vector<double>(static_cast<std::size_t>((m + w) * w)), {}};
  const auto a = [&](Index i, Index j) -> double& { return out.a[static_cast<std::size_t>(i * w + j)]; };
  for (Index j = 0; j < w; ++j)
    for (Index i = 0; i < m; ++i) {
      a(i, j) = first[i * w + j];
      for (Index l = 0; l <= j; ++l) a(i, j) += r1(l, j) == 0 ? 0 : second[i * w + l] * r1(l, j);
    }
  for (Index j = 0; j < w; ++j)
    for (Index i = 0; i <= j; ++i)
      for (Index l = i; l <= j; ++l) a(m + i, j) += r2(i, l) * r1(l, j);
  out.status.assign(status, status + w);
  if (!panel.joins) out.status.assign(static_cast<std::size_t>(w), kRowFine);
  return out;
}

template <class T>
std::vector<PanelNumbers> PanelLog<T>::read() {
  const Index begin = most_ * each_, count = begin + used_;
  if (used_ > 0)
    context_.ops<double>().for_each(1, used_, Convert<double, T>{coefficients_.data(), numbers_.data() + begin});
  context_.to_host(numbers_.data(), host_.data(), count * static_cast<Index>(sizeof(double)));
  std::vector<PanelNumbers> out;
  for (const Panel& panel : panels_)
    out.push_back(numbers_of(panel, host_.data() + static_cast<Index>(out.size()) * each_, host_.data() + begin));
  clear();
  return out;
}

template class PanelLog<float>;
template class PanelLog<double>;

}  // namespace hso::detail
