# SPDX-License-Identifier: Apache-2.0
# cmake --install: the program with its manual pages and shell completion, both libraries, the public headers, find_package(hsogpu) and hsogpu.pc.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The libraries lie beside bin/, and OpenBLAS where it was found at build time.
file(RELATIVE_PATH HSO_BIN_TO_LIB ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(hso hsogpu_shared PROPERTIES INSTALL_RPATH "$ORIGIN/${HSO_BIN_TO_LIB}"
  INSTALL_RPATH_USE_LINK_PATH ON)

install(TARGETS hso RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS hsogpu_static hsogpu_shared EXPORT hsogpuTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hsogpu ${PROJECT_BINARY_DIR}/generated/hsogpu
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN detail EXCLUDE)
if(NOT CMAKE_CROSSCOMPILING)
  install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" \"-DPROGRAM=$<TARGET_FILE:hso>\"
    \"-DFOLDER=${PROJECT_BINARY_DIR}/package/share\" -P \"${CMAKE_CURRENT_LIST_DIR}/HsoManual.cmake\"
    COMMAND_ERROR_IS_FATAL ANY)")
  install(DIRECTORY ${PROJECT_BINARY_DIR}/package/share/ DESTINATION ${CMAKE_INSTALL_DATAROOTDIR})
endif()
file(GLOB HSO_LEGAL_FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE)
install(FILES ${HSO_LEGAL_FILES} DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(HSO_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/hsogpu)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/hsogpuConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/hsogpuConfig.cmake INSTALL_DESTINATION ${HSO_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/hsogpuConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(EXPORT hsogpuTargets NAMESPACE hsogpu:: DESTINATION ${HSO_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/package/hsogpuConfig.cmake ${PROJECT_BINARY_DIR}/package/hsogpuConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindOpenBlasOpenMP.cmake DESTINATION ${HSO_CMAKE_DIR})

# pkg-config --static needs the private libraries by name; their folders only where the linker would not look.
cmake_path(GET OpenBlasOpenMP_LIBRARY PARENT_PATH HSO_OPENBLAS_DIR)
set(HSO_PC_PRIVATE "-L${HSO_OPENBLAS_DIR} -lopenblas -lgomp -lfmt -lz -lpthread")
if(HSO_WITH_CUDA)
  string(APPEND HSO_PC_PRIVATE " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt")
endif()
set(HSO_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH HSO_PC_TO_PREFIX ${CMAKE_INSTALL_PREFIX}/${HSO_PC_DIR} ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/hsogpu.pc.in ${PROJECT_BINARY_DIR}/package/hsogpu.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/hsogpu.pc DESTINATION ${HSO_PC_DIR})
