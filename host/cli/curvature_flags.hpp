// SPDX-License-Identifier: Apache-2.0
//
// --kind and the options of its kinds, for the commands that show a curvature matrix.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "hsogpu/objective/network_objective.hpp"

namespace hso::cli {

class CurvatureFlags {
 public:
  /// `command` must not outlive this.
  explicit CurvatureFlags(Command& command);

  const std::string& name() const { return kind_; }
  Curvature kind() const;  ///< UsageError lists the names
  /// UsageError for a source or steps that there are none of.
  NetworkObjectiveOptions options() const;
  /// UsageError for an option that is of another kind.
  void require_applicable() const;

 private:
  const Command& command_;
  std::string kind_ = "hessian", factors_ = "ggn", secant_ = "axis";
  NetworkObjectiveOptions options_;
};

}  // namespace hso::cli
