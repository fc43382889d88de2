// SPDX-License-Identifier: Apache-2.0
//
// What error messages must say.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <string>

namespace hso::test {

/// The message of the exception of type E that `f` throws; a note that matches nothing when it throws none or another.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("(threw another kind: ") + e.what() + ")";
  }
  return "(threw nothing)";
}

/// Every part occurs in the message.
template <class... Parts>
testing::AssertionResult contains(const std::string& message, const Parts&... parts) {
  for (const std::string& part : {std::string(parts)...})
    if (message.find(part) == std::string::npos)
      return testing::AssertionFailure() << "found \"" << message << "\", expected in it \"" << part << '"';
  return testing::AssertionSuccess();
}

/// The message starts with `start`, and the other parts occur in it.
template <class... Parts>
testing::AssertionResult starts_with(const std::string& message, const std::string& start, const Parts&... parts) {
  if (!message.starts_with(start))
    return testing::AssertionFailure() << "found \"" << message << "\", expected at its start \"" << start << '"';
  return contains(message, "", parts...);
}

}  // namespace hso::test
