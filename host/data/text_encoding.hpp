// SPDX-License-Identifier: Apache-2.0
//
// Text files in UTF-8, or in the Latin-1 that spreadsheets of Western Europe write.
#pragma once

#include <string>
#include <vector>

namespace hso {

/// The text as UTF-8. One that is not, and in which every byte from 0x80 on is a Latin-1 letter or sign, is converted,
/// and `notes` says so: names of classes and columns are written to files that hold UTF-8 alone. InputError names the
/// line for UTF-16, for bytes that are control characters in Latin-1, and where the file is UTF-8 elsewhere.
std::string to_utf8(const std::string& path, std::string text, std::vector<std::string>& notes);

}  // namespace hso
