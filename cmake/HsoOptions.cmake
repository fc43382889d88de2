# SPDX-License-Identifier: Apache-2.0
# hso_options: what every target of the project is compiled with; nothing of it reaches a consumer.
set(HSO_SANITIZE "" CACHE STRING "address, undefined, both with a comma between them, or empty")
add_library(hso_options INTERFACE)
target_compile_options(hso_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion>
  # Selects instead of branches in the element loops; values are unchanged (this is not fast-math).
  $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno -fno-trapping-math>)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(hso_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-O3>)
endif()
if(HSO_WERROR)
  target_compile_options(hso_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(HSO_NATIVE)
  target_compile_options(hso_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-mprefer-vector-width=512>)
endif()
if(HSO_SANITIZE)
  target_compile_options(hso_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${HSO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(hso_options INTERFACE -fsanitize=${HSO_SANITIZE})
endif()
