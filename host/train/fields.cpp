// SPDX-License-Identifier: Apache-2.0
#include "train/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "hsogpu/error.hpp"
#include "hsogpu/wrappers.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "io/utf8.hpp"

namespace hso {
namespace {

template <class Number>
bool parse_number(const std::string& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool parse(const std::string& text, std::string& out) {
  out = text;
  return !text.empty();
}
bool parse(const std::string& text, Index& out) { return parse_number(text, out) && out >= 0; }
bool parse(const std::string& text, std::uint64_t& out) {
  return parse_number(text, out) && out <= static_cast<std::uint64_t>(INT64_MAX);  // TOML has no larger integers
}
bool parse(const std::string& text, double& out) { return parse_number(text, out) && std::isfinite(out) && out >= 0; }
bool parse(const std::string& text, bool& out) {
  out = text == "true" || text == "1";
  return out || text == "false" || text == "0";
}
bool parse(const std::string& text, LossKind& out) {
  out = parse_loss(text);
  return true;
}
bool parse(const std::string& text, Scaling& out) {
  out = parse_scaling(text);
  return true;
}
bool parse(const std::string& text, Initialization& out) {
  out = parse_initialization(text);
  return true;
}
/// Joined by commas. make_wrapped says what is wrong with one.
bool parse(const std::string& text, std::vector<std::string>& out) {
  out.clear();
  for (std::size_t begin = 0; begin < text.size(); begin = text.find(',', begin) + 1) {
    out.push_back(text.substr(begin, text.find(',', begin) - begin));
    if (text.find(',', begin) == std::string::npos) break;
  }
  make_wrapped<double>(make_optimizer<double>("sgd"), out);
  return true;
}

const char* expected(const std::string&) { return "a word"; }
const char* expected(Index) { return "a whole number, at least 0"; }
const char* expected(std::uint64_t) { return "a whole number from 0 to 2^63 - 1"; }
const char* expected(double) { return "a finite number, at least 0"; }
const char* expected(bool) { return "true or false"; }
const char* expected(const std::vector<std::string>&) { return "wrappers"; }
template <class Enum>
const char* expected(Enum) {
  return "a known word";
}

std::string text_of(const std::string& value) { return value; }
std::string text_of(const std::vector<std::string>& value) { return fmt::format("{}", fmt::join(value, ",")); }
std::string text_of(LossKind value) { return name_of(value); }
std::string text_of(Scaling value) { return scaling_name(value); }
std::string text_of(Initialization value) { return name_of(value); }
template <class Number>
std::string text_of(Number value) {
  return fmt::format("{}", value);
}

const OptimizerInfo& find_optimizer(const std::string& name, const std::string& origin) {
  std::vector<std::string> names;
  for (const OptimizerInfo& info : optimizer_table()) {
    if (info.name == name) return info;
    names.push_back(info.name);
  }
  throw UsageError(fmt::format("{}: found '{}'{}, expected one of {}", origin, shown(name), did_you_mean(name, names),
                               fmt::join(names, ", ")));
}

std::vector<TrainField> make_fields() {
  using O = TrainOptions;
  return {
      {"model", &O::model, "mlp:64-32-10:tanh, a named model, or a TOML file"},
      {"data", &O::data,
       "digits, fashion-mnist, X.npy,Y.npy, FILE.npz (arrays x and y) or FILE.npz:X:Y, FILE.csv, FILE.csv.gz, or a "
       "folder "
       "of IDX files"},
      {"label", &O::label,
       "CSV: the column of the label, by name or by number from 0 (negative: from the end); without, the one named "
       "label, class, target or y, else the last",
       true},
      {"header", &O::header, "CSV: the first line names the columns: auto, yes or no"},
      {"separator", &O::separator, "CSV: auto, comma, semicolon, tab, bar or space"},
      {"loss", &O::loss,
       fmt::format(
           "{}; means over the rows, squared_error of half the sum over the outputs (outputs / 2 times PyTorch's "
           "MSELoss), bce of the sum (outputs times BCEWithLogitsLoss)",
           fmt::join(loss_names(), ", "))},
      {"scaling", &O::scaling,
       "of the inputs, whatever their format: none, unit (divide by the largest), standard, per-feature"},
      {"reconstruct", &O::reconstruct, "the targets are the inputs (autoencoders, with squared_error or bce)"},
      {"initialization", &O::initialization, fmt::format("{}", fmt::join(initialization_names(), ", "))},
      {"optimizer", &O::optimizer, "the method; `hso train --help` lists them with their options"},
      {"wrap", &O::wrappers, "NAME[:VALUE...] around the optimizer, inside out; may be repeated"},
      {"device", &O::device, "auto, cpu, cuda or cuda:N"},
      {"precision", &O::precision, "float32 or float64"},
      {"tf32", &O::tf32, "CUDA: allow TF32 (10-bit mantissa) in float32 products"},
      {"deterministic", &O::deterministic, "CPU: the same bits whatever the number of threads"},
      {"batch", &O::batch, "rows of a step; 0: all for full-batch methods, 128 otherwise"},
      {"curvature_batch", &O::curvature_batch,
       "rows of the curvature, drawn apart from the gradient's; 0: the gradient's"},
      {"device_batch", &O::device_batch, "rows on the device at a time; 0: chosen from the memory that is there"},
      {"epochs", &O::epochs, "passes over the data; 0: 20 for mini-batch methods"},
      {"steps", &O::steps, "accepted steps; 0: 20 for full-batch methods, else by epochs"},
      {"max_trials", &O::max_trials, "points tried at most; 0: twice the steps"},
      {"target_loss", &O::target_loss, "stop when the training loss is at most this; 0: never"},
      {"target_accuracy", &O::target_accuracy, "stop when the training accuracy is at least this, at most 1; 0: never"},
      {"max_seconds", &O::max_seconds, "stop before more time is spent in steps; 0: never"},
      {"max_processor_seconds", &O::max_processor_seconds, "the same of the processor's time; 0: never"},
      {"max_gradients", &O::max_gradients,
       "stop before more gradients of all rows, or their equivalent, are spent; 0: never"},
      {"weight_decay", &O::weight_decay, "adds weight_decay/2 |theta|^2 to the loss"},
      {"l1", &O::l1, "adds l1 |theta|_1 to the loss"},
      {"test_fraction", &O::test_fraction, "share of the samples that becomes the test part (digits: 360 samples)"},
      {"seed", &O::seed, "of the split, the start, the order of the batches and dropout"},
      {"evaluate_every", &O::evaluate_every, "steps between records; 0: each step (full batch) or epoch"},
      {"checkpoint_every", &O::checkpoint_every, "steps between checkpoints; 0: the last alone"},
      {"spectrum_every", &O::spectrum_every,
       "steps between spectra, of all and of each layer, in spectra.jsonl; 0: none"},
      {"spectrum_kind", &O::spectrum_kind, fmt::format("{}", fmt::join(curvature_names(), ", "))},
      {"start", &O::start,
       "a run directory or one of its checkpoints whose parameters (and mask) the training starts from; model, data, "
       "loss, scaling, reconstruct, precision, test_fraction and seed are then that run's unless given",
       true},
  };
}

}  // namespace

std::string TrainField::flag() const {
  std::string name = "--" + key;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string TrainField::variable() const {
  std::string name = "HSO_" + key;
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name;
}

const std::vector<TrainField>& train_fields() {
  static const std::vector<TrainField> fields = make_fields();
  return fields;
}

const TrainField* find_train_field(const std::string& key) {
  const auto& fields = train_fields();
  const auto at = std::find_if(fields.begin(), fields.end(), [&](const TrainField& f) { return f.key == key; });
  return at == fields.end() ? nullptr : &*at;
}

std::string field_text(const TrainOptions& options, const TrainField& field) {
  return std::visit([&](auto member) { return text_of(options.*member); }, field.member);
}

void set_field(TrainOptions& options, const TrainField& field, const std::string& text, const std::string& origin) {
  if (field.key == "optimizer" && text != options.optimizer) {
    find_optimizer(text, origin);
    options.optimizer_settings.clear();
  }
  std::visit(
      [&](auto member) {
        auto value = options.*member;
        try {
          if (field.optional && text.empty())
            value = {};
          else if (!parse(text, value))
            throw UsageError(fmt::format("found '{}', expected {}", shown(text), expected(value)));
        } catch (const UsageError& e) {
          throw UsageError(fmt::format("{}: {}", origin, e.what()));
        }
        options.*member = value;
      },
      field.member);
}

void set_optimizer_option(TrainOptions& options, const std::string& name, const std::string& text,
                          const std::string& origin) {
  std::vector<std::string> names;
  for (const OptionInfo& option : find_optimizer(options.optimizer, origin).options) names.push_back(option.name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UsageError(fmt::format("{}: optimizer {} has no option '{}'{}, expected one of {}", origin, options.optimizer,
                                 name, did_you_mean(name, names), fmt::join(names, ", ")));
  options.optimizer_settings[name] = text;
}

void check_train_options(const TrainOptions& options) {
  make_optimizer<double>(options.optimizer, options.optimizer_settings);
  const bool sees_network =
      options.optimizer == "kfac" || options.optimizer == "ekfac" || options.optimizer == "sophia";
  if (sees_network && options.curvature_batch > 0)
    throw UsageError(
        fmt::format("optimizer {}: a curvature_batch hides the network whose layers it reads; use its own refresh "
                    "options",
                    options.optimizer));
  if (options.precision != "float32" && options.precision != "float64")
    throw UsageError(fmt::format("precision: found '{}', expected float32 or float64", options.precision));
  if (!(options.test_fraction >= 0 && options.test_fraction < 1))
    throw UsageError(
        fmt::format("test_fraction: found {}, expected a number from 0 to below 1", options.test_fraction));
  if (!(options.target_accuracy <= 1))
    throw UsageError(fmt::format("target_accuracy: found {}, expected a share from 0 to 1", options.target_accuracy));
  if (options.reconstruct && options.loss == LossKind::cross_entropy)
    throw UsageError("reconstruct: cross_entropy has classes for targets, expected the loss squared_error or bce");
  if (options.reconstruct && options.target_accuracy > 0)
    throw UsageError("target_accuracy: there is no accuracy where inputs are the targets (reconstruct)");
  parse_curvature(options.spectrum_kind);
  parse_csv_header(options.header);
  parse_csv_separator(options.separator);
  if (options.spectrum_every > 0 && options.run_directory.empty())
    throw UsageError("spectrum_every: spectra are written to the run directory, and there is none");
  TrainOptions copy;
  for (const TrainField& field : train_fields()) {
    const std::string text = field_text(options, field);
    if (!options.run_directory.empty() && !is_utf8(text))
      throw UsageError(
          fmt::format("{}: found '{}', expected UTF-8, as the run's config.toml is", field.key, shown(text)));
    if (field.key != "optimizer") set_field(copy, field, text, field.key);
  }
}

}  // namespace hso
