# xception_test(): one test source of tests/CMakeLists.txt.

set(XCEPTION_TEST_PYTHON "${PROJECT_SOURCE_DIR}/.venv-test/bin/python" CACHE FILEPATH
    "Python with torch, torchvision and timm, for the comparisons (scripts/test.sh makes it)")
# PASSIVE: threads that wait for each other sleep, so that tests side by side don't slow each other down.
set(XCEPTION_TEST_ENVIRONMENT
    "XCEPTION_TEST_PYTHON=${XCEPTION_TEST_PYTHON}"
    "XCEPTION_BINARY=$<TARGET_FILE:xception>"
    "XCEPTION_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "OMP_WAIT_POLICY=PASSIVE")

# Seconds until a test counts as hanging; sanitizers make everything slower.
set(scale 1)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize" OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(scale 5)
endif()
math(EXPR XCEPTION_TIMEOUT_unit "120 * ${scale}")
math(EXPR XCEPTION_TIMEOUT_integration "1200 * ${scale}")
math(EXPR XCEPTION_TIMEOUT_gpu "600 * ${scale}")
math(EXPR XCEPTION_TIMEOUT_slow "3600 * ${scale}")

# xception_test(NAME core_random SOURCES core/random_test.cpp LABEL unit [ROOMS core])
#
# Adds the sources to the executable of their folder (tests/core/ -> test_core), which links that
# room and ROOMS, and adds a CTest entry that runs the suites found in these sources. An entry is a
# file and not a single test, because each process takes 0.3 s to load LibTorch.
function(xception_test)
  cmake_parse_arguments(PARSE_ARGV 0 test "" "NAME;LABEL" "SOURCES;ROOMS")
  if(test_UNPARSED_ARGUMENTS OR NOT test_SOURCES OR NOT DEFINED XCEPTION_TIMEOUT_${test_LABEL})
    message(FATAL_ERROR "xception_test(${test_NAME}): needs SOURCES, and LABEL unit, integration, gpu or slow")
  endif()
  list(GET test_SOURCES 0 first)
  get_filename_component(folder "${first}" DIRECTORY)
  set(target test_${folder})
  if(NOT TARGET ${target})
    add_executable(${target})
    xception_own_code(${target})
    xception_precompiled(${target} test_headers)
    target_compile_options(${target} PRIVATE ${XCEPTION_TEST_OPTIONS})
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${target} PRIVATE test_support GTest::gmock GTest::gtest GTest::gtest_main)
    if(TARGET xception::${folder})
      target_link_libraries(${target} PRIVATE xception::${folder})
    endif()
  endif()
  target_sources(${target} PRIVATE ${test_SOURCES})
  list(TRANSFORM test_ROOMS PREPEND xception::)
  target_link_libraries(${target} PRIVATE ${test_ROOMS})

  set(filter "")
  foreach(source IN LISTS test_SOURCES)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    file(STRINGS "${source}" lines REGEX "^(TYPED_)?TEST(_F|_P)?\\(")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^[A-Z_]+\\( *([A-Za-z0-9_]+).*" "\\1" suite "${line}")
      list(APPEND filter "${suite}.*" "${suite}/*" "*/${suite}.*" "*/${suite}/*")
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES filter)
  list(JOIN filter ":" filter)
  if(NOT filter)
    message(FATAL_ERROR "xception_test(${test_NAME}): no TEST in ${test_SOURCES}")
  endif()
  add_test(NAME ${test_NAME} COMMAND ${target} "--gtest_filter=${filter}")
  set_tests_properties(${test_NAME} PROPERTIES
    LABELS ${test_LABEL}
    TIMEOUT ${XCEPTION_TIMEOUT_${test_LABEL}}
    ENVIRONMENT "${XCEPTION_TEST_ENVIRONMENT}"
    FAIL_REGULAR_EXPRESSION "Running 0 tests")
endfunction()
