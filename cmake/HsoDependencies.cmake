# SPDX-License-Identifier: Apache-2.0
# All of them are packages of the system (the list of names is in ./quickstart). None appears in a public header.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenBlasOpenMP REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(CLI11 2.1 REQUIRED)

# toml++ header-only: its packages disagree about flags and names, and the library needs no further dependency this way.
find_path(HSO_TOML_INCLUDE toml++/toml.h REQUIRED)
mark_as_advanced(HSO_TOML_INCLUDE)
add_library(hso_toml INTERFACE IMPORTED)
target_include_directories(hso_toml INTERFACE ${HSO_TOML_INCLUDE})
