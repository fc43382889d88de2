// SPDX-License-Identifier: Apache-2.0
//
// Checks of labels and of numbers that are not finite, whatever format they came from.
#pragma once

#include <string>

#include "hsogpu/data/dataset.hpp"

namespace hso {

/// Largest label plus one. InputError (starting with `source`) when most of those classes never occur although there
/// are samples enough for each: a damaged or unnumbered label column would otherwise make a huge network.
/// `targets` holds whole numbers from 0.
Index count_classes(const std::string& source, Span<const double> targets);

/// "SOURCE: sample 3 has label 4, ...": targets must be whole numbers from 0 and, unless `outputs` is 0, below it.
/// InputError names the first that is not.
void check_labels(const std::string& source, Span<const double> targets, Index outputs);

/// The message for a label that the model has no output for; it says so where the labels seem to run from 1.
std::string label_beyond(const std::string& place, double label, Index outputs, Span<const double> targets);

/// Checks the targets of `data` as labels from `source` and sets its classes, and their names where the options have
/// them.
void set_classes(const std::string& source, const DataOptions& options, Dataset& data);

/// InputError (starting with `source`) that names the sample and the position in it of the first NaN or infinity.
/// `width`: values of one sample.
void check_finite(const std::string& source, const char* what, Span<const double> values, Index width);

}  // namespace hso
