# SPDX-License-Identifier: Apache-2.0
# The installed tree, and tests/consumer built against it: static and shared through find_package, and with pkg-config.
set(HSO_PREFIX ${CMAKE_CURRENT_BINARY_DIR}/prefix)
set(HSO_CONSUMER ${PROJECT_SOURCE_DIR}/tests/consumer)
# A sanitized library needs its runtime in the consumer's program.
set(HSO_CONSUMER_FLAGS)
if(HSO_SANITIZE)
  set(HSO_CONSUMER_FLAGS -fsanitize=${HSO_SANITIZE})
endif()

add_test(NAME install.tree COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${HSO_PREFIX})
set_tests_properties(install.tree PROPERTIES FIXTURES_SETUP hso_prefix LABELS install)

function(hso_install_test name)
  add_test(NAME install.${name} COMMAND ${ARGN})
  set_tests_properties(install.${name} PROPERTIES FIXTURES_REQUIRED hso_prefix LABELS install SKIP_RETURN_CODE 77
    TIMEOUT 600 ENVIRONMENT OMP_NUM_THREADS=1)
endfunction()

hso_install_test(contents bash ${CMAKE_CURRENT_SOURCE_DIR}/installed.sh ${HSO_PREFIX})
foreach(kind static shared)
  hso_install_test(find_package_${kind} ${CMAKE_CTEST_COMMAND}
    --build-and-test ${HSO_CONSUMER} ${CMAKE_CURRENT_BINARY_DIR}/consumer_${kind}
    --build-generator ${CMAKE_GENERATOR} --build-options -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_CXX_FLAGS=${HSO_CONSUMER_FLAGS}
      -DCMAKE_PREFIX_PATH=${HSO_PREFIX} -DCONSUMER_LINKS=hsogpu::${kind}
    --test-command ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error)
endforeach()
hso_install_test(pkg_config bash ${CMAKE_CURRENT_SOURCE_DIR}/pkg_config.sh ${HSO_PREFIX} ${HSO_CONSUMER}/main.cpp
  ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CXX_COMPILER} ${HSO_CONSUMER_FLAGS})

# As part of a bigger build the project offers the same target names, and neither tests nor install rules. Configured only.
add_test(NAME install.add_subdirectory COMMAND ${CMAKE_COMMAND} -S ${HSO_CONSUMER}
  -B ${CMAKE_CURRENT_BINARY_DIR}/subdirectory -G ${CMAKE_GENERATOR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
  -DHSO_CUDA=OFF -DCONSUMER_SOURCE_TREE=${PROJECT_SOURCE_DIR} -DCONSUMER_LINKS=hsogpu::shared)
set_tests_properties(install.add_subdirectory PROPERTIES LABELS install)
