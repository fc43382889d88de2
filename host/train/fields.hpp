// SPDX-License-Identifier: Apache-2.0
//
// The options of training as one table: it feeds the flags and HSO_* variables of the program, the TOML reader and the
// TOML writer. optimizer_settings and run_directory are apart: settings belong to an optimizer, and a file that names
// its own run directory would overwrite it when it is used again.
#pragma once

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "hsogpu/train/train.hpp"

namespace hso {

using TrainMember =
    std::variant<std::string TrainOptions::*, Index TrainOptions::*, double TrainOptions::*,
                 std::uint64_t TrainOptions::*, bool TrainOptions::*, LossKind TrainOptions::*, Scaling TrainOptions::*,
                 Initialization TrainOptions::*, std::vector<std::string> TrainOptions::*>;

struct TrainField {
  std::string key;  ///< TOML "weight_decay", flag "--weight-decay", variable "HSO_WEIGHT_DECAY"
  TrainMember member;
  std::string value = {};  ///< what the help calls the value: "N"; empty for what is true or false
  std::string help;
  std::vector<std::string> words = {};                    ///< all values, where they are a closed list
  bool optional = false;                                  ///< a word that may be empty; config.toml leaves it out then
  double most = std::numeric_limits<double>::infinity();  ///< of a number
  bool below = false;                                     ///< `most` itself is out of range
  std::string group = {};                                 ///< the heading in the help

  std::string flag() const;
  std::string variable() const;
};

/// In the order of config.toml.
const std::vector<TrainField>& train_fields();
/// Null when there is none.
const TrainField* find_train_field(const std::string& key);

/// The value as the flag takes it; a list is joined by commas.
std::string field_text(const TrainOptions& options, const TrainField& field);
/// UsageError "<origin>: found 'x', expected ...". Another optimizer takes none of the settings that were there.
void set_field(TrainOptions& options, const TrainField& field, const std::string& text, const std::string& origin);

/// Adds `text` as the optimizer's setting `name`; UsageError when the optimizer has no such option.
void set_optimizer_option(TrainOptions& options, const std::string& name, const std::string& text,
                          const std::string& origin);

/// UsageError naming the first option whose value is out of range or no known word, the optimizer's settings included.
void check_train_options(const TrainOptions& options);

}  // namespace hso
