// SPDX-License-Identifier: Apache-2.0
#include "report/page.hpp"

#include <fmt/format.h>

#include "hsogpu/version.hpp"
#include "report/html.hpp"
#include "report/sections.hpp"

namespace hso::report {
namespace {

/// What all runs train, where that is one thing.
std::string subject(const Runs& runs) {
  const TrainOptions& first = runs.front().options;
  for (const RunLog& run : runs)
    if (run.options.model != first.model || run.options.data != first.data) return "several problems";
  return fmt::format("{} on {}", safe(first.model), safe(first.data));
}

std::string title(const Runs& runs) {
  return runs.size() == 1 ? safe(runs.front().name) : fmt::format("{} runs", runs.size());
}

std::string legend(const Runs& runs) {
  if (runs.size() == 1) return {};
  std::string out = "<nav aria-label=\"runs\">\n";
  for (std::size_t i = 0; i < runs.size(); ++i)
    out += fmt::format("<span class=\"key k{}\" tabindex=\"0\" title=\"{}\">{}</span>\n", i, safe(runs[i].path),
                       swatch(i, runs[i].name));
  return out + "</nav>\n";
}

}  // namespace

std::string page(const Runs& runs) {
  std::string out = fmt::format(
      "<!doctype html>\n"
      "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
      "<meta name=\"generator\" content=\"hso {0}\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
      "<title>{1} – hso report</title>\n<style>\n{2}</style>\n</head>\n<body>\n"
      "<header>\n<h1>{1}</h1>\n<p>{3}</p>\n</header>\n{4}<main>\n",
      HSOGPU_VERSION, title(runs), page_style(runs.size()), subject(runs), legend(runs));
  for (const auto part : {summary_section, training_section, method_section, spectrum_section, prune_section,
                          config_section, notes_section})
    out += part(runs);
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace hso::report
