// SPDX-License-Identifier: Apache-2.0
#include "optim/hso/model_cg.hpp"

namespace hso::detail {

namespace {

constexpr Index kFactors = 6;
constexpr Index kAlign = 64;  // elements: A p starts on a 256-byte line in float

/// Values of the model that the progress test reaches back to.
Index history_of(const ModelCgOptions& o) { return o.iterations / 4 + 2; }

}  // namespace

const char* name_of(ModelCgStop stop) {
  static const char* const kWords[] = {"residual", "progress",           "iterations",
                                       "boundary", "negative_curvature", "not_finite"};
  return kWords[static_cast<std::size_t>(stop)];
}

template <class T>
Index ModelCg<T>::number_bytes() const {
  return (kStateNumbers + history_of(o_)) * static_cast<Index>(sizeof(double)) +
         (kFactors + kAlign) * static_cast<Index>(sizeof(T));
}

template <class T>
void ModelCg<T>::make_room(Context& context, Index n, bool preconditioned) {
  ops_ = &context.ops<T>();
  n_ = n;
  for (Buffer<T>* b : {&x_, &r_}) *b = Buffer<T>(context, n);
  const Index row = (n + kAlign - 1) / kAlign * kAlign;
  pair_ = Buffer<T>(context, row + n);
  ap_ = pair_.data() + row;
  if (preconditioned) z_ = Buffer<T>(context, n);
  kept_ = Buffer<T>(context, checked_multiply(o_.kept, n));
  factors_ = Buffer<T>(context, kFactors);
  numbers_ = Buffer<double>(context, kStateNumbers + history_of(o_));
  recorded_ = context.make_recorded();
  look_ = std::make_unique<LateLook>(context, numbers_.data(), kStateNumbers);
  expected_ = 0;
}

template <class T>
void ModelCg<T>::dot(const T* x, const T* y, double* result) {
  ops_->dots_on_device(1, n_, x, n_, y, n_, result);
}

/// y = f_i x + f_j y
template <class T>
void ModelCg<T>::combine(Index i, const T* x, Index j, T* y) {
  ops_->for_each(1, n_, LaneAxpby<T>{factors_.data() + i, x, n_, factors_.data() + j, y, n_});
}

/// x, r = -(g + (A + delta I) x), and what phi(x) = x'(g - r) / 2 is made of.
template <class T>
void ModelCg<T>::begin(LinearOperator<T>& a, double delta, const T* g, const T* start) {
  dot(g, g, &state()->gg);
  ops_->axpby(n_, T(-1), g, T(0), r_.data());
  if (start == nullptr) return ops_->fill(n_, T(0), x_.data());
  ops_->copy(n_, start, x_.data());
  a.apply(vector_view<const T>(x_.data(), n_), vector_view(ap_, n_));
  if (delta != 0) ops_->axpby(n_, static_cast<T>(delta), x_.data(), T(1), ap_);
  ++result_.products;
  ops_->axpby(n_, T(-1), ap_, T(1), r_.data());
  dot(x_.data(), g, &state()->xg);
  dot(x_.data(), r_.data(), &state()->xr);
}

template <class T>
const T* ModelCg<T>::preconditioned(LinearOperator<T>* inverse) {
  if (inverse == nullptr) return r_.data();
  inverse->apply(vector_view<const T>(r_.data(), n_), z_.view());
  return z_.data();
}

template <class T>
ModelCgResult ModelCg<T>::minimize(LinearOperator<T>& a, double delta, const T* g, LinearOperator<T>* inverse,
                                   const T* start, double radius) {
  result_ = {};
  handed_out_ = 0;
  next_kept_ = 1;
  kept_at_.clear();
  begin(a, delta, g, start);
  const T* z = preconditioned(inverse);
  residual_dots(z);
  const ModelCgRules rules{o_.tolerance, o_.progress,           radius,
                           delta,        o_.definite ? 1. : 0., static_cast<double>(history_of(o_))};
  ops_->for_each(1, 1,
                 ModelCgStart<T>{rules, start != nullptr, inverse != nullptr, state(), history(), factors_.data()});
  ops_->copy(n_, z, pair_.data());
  g_ = g;
  delta_ = delta;
  iterate(a, delta, inverse);
  if (pairs_ != nullptr) pairs_->keep(moves_, delta);
  result_.products += result_.iterations;
  expected_ = result_.iterations;
  return result_;
}

/// Iterations after the last one change nothing, and so it does not matter how many are queued before that is seen.
template <class T>
void ModelCg<T>::iterate(LinearOperator<T>& a, double delta, LinearOperator<T>* inverse) {
  look_->start(expected_, 0.25);
  if (!look_->late() && ended(look_->now())) return;
  for (Index i = 1; i <= o_.iterations; ++i) {
    a.apply(vector_view<const T>(pair_.data(), n_), vector_view(ap_, n_));
    recorded(delta != 0 ? Part::damped : Part::plain, [&] { advance(delta != 0); });
    if (pairs_ != nullptr) {  // rows behind the last iteration stay as they are
      combine(3, pair_.data(), 4, pairs_->s(i));
      combine(3, ap_, 4, pairs_->y(i));
    }
    const T* z = preconditioned(inverse);
    recorded(z == r_.data() ? Part::turn : Part::preconditioned_turn, [&] { turn(z); });
    keep(i);
    if (ended(look_->after(i))) return;
  }
  ended(look_->now());
}

template <class T>
template <class Launch>
void ModelCg<T>::recorded(Part part, const Launch& launch) {
  const auto key = static_cast<std::uintptr_t>(part);  // all addresses are this solver's own
  recorded_->run({&key, 1}, launch);
}

template <class T>
void ModelCg<T>::advance(bool damped) {
  if (damped) combine(5, pair_.data(), 2, ap_);
  ops_->dots_on_device(2, n_, pair_.data(), 0, pair_.data(), ap_ - pair_.data(), &state()->pp);  // and pAp
  ops_->for_each(1, 1, ModelCgLength<T>{state(), history(), factors_.data()});
  combine(0, pair_.data(), 2, x_.data());
  combine(1, ap_, 2, r_.data());
}

template <class T>
void ModelCg<T>::residual_dots(const T* z) {
  if (z != r_.data()) dot(r_.data(), r_.data(), &state()->rr);
  dot(r_.data(), z, &state()->next);
}

template <class T>
void ModelCg<T>::turn(const T* z) {
  residual_dots(z);
  ops_->for_each(1, 1, ModelCgTurn<T>{z != r_.data(), state(), history(), factors_.data()});
  combine(0, z, 1, pair_.data());
}

template <class T>
void ModelCg<T>::keep(Index iteration) {
  if (o_.kept == 0 || iteration < next_kept_) return;
  const Index row = static_cast<Index>(kept_at_.size()) % o_.kept;
  combine(3, x_.data(), 4, kept_.data() + row * n_);
  kept_at_.push_back(iteration);
  next_kept_ = std::max(next_kept_ + 1, static_cast<Index>(std::ceil(1.3 * static_cast<double>(next_kept_))));
}

/// Takes the result from what was seen, and forgets iterates that were to be kept behind the last one: nothing was
/// written there.
template <class T>
bool ModelCg<T>::ended(Span<const double> seen) {
  if (seen.empty()) return false;
  const auto& s = *reinterpret_cast<const ModelCgState*>(seen.data());
  const bool runs = s.stop == kRunning;
  result_.stop = runs ? ModelCgStop::iterations : static_cast<ModelCgStop>(static_cast<int>(s.stop));
  result_.iterations = static_cast<Index>(s.iterations);
  result_.phi = s.phi;
  result_.norm = s.norm;
  result_.rayleigh = s.rayleigh;
  moves_ = static_cast<Index>(s.moves);
  if (!runs) std::erase_if(kept_at_, [&](Index at) { return at > moves_; });
  return !runs;
}

template <class T>
const T* ModelCg<T>::earlier() {
  const auto stored = static_cast<Index>(kept_at_.size());
  while (handed_out_ < std::min(stored, o_.kept)) {
    const Index place = stored - ++handed_out_;
    if (kept_at_[static_cast<std::size_t>(place)] < result_.iterations) return kept_.data() + place % o_.kept * n_;
  }
  return nullptr;
}

template <class T>
void ModelCg<T>::product(T* ax) {
  ops_->axpby(n_, T(-1), r_.data(), T(0), ax);
  ops_->axpby(n_, T(-1), g_, T(1), ax);
  if (delta_ != 0) ops_->axpby(n_, static_cast<T>(-delta_), x_.data(), T(1), ax);
}

template class ModelCg<float>;
template class ModelCg<double>;

}  // namespace hso::detail
