# SPDX-License-Identifier: Apache-2.0
# hso_host_objects: everything g++ compiles. One of two objects closes it: cuda/ or host/backend/no_cuda.cpp.
file(GLOB_RECURSE HSO_HOST_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/*.cpp)
list(FILTER HSO_HOST_SOURCES EXCLUDE REGEX "/host/cli/|/no_cuda\\.cpp$")
set(HSO_HOST_LIBRARIES OpenMP::OpenMP_CXX OpenBlasOpenMP::OpenBlasOpenMP ZLIB::ZLIB fmt::fmt)

configure_file(${PROJECT_SOURCE_DIR}/cmake/version.hpp.in ${PROJECT_BINARY_DIR}/generated/hsogpu/version.hpp @ONLY)

# Include paths and compile flags of every target of the library; third-party headers stay private.
function(hso_configure target)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    PRIVATE ${PROJECT_SOURCE_DIR}/host)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX fmt::fmt ZLIB::ZLIB
    $<BUILD_INTERFACE:hso_options> $<BUILD_INTERFACE:hso_toml> $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
endfunction()

# What most files include, compiled once, which shortens the first build. A compiler cache (ccache) does better without
# it, and GCC 12 warns of the standard library's own code where that is precompiled. Every file still includes what it
# uses.
function(hso_precompile target)
  if(CMAKE_CXX_COMPILER_LAUNCHER OR HSO_WERROR)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE <algorithm> <cmath> <functional> <limits> <map> <memory> <optional>
    <string> <string_view> <variant> <vector> <fmt/format.h> <fmt/ranges.h> ${ARGN})
endfunction()

add_library(hso_host_objects OBJECT ${HSO_HOST_SOURCES})
add_library(hso_no_cuda_objects OBJECT ${PROJECT_SOURCE_DIR}/host/backend/no_cuda.cpp)
hso_configure(hso_host_objects)
hso_precompile(hso_host_objects ${PROJECT_SOURCE_DIR}/include/hsogpu/detail/ops.hpp)
hso_configure(hso_no_cuda_objects)

set(HSO_CLOSING_OBJECTS hso_no_cuda_objects)
set(HSO_CUDA_LIBRARIES)
if(HSO_WITH_CUDA)
  file(GLOB_RECURSE HSO_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cuda/*.cu ${PROJECT_SOURCE_DIR}/cuda/*.cpp)
  add_library(hso_cuda_objects OBJECT ${HSO_CUDA_SOURCES})
  hso_configure(hso_cuda_objects)
  target_include_directories(hso_cuda_objects PRIVATE ${PROJECT_SOURCE_DIR}/cuda ${PROJECT_SOURCE_DIR}/cuda/libraries)
  # cuBLAS and cuSOLVER are opened by cuda_libraries.cpp, not linked.
  set(HSO_CUDA_LIBRARIES CUDA::cudart_static ${CMAKE_DL_LIBS})
  set_source_files_properties(${PROJECT_SOURCE_DIR}/cuda/libraries/cuda_libraries.cpp
    PROPERTIES COMPILE_DEFINITIONS HSO_CUDA_LIBRARY_FOLDER="${CUDAToolkit_LIBRARY_DIR}")
  target_link_libraries(hso_cuda_objects PRIVATE ${HSO_CUDA_LIBRARIES})
  target_compile_options(hso_cuda_objects PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr
    -Xcompiler=-Wall,-Wextra $<$<BOOL:${HSO_WERROR}>:-Werror=all-warnings>>)
  set(HSO_CLOSING_OBJECTS hso_cuda_objects)
endif()

foreach(kind STATIC SHARED)
  string(TOLOWER ${kind} suffix)
  set(target hsogpu_${suffix})
  add_library(${target} ${kind} $<TARGET_OBJECTS:hso_host_objects> $<TARGET_OBJECTS:${HSO_CLOSING_OBJECTS}>)
  hso_configure(${target})
  target_link_libraries(${target} PRIVATE ${HSO_HOST_LIBRARIES} ${HSO_CUDA_LIBRARIES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME hsogpu EXPORT_NAME ${suffix} VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})
  add_library(hsogpu::${suffix} ALIAS ${target})
endforeach()
add_library(hsogpu::hsogpu ALIAS hsogpu_static)

# The library without CUDA: what the CPU tests link, in every build.
add_library(hso_cpu_only STATIC $<TARGET_OBJECTS:hso_host_objects> $<TARGET_OBJECTS:hso_no_cuda_objects>)
hso_configure(hso_cpu_only)
target_link_libraries(hso_cpu_only PUBLIC ${HSO_HOST_LIBRARIES})

file(GLOB HSO_CLI_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/cli/*.cpp)
list(FILTER HSO_CLI_SOURCES EXCLUDE REGEX "/main\\.cpp$")
add_library(hso_cli STATIC ${HSO_CLI_SOURCES})
hso_configure(hso_cli)
hso_precompile(hso_cli ${PROJECT_SOURCE_DIR}/include/hsogpu/train.hpp <CLI/CLI.hpp> <nlohmann/json.hpp>)
target_link_libraries(hso_cli PUBLIC CLI11::CLI11)
