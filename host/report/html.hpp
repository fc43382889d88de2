// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the page, as HTML that is well-formed XML too.
#pragma once

#include <string>
#include <vector>

#include "io/line_chart.hpp"

namespace hso::report {

/// Text from a file: control bytes as \xNN, cut at `most` characters, escaped.
std::string safe(const std::string& text, std::size_t most = 300);

/// The classes of what belongs to run `i`: the page dims the others while the pointer is on its name.
std::string run_class(std::size_t i);
/// A coloured bar and the name.
std::string swatch(std::size_t colour, const std::string& name);

/// A chart with its title, and what a `note` says of it (HTML); "" for a chart without values.
std::string figure(const svg::LineChart& chart, const std::string& note = {});
/// Figures side by side; "" where all are empty.
std::string figures(const std::vector<std::string>& all);
/// "" without content.
std::string section(const std::string& title, const std::string& note, const std::string& content);

struct Cell {
  std::string html;
  std::string classes{};
};
/// The first row is the head. Numbers of all columns but the first stand to the right.
std::string table(const std::vector<std::vector<Cell>>& rows, const std::string& classes);

}  // namespace hso::report
