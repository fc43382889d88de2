// SPDX-License-Identifier: Apache-2.0
//
// The table of training options. A row is all that an option needs beside its member of TrainOptions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hsogpu/objective/network_objective.hpp"
#include "train/fields.hpp"

namespace hso {
namespace {

using O = TrainOptions;

struct Group {
  const char* title;
  std::vector<TrainField> fields;
};

std::vector<std::string> scaling_words() { return {"none", "unit", "standard", "per-feature"}; }

std::vector<std::string> optimizer_words() {
  std::vector<std::string> out;
  for (const OptimizerInfo& info : optimizer_table()) out.push_back(info.name);
  return out;
}

Group network() {
  return {
      "network",
      {{.key = "model",
        .member = &O::model,
        .value = "MODEL",
        .help = "mlp:64-32-10:tanh (sizes and activation), a named network (`hso models`), or a TOML file"},
       {.key = "loss",
        .member = &O::loss,
        .value = "LOSS",
        .help =
            "cross_entropy, squared_error, bce or huber; means over the rows. squared_error is half the sum over the "
            "outputs (outputs / 2 times PyTorch's MSELoss), bce the sum (outputs times BCEWithLogitsLoss), huber the "
            "sum (outputs times HuberLoss with delta 1)",
        .words = loss_names()},
       {.key = "initialization",
        .member = &O::initialization,
        .value = "NAME",
        .help = fmt::format("{}", fmt::join(initialization_names(), ", ")),
        .words = initialization_names()},
       {.key = "start",
        .member = &O::start,
        .value = "RUN",
        .help = "a run directory or one of its checkpoints whose parameters (and mask) the training starts from; "
                "model, data, loss, scaling, reconstruct, precision, test_fraction and seed are then that run's "
                "unless given",
        .optional = true}}};
}

Group data() {
  return {"data",
          {{.key = "data",
            .member = &O::data,
            .value = "DATA",
            .help = "digits, fashion-mnist, X.npy,Y.npy, FILE.npz (arrays x and y) or FILE.npz:X:Y, FILE.csv "
                    "(or .tsv, .txt, .data; each also .gz), text:FILE (the characters of a text), wav:FOLDER (sounds, "
                    "a folder for each class), or a folder of IDX files"},
           {.key = "label",
            .member = &O::label,
            .value = "COLUMN",
            .help = "CSV: the column of the label, by name or by number from 0 (negative: from the end); without, the "
                    "one named label, class, target or y, else the last",
            .optional = true},
           {.key = "header",
            .member = &O::header,
            .value = "WORD",
            .help = "CSV: the first line names the columns: auto, yes or no",
            .words = {"auto", "yes", "no"}},
           {.key = "separator",
            .member = &O::separator,
            .value = "WORD",
            .help = "CSV: auto, comma, semicolon, tab, bar or space",
            .words = {"auto", "comma", "semicolon", "tab", "bar", "space"}},
           {.key = "scaling",
            .member = &O::scaling,
            .value = "WORD",
            .help = "of the inputs, whatever their format: none, unit (divide by the largest), standard, per-feature",
            .words = scaling_words()},
           {.key = "reconstruct",
            .member = &O::reconstruct,
            .help = "the targets are the inputs (autoencoders, with squared_error or bce)"},
           {.key = "test_fraction",
            .member = &O::test_fraction,
            .value = "X",
            .help = "share of the samples that becomes the test part (digits: 360 samples)",
            .most = 1,
            .below = true},
           {.key = "seed",
            .member = &O::seed,
            .value = "N",
            .help = "of the split, the start, the order of the batches and dropout"}}};
}

Group method() {
  return {"method",
          {{.key = "optimizer",
            .member = &O::optimizer,
            .value = "NAME",
            .help = "`hso optimizers` lists them, `hso optimizers NAME` the options of one",
            .words = optimizer_words()},
           {.key = "wrap",
            .member = &O::wrappers,
            .value = "NAME[:VALUE...]",
            .help = "around the optimizer, inside out; may be repeated"},
           {.key = "batch",
            .member = &O::batch,
            .value = "N",
            .help = "rows of a step; 0: all for full-batch methods, 128 otherwise"},
           {.key = "curvature_batch",
            .member = &O::curvature_batch,
            .value = "N",
            .help = "rows of the curvature, drawn apart from the gradient's; 0: the gradient's"},
           {.key = "weight_decay",
            .member = &O::weight_decay,
            .value = "X",
            .help = "adds weight_decay/2 |theta|^2 to the loss"},
           {.key = "l1", .member = &O::l1, .value = "X", .help = "adds l1 |theta|_1 to the loss"}}};
}

Group length() {
  return {"length of the training",
          {{.key = "epochs",
            .member = &O::epochs,
            .value = "N",
            .help = "passes over the data; 0: 20 for mini-batch methods"},
           {.key = "steps",
            .member = &O::steps,
            .value = "N",
            .help = "accepted steps; 0: 20 for full-batch methods, else by epochs"},
           {.key = "max_trials",
            .member = &O::max_trials,
            .value = "N",
            .help = "points tried at most; 0: twice the steps"},
           {.key = "target_loss",
            .member = &O::target_loss,
            .value = "X",
            .help = "stop when the training loss is at most this; 0: never"},
           {.key = "target_accuracy",
            .member = &O::target_accuracy,
            .value = "X",
            .help = "stop when the training accuracy is at least this, at most 1; 0: never",
            .most = 1},
           {.key = "patience",
            .member = &O::patience,
            .value = "N",
            .help = "stop after N records without a lower test loss, and keep the parameters of the lowest; 0: never"},
           {.key = "max_seconds",
            .member = &O::max_seconds,
            .value = "X",
            .help = "stop before more time is spent in steps; 0: never"},
           {.key = "max_processor_seconds",
            .member = &O::max_processor_seconds,
            .value = "X",
            .help = "the same of the processor's time; 0: never"},
           {.key = "max_gradients",
            .member = &O::max_gradients,
            .value = "X",
            .help = "stop before more gradients of all rows, or their equivalent, are spent; 0: never"}}};
}

Group machine() {
  return {"machine",
          {{.key = "device",
            .member = &O::device,
            .value = "DEVICE",
            .help = "auto, cpu, cuda or cuda:N",
            .words = {"auto", "cpu", "cuda"}},
           {.key = "precision",
            .member = &O::precision,
            .value = "TYPE",
            .help = "float32 or float64",
            .words = {"float32", "float64"}},
           {.key = "tf32", .member = &O::tf32, .help = "CUDA: allow TF32 (10-bit mantissa) in float32 products"},
           {.key = "deterministic",
            .member = &O::deterministic,
            .help = "CPU: the same bits whatever the number of threads"},
           {.key = "device_batch",
            .member = &O::device_batch,
            .value = "N",
            .help = "rows on the device at a time; 0: chosen from the memory that is there"}}};
}

Group records() {
  return {"records",
          {{.key = "evaluate_every",
            .member = &O::evaluate_every,
            .value = "N",
            .help = "steps between records; 0: each step (full batch) or epoch"},
           {.key = "checkpoint_every",
            .member = &O::checkpoint_every,
            .value = "N",
            .help = "steps between checkpoints; 0: the last alone"},
           {.key = "keep_last", .member = &O::keep_last, .value = "N", .help = "newest checkpoints that stay; 0: all"},
           {.key = "keep_every",
            .member = &O::keep_every,
            .value = "N",
            .help = "checkpoints at multiples of N steps stay too; 0: none"},
           {.key = "keep_best",
            .member = &O::keep_best,
            .help = "the checkpoint of the lowest test loss, where it was evaluated, stays too"},
           {.key = "spectrum_every",
            .member = &O::spectrum_every,
            .value = "N",
            .help = "steps between spectra, of all and of each layer, in spectra.jsonl; 0: none"},
           {.key = "spectrum_kind",
            .member = &O::spectrum_kind,
            .value = "KIND",
            .help = fmt::format("{}", fmt::join(curvature_names(), ", ")),
            .words = curvature_names()}}};
}

std::vector<TrainField> make_fields() {
  std::vector<TrainField> out;
  for (Group& group : std::vector<Group>{network(), data(), method(), length(), machine(), records()})
    for (TrainField& field : group.fields) {
      field.group = group.title;
      out.push_back(std::move(field));
    }
  return out;
}

}  // namespace

const std::vector<TrainField>& train_fields() {
  static const std::vector<TrainField> fields = make_fields();
  return fields;
}

}  // namespace hso
