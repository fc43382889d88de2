# SPDX-License-Identifier: Apache-2.0
# All of them are packages of the system (the list of names is in ./quickstart). None appears in a public header.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(ZLIB REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
# The OpenMP build of OpenBLAS: the pthread build would fight with our own threads.
find_library(HSO_OPENBLAS NAMES openblas PATH_SUFFIXES openblas-openmp REQUIRED)
