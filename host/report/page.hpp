// SPDX-License-Identifier: Apache-2.0
//
// Runs as one HTML page that needs nothing but itself: pictures as SVG inside of it, a style sheet for light and dark,
// no scripts. After its first line it is well-formed XML.
#pragma once

#include <string>
#include <vector>

#include "report/run_log.hpp"

namespace hso::report {

/// Of at least one run. The same runs give the same page.
std::string page(const std::vector<RunLog>& runs);

/// The rules of the page for so many runs, without a tag.
std::string page_style(std::size_t runs);

}  // namespace hso::report
