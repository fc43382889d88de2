// SPDX-License-Identifier: Apache-2.0
//
// A folder of sounds, one folder for each class, as logarithms of energies in bands of the mel scale.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/log_mel.hpp"
#include "data/wav.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "io/shown_text.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sorted(const fs::path& folder, bool (*wanted)(const fs::directory_entry&)) {
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (wanted(entry)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}
bool is_folder(const fs::directory_entry& e) {
  return e.is_directory() && !e.path().filename().string().starts_with(".");
}
bool is_sound(const fs::directory_entry& e) {
  const std::string extension = e.path().extension().string();
  return e.is_regular_file() && (extension == ".wav" || extension == ".WAV");
}

/// The classes: names of folders, or those of the training data.
std::vector<std::string> classes_of(const std::string& folder, const DataOptions& options) {
  std::vector<std::string> found;
  for (const fs::path& path : sorted(folder, is_folder)) found.push_back(path.filename().string());
  if (found.empty())
    throw InputError(fmt::format("{}: no folders, expected one with .wav files for each class", folder));
  if (!options.class_names) return found;
  if (options.class_names->empty())
    throw InputError(fmt::format("{}: its classes have names, expected numbers as in the training data", folder));
  for (const std::string& name : found)
    if (std::find(options.class_names->begin(), options.class_names->end(), name) == options.class_names->end())
      throw InputError(fmt::format("{}: found the class '{}', expected one of {} as in the training data", folder,
                                   shown(name), listed(*options.class_names)));
  return *options.class_names;
}

/// The first `steps` frames; behind the end of a sound silence.
void append(std::vector<double> frames, Index steps, Index bands, std::vector<double>& to) {
  frames.resize(static_cast<std::size_t>(steps * bands), LogMel::silence());
  to.insert(to.end(), frames.begin(), frames.end());
}

}  // namespace

Dataset read_sounds(const std::string& folder, Index steps, Index bands, const DataOptions& options) {
  if (steps < 1 || bands < 1)
    throw UsageError(
        fmt::format("{}: sounds need a model whose input is [steps, bands], found [{}, {}]", folder, steps, bands));
  if (!fs::is_directory(folder)) throw InputError(fmt::format("{}: no such folder", folder));
  Dataset data;
  data.name = folder;
  data.input_shape = Shape{steps, bands};
  const std::vector<std::string> classes = classes_of(folder, options);
  const auto count = static_cast<Index>(classes.size());
  if (options.outputs > 0 && count > options.outputs)
    throw InputError(fmt::format("{}: found {} classes, expected at most {} as the model has {} outputs", folder, count,
                                 options.outputs, options.outputs));
  std::optional<LogMel> log_mel;
  std::string first;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const fs::path of_class = fs::path(folder) / classes[c];
    if (!fs::is_directory(of_class)) continue;
    const std::vector<fs::path> files = sorted(of_class, is_sound);
    if (files.empty()) throw InputError(fmt::format("{}: no .wav files, expected one at least", of_class.string()));
    for (const fs::path& path : files) {
      const Sound sound = read_wav(path.string());
      if (!log_mel) {
        log_mel.emplace(sound.rate, bands);
        first = path.string();
      }
      if (sound.rate != log_mel->rate())
        throw InputError(fmt::format("{}: sample {} has {} samples a second, expected {} as in {}", path.string(),
                                     data.size, sound.rate, log_mel->rate(), first));
      append((*log_mel)(sound.samples, steps), steps, bands, data.inputs);
      data.targets.push_back(static_cast<double>(c));
      ++data.size;
    }
  }
  data.classes = count;
  data.source.format = "wav";
  data.source.detail = fmt::format("{} samples a second, {} frames of {} mel bands", log_mel->rate(), steps, bands);
  data.source.dtype = "sound";
  data.source.labels = "the folders";
  data.source.class_names = classes;
  if (const Index empty = log_mel->empty_bands(); empty > 0)
    data.source.notes.push_back(
        fmt::format("{} of {} bands are narrower than the transform resolves, and silent", empty, bands));
  return data;
}

}  // namespace hso
