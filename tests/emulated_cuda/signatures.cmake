# SPDX-License-Identifier: Apache-2.0
# The headers of the emulated device declare what the toolkit declares: one list of names, values and types is compiled
# against either. Without the toolkit the second of these tests is left out.
find_path(HSO_TOOLKIT_HEADERS cusolverDn.h PATHS ${CUDAToolkit_INCLUDE_DIRS} ENV CUDA_PATH /usr/local/cuda
  PATH_SUFFIXES include NO_DEFAULT_PATH)
mark_as_advanced(HSO_TOOLKIT_HEADERS)

function(hso_signature_test name headers)
  add_test(NAME emulated_signatures.${name} COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -isystem ${headers}
    ${CMAKE_CURRENT_LIST_DIR}/toolkit_signatures.cpp)
  set_tests_properties(emulated_signatures.${name} PROPERTIES LABELS cuda_emulated TIMEOUT 120)
endfunction()

hso_signature_test(emulated ${CMAKE_CURRENT_LIST_DIR}/include)
if(HSO_TOOLKIT_HEADERS)
  hso_signature_test(toolkit ${HSO_TOOLKIT_HEADERS})
endif()
add_test(NAME emulated_signatures.complete COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/toolkit_signatures.sh)
set_tests_properties(emulated_signatures.complete PROPERTIES LABELS cuda_emulated)
