# SPDX-License-Identifier: Apache-2.0
# The OpenMP build of OpenBLAS, as target OpenBlasOpenMP::OpenBlasOpenMP. The pthread build would fight with our own
# threads, so Debian's folder of the OpenMP build comes first. Installed beside hsogpuConfig.cmake, which needs it too.
find_library(OpenBlasOpenMP_LIBRARY NAMES openblas PATH_SUFFIXES openblas-openmp)
mark_as_advanced(OpenBlasOpenMP_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBlasOpenMP REQUIRED_VARS OpenBlasOpenMP_LIBRARY)
if(OpenBlasOpenMP_FOUND AND NOT TARGET OpenBlasOpenMP::OpenBlasOpenMP)
  add_library(OpenBlasOpenMP::OpenBlasOpenMP UNKNOWN IMPORTED)
  set_target_properties(OpenBlasOpenMP::OpenBlasOpenMP PROPERTIES IMPORTED_LOCATION ${OpenBlasOpenMP_LIBRARY})
endif()
