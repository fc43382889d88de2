// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "io/chart.hpp"
#include "report/page.hpp"

namespace hso::report {
namespace {

constexpr const char* kRules = R"(
:root{--ground:#ffffff;--soft:#f4f5f7;--ink:#1b1f24;--quiet:#5a6069;--rule:#d5d9de;--mark:#fff1c9}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1.25rem 4rem;max-width:84rem;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{margin:0;font-size:1.6rem;line-height:1.2;letter-spacing:-.01em}
header p{margin:.2rem 0 1rem;color:var(--quiet)}
h2{margin:2.4rem 0 .2rem;font-size:1.15rem}
h3{margin:1.4rem 0 .4rem;font-size:1rem;font-weight:600}
.note,small{color:var(--quiet)}
.note{margin:0 0 .8rem;max-width:65ch}
nav{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:.5rem 0;
background:var(--ground);border-bottom:1px solid var(--rule)}
.key{padding:.1rem .35rem;border-radius:4px;cursor:default}
.key:hover,.key:focus{background:var(--soft)}
.name{white-space:nowrap}
.bar{display:inline-block;width:1.1em;height:.28em;margin-right:.4em;border-radius:2px;vertical-align:.22em;
background:currentColor}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(22rem,100%),1fr));gap:1.2rem 1.6rem;
margin-bottom:1.2rem}
figure{margin:0;min-width:0}
figcaption{padding-left:.2rem;font-size:.9rem}
figcaption b{margin-right:.4rem;font-weight:600}
svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
svg text{fill:var(--quiet)}
.run{transition:opacity .12s}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .8rem .32rem 0;text-align:left;vertical-align:baseline;border-bottom:1px solid var(--rule)}
th{font-weight:600}
tr:first-child th{color:var(--quiet);font-weight:500;vertical-align:bottom;border-bottom-color:var(--quiet)}
.number{text-align:right}
.numbers td,.numbers th{white-space:nowrap}
.numbers tr:first-child th{white-space:normal}
.best{font-weight:700}
.best::before{content:"▸ ";color:var(--quiet)}
.config td{overflow-wrap:anywhere}
.config .differs{background:var(--mark);font-weight:600;box-shadow:-.4rem 0 0 var(--mark)}
details{margin-top:1rem}
summary{cursor:pointer;color:var(--quiet)}
details[open] summary{margin-bottom:.8rem}
abbr{text-decoration:none;cursor:help}
@media print{nav{position:static}section{break-inside:avoid-page}}
)";

constexpr const char* kDark =
    ":root{--ground:#15181c;--soft:#22272e;--ink:#e8eaed;--quiet:#9aa3ae;--rule:#343b44;--mark:#453a12}\n";

}  // namespace

std::string page_style(std::size_t runs) {
  std::string out = kRules + svg::style_sheet(svg::light_theme()) + "\n@media (prefers-color-scheme:dark){\n" + kDark +
                    svg::style_sheet(svg::dark_theme()) + "\n}\n";
  for (std::size_t i = 0; i < runs && runs > 1; ++i)
    out += fmt::format(
        ".key.k{0}:is(:hover,:focus){{outline:1px solid currentColor}}\n"
        "body:has(.k{0}:is(:hover,:focus)) .run:not(.r{0}){{opacity:.1}}\n",
        i);
  return out;
}

}  // namespace hso::report
