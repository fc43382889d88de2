// SPDX-License-Identifier: Apache-2.0
//
// Whether text is well-formed XML, for pictures.
#pragma once

#include <string>

namespace hso::test {

/// "" for a well-formed XML text of elements, attributes in double quotes and character data (no comments,
/// instructions or declarations); else what is wrong and where.
std::string xml_fault(const std::string& text);

}  // namespace hso::test
