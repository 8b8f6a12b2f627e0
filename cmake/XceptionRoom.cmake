# Rooms: one static library each, in dependency order (see src/CMakeLists.txt).

# xception_own_code(<target>): the warnings that our own sources must pass.
function(xception_own_code target)
  set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(XCEPTION_WERROR)
    list(APPEND warnings -Werror)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
  # nvcc's generated code isn't pedantic.
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>")
  if(XCEPTION_WERROR)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
  endif()
endfunction()

# xception_room(
#   NAME    data                      target xception_data, known to others as xception::data
#   DEPENDS config kernels            rooms above it, each linked publicly
#   SOURCES a.cpp b.cpp               in reading order; none for a room of headers
#   CUDA    cuda/x.cu                 only in a build with CUDA
#   CPU     cpu/x.cpp                 in its place in a build without CUDA
#   PUBLIC  lib  PRIVATE lib          libraries from outside, in headers or in sources only
#   PLAIN)                            hardly reads LibTorch's headers: precompiled ones don't pay
function(xception_room)
  cmake_parse_arguments(PARSE_ARGV 0 room "PLAIN" "NAME" "DEPENDS;SOURCES;CUDA;CPU;PUBLIC;PRIVATE")
  if(room_UNPARSED_ARGUMENTS OR NOT room_NAME)
    message(FATAL_ERROR "xception_room: unexpected arguments ${room_UNPARSED_ARGUMENTS}")
  endif()
  if(XCEPTION_WITH_CUDA)
    list(APPEND room_SOURCES ${room_CUDA})
  else()
    list(APPEND room_SOURCES ${room_CPU})
  endif()

  set(target xception_${room_NAME})
  set(public PUBLIC)
  if(room_SOURCES)
    add_library(${target} STATIC ${room_SOURCES})
    xception_own_code(${target})
    if(NOT room_PLAIN)
      xception_precompiled(${target} xception_headers)
    endif()
    target_link_libraries(${target} PRIVATE ${room_PRIVATE})
  else()
    add_library(${target} INTERFACE)
    set(public INTERFACE)
  endif()
  add_library(xception::${room_NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${room_NAME})
  target_compile_features(${target} ${public} cxx_std_20)
  target_include_directories(${target} ${public}
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

  list(TRANSFORM room_DEPENDS PREPEND xception::)
  target_link_libraries(${target} ${public} ${room_DEPENDS} ${room_PUBLIC})
  set_property(GLOBAL APPEND PROPERTY XCEPTION_ROOMS ${room_NAME})
endfunction()
