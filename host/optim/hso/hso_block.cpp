// SPDX-License-Identifier: Apache-2.0
//
// HSO, block-diagonal: exact diagonal blocks, each in its own eigenbasis, blocks of one size decomposed together.
#include <fmt/ranges.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/hso.hpp"
#include "optim/choices.hpp"
#include "optim/hso/blocks.hpp"
#include "optim/hso/model_step.hpp"
#include "optim/hso/spectral.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class BlockForm final : public ModelStep<T> {
 public:
  explicit BlockForm(const HsoBlockOptions& o)
      : ModelStep<T>("hso.block", common_options("hso.block", o)),
        o_(o),
        layers_(o.blocks == HessianBlocks::layer),
        policy_(o.sign) {
    require_option(o.refresh >= 1, "hso.block", "refresh", o.refresh, "at least 1");
  }

 private:
  /// A matrix and the vector after it are a layer.
  Index form_bytes(Context& context, const ParameterLayout& layout) const override {
    Index numbers = 0, block = 0, largest = 0;
    const auto close = [&] {
      numbers += checked_multiply(block, block);
      largest = std::max(largest, block);
      block = 0;
    };
    for (const Shape& s : layout.tensors) {
      if (!layers_ || s.rank() >= 2) close();
      block += s.size();
    }
    close();
    const Index held = o_.refresh > 1 ? 2 * numbers : numbers;  // twice for a step back
    return checked_multiply(held + 4 * layout.n, static_cast<Index>(sizeof(T))) + eigh_bytes<T>(context, largest);
  }
  /// A block of theta, where its matrix lies in `matrices_`, and its eigenvalues.
  struct Block : ThetaBlock {
    Index at = 0;
    Spectrum spectrum{};
  };

  std::string prepare(Step<T>& s) override {
    StepReport& report = s.report;
    if (this->fresh()) make_form_room(s.objective);
    if (ready_ && age_ < o_.refresh) return {};
    ready_ = false;
    for (const Block& b : blocks_) {
      s.curvature->diagonal_block(b.begin, b.size, matrices_.data() + b.at);
      report.products += b.size;
      if (!std::isfinite(this->ops().max_abs(b.size * b.size, matrices_.data() + b.at)))
        return not_finite(report, b.name);
    }
    for (std::size_t first = 0; first < blocks_.size();) {
      std::size_t last = first;
      while (last < blocks_.size() && blocks_[last].size == blocks_[first].size) ++last;
      if (std::string why = decompose(s.objective.context(), first, last, report); !why.empty()) return why;
      first = last;
    }
    ready_ = true;
    age_ = 0;
    report.metrics.emplace_back("blocks", static_cast<std::int64_t>(blocks_.size()));
    return {};
  }

  void visit_form(StateVisitor& state) override {
    state("ready", ready_);
    state("age", age_);
    if (!ready_ || age_ >= o_.refresh) return;  // the next step makes all that follows
    state("matrices", matrices_);
    state.parts("block", blocks_.size(), [&](std::size_t i) { blocks_[i].spectrum.visit_state(state); });
  }
  static std::string not_finite(StepReport& report, const std::string& block) {
    report.status = StepStatus::not_finite;
    return fmt::format("the block '{}' is not finite", block);
  }

  void make_form_room(Objective<T>& objective) override {
    blocks_.clear();
    Index numbers = 0;
    for (const ThetaBlock& b : theta_blocks(objective.layout(), layers_)) {
      require_block_fits(objective.context(), b, numbers);
      blocks_.push_back({b, numbers});
      numbers += b.size * b.size;
    }
    matrices_ = Buffer<T>(objective.context(), numbers);
    n_ = this->n();
    ready_ = false;
  }
  /// Beside the blocks before it, which hold `numbers`.
  static void require_block_fits(Context& context, const ThetaBlock& b, Index numbers) {
    require_memory(
        context,
        fmt::format("hso.block: the block '{}' beside the smaller ones (blocks = parameter may fit; hso.kfac, "
                    "hso.lowrank and hso.cg take less)",
                    b.name),
        b.size, [&](Index m) {
          const Index square = checked_multiply(checked_multiply(m, m), Index{sizeof(T)});
          return checked_multiply(numbers, Index{sizeof(T)}) + square + eigh_bytes<T>(context, m);
        });
  }

  /// Blocks [first, last), all of one size.
  std::string decompose(Context& context, std::size_t first, std::size_t last, StepReport& report) {
    const Index size = blocks_[first].size, count = static_cast<Index>(last - first);
    View<T> all{matrices_.data() + blocks_[first].at, Shape{count, size, size}, 1, count * size * size};
    std::vector<EighResult> eigen = eigh_batched(context, all);
    for (std::size_t i = first; i < last; ++i) {
      EighResult& e = eigen[i - first];
      if (!e.ok()) return fmt::format("the eigendecomposition of '{}': {}", blocks_[i].name, name_of(e.status));
      if (!e.fallbacks.empty())
        report.message = fmt::format("hso.block: '{}' by {}", blocks_[i].name, fmt::join(e.fallbacks, ", "));
      Spectrum& s = blocks_[i].spectrum;
      s.values = std::move(e.values);
      s.summary = summarize_spectrum(s.values, spectrum_tolerance<T>(size));
    }
    return {};
  }

  std::string propose(Step<T>& s) override {
    const T* g = this->gradient();
    T* step = this->own_step();
    this->ops().fill(this->n(), T(0), step);  // entries of no tensor
    const double delta = this->damping().delta();
    for (const Block& b : blocks_) {
      const double largest = b.spectrum.summary.largest;
      const double eps = o_.eps + (largest > 0 ? this->damping().eps_scale() / largest : 0);
      const ModifiedInverse inverse = modify_inverse(b.spectrum, policy_, delta, eps);
      if (inverse.singular)
        return fmt::format("block '{}': sign = {} with delta = {:.3g} cannot be inverted", b.name, word_of(policy_),
                           delta);
      step_of(s.objective.context(), b, inverse, g + b.begin, step + b.begin);
    }
    return {};
  }

  /// -rate V' (1 / phi + eps) V g of one block
  void step_of(Context& context, const Block& b, const ModifiedInverse& inverse, const T* g, T* step) {
    const Index m = b.size;
    const T* v = matrices_.data() + b.at;
    Scratch scratch(context);
    T* c = scratch.take<T>(m);
    this->ops().gemm({m, 1, m, v, m, false, g, 1, false, c, 1});
    std::vector<T> host(static_cast<std::size_t>(m));
    context.to_host(c, host.data(), m * static_cast<Index>(sizeof(T)));
    for (std::size_t i = 0; i < host.size(); ++i)
      host[i] = static_cast<T>(-o_.rate * inverse.at(i) * static_cast<double>(host[i]));
    context.to_device(host.data(), c, m * static_cast<Index>(sizeof(T)));
    this->ops().gemm({1, m, m, c, m, false, v, m, false, step, m});
  }
  void refused(Step<T>&) override { age_ = o_.refresh; }
  void taken(StepReport&) override { ++age_; }
  bool rescales() const override { return o_.rescale; }

  HsoBlockOptions o_;
  bool layers_;
  SignPolicy policy_;
  std::vector<Block> blocks_;  ///< by size
  Buffer<T> matrices_;         ///< of each block its matrix, then its eigenvectors in rows
  Index n_ = -1;               ///< the dimension that there is room for
  bool ready_ = false;         ///< all blocks are decomposed
  int age_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_block(const HsoBlockOptions& options) {
  return std::make_unique<detail::BlockForm<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_block(const HsoBlockOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_block(const HsoBlockOptions&);

}  // namespace hso
