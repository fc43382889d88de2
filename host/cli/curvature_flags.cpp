// SPDX-License-Identifier: Apache-2.0
#include "cli/curvature_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/applies.hpp"
#include "cli/values.hpp"
#include "io/choice.hpp"

namespace hso::cli {

CurvatureFlags::CurvatureFlags(Command& command) : command_(command) {
  command.group("matrix");
  command.option("--kind KIND", kind_, fmt::format("{} [hessian]", fmt::join(curvature_names(), ", ")))
      .words(curvature_names());
  command.option("--factors KIND", factors_,
                 "what kfac, ekfac and diagonal are made from: ggn, fisher_mc, fisher_empirical; diagonal also "
                 "hessian, estimated [ggn]");
  command.option("--draws N", options_.fisher_draws, "targets drawn for each sample by fisher_mc [1]").whole_number(1);
  command.option("--diagonal-probes N", options_.diagonal_probes, "products that estimate the hessian's diagonal [30]")
      .whole_number(2);
  command.option("--secant WORD", secant_, "secant's steps: axis (n gradients) or sgd [axis]");
  command.option("--secant-count N", options_.secant.count, "sgd steps of secant [10]").whole_number(1);
  command.option("--secant-rate X", options_.secant.rate, "learning rate of secant's sgd steps [0.01]").above_zero();
}

void CurvatureFlags::require_applicable() const {
  const Curvature k = kind();
  const bool factored = k == Curvature::kfac || k == Curvature::ekfac || k == Curvature::diagonal;
  const bool secant = k == Curvature::secant, sgd = secant_ == "sgd";
  cli::require_applicable(command_, {{"--factors", factored, "--kind kfac, ekfac or diagonal"},
                                     {"--draws", k == Curvature::fisher_mc || (factored && factors_ == "fisher_mc"),
                                      "--kind fisher_mc, or --factors fisher_mc"},
                                     {"--diagonal-probes", k == Curvature::diagonal && factors_ == "hessian",
                                      "--kind diagonal --factors hessian"},
                                     {"--secant", secant, "--kind secant"},
                                     {"--secant-count", secant && sgd, "--kind secant --secant sgd"},
                                     {"--secant-rate", secant && sgd, "--kind secant --secant sgd"}});
}

Curvature CurvatureFlags::kind() const { return of_flag("--kind", parse_curvature, kind_); }

NetworkObjectiveOptions CurvatureFlags::options() const {
  NetworkObjectiveOptions out = options_;
  static const std::vector<std::string> sources{"hessian", "ggn", "fisher_mc", "fisher_empirical"};
  out.factors = parse_choice<Curvature>("--factors", factors_, sources);
  out.secant.steps = parse_secant_steps(secant_);
  if (is_positive_semidefinite(kind()) && kind() != Curvature::gradient_outer) out.most = Linearization::for_ggn;
  return out;
}

}  // namespace hso::cli
