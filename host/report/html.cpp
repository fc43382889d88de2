// SPDX-License-Identifier: Apache-2.0
#include "report/html.hpp"

#include <fmt/format.h>

#include "io/shown_text.hpp"

namespace hso::report {

std::string safe(const std::string& text, std::size_t most) { return svg::escaped(shown(text, most)); }

std::string run_class(std::size_t i) { return fmt::format("run r{}", i); }

std::string swatch(std::size_t colour, const std::string& name) {
  return fmt::format("<span class=\"name\"><span class=\"bar c{}\"></span>{}</span>", colour % svg::kColours,
                     safe(name));
}

std::string figure(const svg::LineChart& chart, const std::string& note) {
  const std::string picture = svg::line_chart(chart);
  if (picture.empty()) return {};
  return fmt::format("<figure>\n<figcaption><b>{}</b>{}</figcaption>\n{}</figure>\n", safe(chart.title),
                     note.empty() ? note : fmt::format(" {}", note), picture);
}

std::string figures(const std::vector<std::string>& all) {
  std::string out;
  for (const std::string& one : all) out += one;
  return out.empty() ? out : fmt::format("<div class=\"figures\">\n{}</div>\n", out);
}

std::string section(const std::string& title, const std::string& note, const std::string& content) {
  if (content.empty()) return {};
  return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", safe(title),
                     note.empty() ? note : fmt::format("<p class=\"note\">{}</p>\n", note), content);
}

std::string table(const std::vector<std::vector<Cell>>& rows, const std::string& classes) {
  std::string out = fmt::format("<div class=\"scroll\">\n<table class=\"{}\">\n", classes);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += "<tr>";
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const Cell& cell = rows[r][c];
      const char* tag = r == 0 || c == 0 ? "th" : "td";
      out += fmt::format("<{0}{1}>{2}</{0}>", tag,
                         cell.classes.empty() ? "" : fmt::format(" class=\"{}\"", cell.classes), cell.html);
    }
    out += "</tr>\n";
  }
  return out + "</table>\n</div>\n";
}

}  // namespace hso::report
