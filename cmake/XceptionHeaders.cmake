# Headers from outside, read once: LibTorch's take 8 to 10 of the 10 to 12 s that most files take.
#
# The list names nothing of ours, so an edit never makes it anew. Sources still include what they
# use: XCEPTION_PCH=OFF builds without.
option(XCEPTION_PCH "Read LibTorch's and other large headers once, precompiled" ON)

set(XCEPTION_HEADERS
  <algorithm> <array> <chrono> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <optional>
  <set> <string> <utility> <vector>
  <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>
  <torch/nn/module.h> <torch/types.h>)

# xception_headers(<name> <position flag> [HEADERS <more>...] [LIBRARIES <more>...]): the headers as
# a target that others use.
function(xception_headers name position)
  cmake_parse_arguments(PARSE_ARGV 2 of "" "" "HEADERS;LIBRARIES")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "// Precompiled headers belong to a target that compiles something.\n")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL "${source}")
  # As in those that use it, or GCC refuses: -Wpedantic sets macros; CMake says -fPIC for libraries
  # and -fPIE for executables.
  xception_own_code(${name})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE ${position})
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_link_libraries(${name} PRIVATE LibTorch::LibTorch fmt::fmt spdlog::spdlog
                        nlohmann_json::nlohmann_json Threads::Threads ${of_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${XCEPTION_HEADERS} ${of_HEADERS})
endfunction()

# xception_precompiled(<target> <name>): reads them.
function(xception_precompiled target name)
  if(XCEPTION_PCH AND TARGET ${name})
    target_precompile_headers(${target} REUSE_FROM ${name})
    # For ccache.
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
  endif()
endfunction()
