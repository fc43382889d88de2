// SPDX-License-Identifier: Apache-2.0
//
// The one way from a file to what a network sees, for every command and for C++:
//
//   const ModelSpec model = parse_model("mlp:4-8-3:tanh");
//   const PreparedData p = prepare_data(model, LossKind::cross_entropy, {.data = "iris.csv"});
//   std::puts(p.description.text().c_str());            what was taken: columns, classes, ranges, scaling, oddities
//   DeviceData<float> train(context, network, p.split.train);
#pragma once

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso {

/// What is wanted of a data set.
enum class DataPart {
  both,   ///< the training part and the test part
  train,  ///< the training part alone
  all     ///< everything as one part (of a folder of IDX files: the training part)
};

struct DataRequest {
  std::string data = "digits";  ///< as load_data takes it
  /// targets and outputs are set by model and loss: cross_entropy takes classes, squared_error with one output values.
  DataOptions options{};
  double test_fraction = 0.2;
  std::uint64_t seed = 0;
  DataPart part = DataPart::both;  ///< with train and all the test part is empty
  Scaling scaling = Scaling::unit_range;
  std::optional<Standardizer> standardizer{};  ///< in place of one fitted to the training part
  std::string fitted_on{};                     ///< for people: where that one is from
  bool reconstruct = false;                    ///< the scaled inputs are the targets
  bool single = false;                         ///< what the network sees must fit float32
};

struct ValueRange {
  double least = 0, most = 0;
};

/// What was taken from a file, and what became of it.
struct DataDescription {
  std::string data;   ///< as it was asked for
  DataSource source;  ///< format, labels, names; its notes with those on the numbers
  Index rows = 0, test_rows = 0;
  Shape input_shape, target_shape;
  ValueRange inputs, scaled;  ///< of both parts, before and after the scaling
  ValueRange targets;         ///< of values
  Index classes = 0;
  std::vector<Index> counts, test_counts;  ///< of each class
  Scaling scaling = Scaling::none;
  std::string fitted_on;  ///< "the training part", or where the scaling is from
  bool reconstruct = false;

  std::string text() const;  ///< a few lines for people, the last one ended
  std::string json() const;  ///< an object
};

/// Of data that is not scaled yet: everything but scaling, fitted_on and scaled; with `reconstruct` nothing of the
/// targets. Notes what looks odd: one class, classes without samples, inputs that never change.
DataDescription describe(const std::string& data, const DataSplit& split, bool reconstruct = false);

struct PreparedData {
  DataSplit split;  ///< checked and scaled
  Standardizer standardizer;
  DataDescription description;
};

/// Reads, checks against the model, describes and scales. InputError names the file, and the first label that does not
/// fit the model.
PreparedData prepare_data(const ModelSpec& model, LossKind loss, const DataRequest& request);

}  // namespace hso
