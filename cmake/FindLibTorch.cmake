# Finds LibTorch: an unpacked LibTorch archive, or the torch folder of a Python wheel.
#
# PyTorch's own find_package(Torch) isn't used: the wheel on PyPI is a CUDA build, and its CMake
# files refuse a machine without the CUDA toolkit. This module makes its own target instead.
#
# Searched in this order; the first folder of a tested version is taken:
#   1. where the user points: Torch_DIR or CMAKE_PREFIX_PATH (CMake or environment variables).
#      Both the folder itself and its share/cmake/Torch are understood. Another version is taken with
#      a warning, an older one than the oldest that was tested is an error.
#   2. LibTorch_HINTS, a list of folders (an installed xception remembers its LibTorch here)
#   3. the folder that the last configuration of this build tree took
#   4. torch in the installed Python (Python3_EXECUTABLE, else python3); found, not imported
#   5. torch in the virtual environments LibTorch_VENVS
#
# find_package(LibTorch [COMPONENTS CUDA]) sets
#   LibTorch_FOUND, LibTorch_VERSION, LibTorch_DIR_FOUND (the folder), LibTorch_LIBRARY_DIR,
#   LibTorch_RPATH (folders for the run-time search path),
#   LibTorch_CUDA_FOUND, LibTorch_CUDA_VERSION (of LibTorch's own build, "" for a CPU build),
#   LibTorch_CUDA_REASON (why CUDA isn't used), LibTorch_NCCL_INCLUDE_DIR, LibTorch_CUDNN_INCLUDE_DIR
# and defines the target LibTorch::LibTorch (with CUDA where the component was found).
#
# `cmake -P FindLibTorch.cmake` prints the folder that would be taken, or nothing and the reasons.

cmake_policy(PUSH)
cmake_policy(VERSION 3.24)

# The versions that this project has been tested with, the oldest first. Others are taken only where
# the user points at them.
set(LibTorch_TESTED_VERSIONS 2.11)

# Sets <out> to the version of the LibTorch in folder <dir>, or to "" where there is none.
function(_libtorch_version out dir)
  set(version "")
  foreach(header include/torch/headeronly/version.h include/torch/csrc/api/include/torch/version.h)
    if(NOT version AND EXISTS "${dir}/${header}" AND EXISTS "${dir}/lib/libtorch_cpu.so")
      file(STRINGS "${dir}/${header}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
      string(REGEX REPLACE "[^0-9;]" "" lines "${lines}")
      string(REPLACE ";" "." version "${lines}")
    endif()
  endforeach()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Sets <out> to the LibTorch folder that <path> means: itself, its torch/ or libtorch/, or a parent
# (share/cmake/Torch). "" where it means none.
function(_libtorch_folder out path)
  get_filename_component(path "${path}" ABSOLUTE)
  set(${out} "" PARENT_SCOPE)
  foreach(step . .. ../.. ../../.. torch libtorch)
    get_filename_component(dir "${path}/${step}" ABSOLUTE)
    _libtorch_version(version "${dir}")
    if(version)
      set(${out} "${dir}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

function(_libtorch_tested out version)
  set(${out} FALSE PARENT_SCOPE)
  foreach(tested IN LISTS LibTorch_TESTED_VERSIONS)
    string(FIND "${version}." "${tested}." at)
    if(at EQUAL 0)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Sets in the caller: _libtorch_dir (the folder taken or ""), _libtorch_log (why others were not),
# _libtorch_refused (TRUE where the user pointed at something that can't be used).
function(_libtorch_search)
  set(log "")
  set(refused FALSE)
  set(taken "")
  list(JOIN LibTorch_TESTED_VERSIONS ".x, " tested_text)
  string(APPEND tested_text ".x")

  set(torch_dir "${Torch_DIR}")
  if(NOT torch_dir)
    set(torch_dir "$ENV{Torch_DIR}")
  endif()
  set(prefixes ${CMAKE_PREFIX_PATH})
  string(REPLACE ":" ";" from_environment "$ENV{CMAKE_PREFIX_PATH}")
  list(APPEND prefixes ${from_environment})

  # 1. Where the user points.
  if(torch_dir)
    _libtorch_folder(dir "${torch_dir}")
    if(NOT dir)
      string(APPEND log "  Torch_DIR=${torch_dir}: no LibTorch there\n")
      set(refused TRUE)
    endif()
    set(pointed "${dir}")
  endif()
  if(NOT torch_dir)
    foreach(prefix IN LISTS prefixes)
      _libtorch_folder(dir "${prefix}")
      if(dir AND NOT pointed)
        set(pointed "${dir}")
      endif()
    endforeach()
  endif()
  if(pointed)
    _libtorch_version(version "${pointed}")
    list(GET LibTorch_TESTED_VERSIONS 0 oldest)
    if(version VERSION_GREATER_EQUAL oldest)
      set(taken "${pointed}")
    else()
      string(APPEND log "  ${pointed}: version ${version}; tested are ${tested_text}\n")
      set(refused TRUE)
    endif()
  endif()

  # 2. to 5. Where nobody points.
  if(NOT taken AND NOT refused)
    set(candidates ${LibTorch_HINTS})
    if(LibTorch_REMEMBERED)
      list(APPEND candidates "${LibTorch_REMEMBERED}")
    endif()
    set(python "${Python3_EXECUTABLE}")
    if(NOT python)
      set(python "$ENV{Python3_EXECUTABLE}")
    endif()
    if(NOT python)
      find_program(_libtorch_python3 NAMES python3 NO_CACHE)
      set(python "${_libtorch_python3}")
    endif()
    if(python)
      execute_process(
        COMMAND "${python}" -c "import importlib.util as u; s = u.find_spec('torch'); print(list(s.submodule_search_locations or [''])[0] if s else '')"
        OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
      if(NOT failed AND dir)
        list(APPEND candidates "${dir}")
      else()
        string(APPEND log "  ${python}: has no torch\n")
      endif()
    endif()
    foreach(venv IN LISTS LibTorch_VENVS)
      file(GLOB dirs "${venv}/lib/python3*/site-packages/torch")
      list(APPEND candidates ${dirs})
      if(NOT dirs)
        string(APPEND log "  ${venv}: has no torch\n")
      endif()
    endforeach()
    foreach(candidate IN LISTS candidates)
      _libtorch_version(version "${candidate}")
      _libtorch_tested(tested "${version}")
      if(tested)
        set(taken "${candidate}")
        break()
      elseif(version)
        string(APPEND log "  ${candidate}: version ${version}; tested are ${tested_text}\n")
      else()
        string(APPEND log "  ${candidate}: no LibTorch there\n")
      endif()
    endforeach()
  endif()

  set(_libtorch_dir "${taken}" PARENT_SCOPE)
  set(_libtorch_log "${log}" PARENT_SCOPE)
  set(_libtorch_refused "${refused}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  get_filename_component(_libtorch_project "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
  set(LibTorch_VENVS "${_libtorch_project}/.venv")
  _libtorch_search()
  if(_libtorch_dir)
    execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${_libtorch_dir}")
  else()
    execute_process(COMMAND "${CMAKE_COMMAND}" -E echo_append "${_libtorch_log}" OUTPUT_VARIABLE _text)
    message(NOTICE "${_text}")
    if(_libtorch_refused)
      message(FATAL_ERROR "The LibTorch that you point to can't be used.")
    endif()
  endif()
  cmake_policy(POP)
  return()
endif()

_libtorch_search()
set(LibTorch_DIR_FOUND "${_libtorch_dir}")

if(NOT LibTorch_DIR_FOUND)
  set(LibTorch_FOUND FALSE)
  if(LibTorch_FIND_REQUIRED)
    message(FATAL_ERROR
      "LibTorch not found. Looked at:\n${_libtorch_log}"
      "Run scripts/setup.sh, which installs it into .venv, or pass -DTorch_DIR=<folder>: an unpacked "
      "LibTorch or <site-packages>/torch.")
  endif()
  cmake_policy(POP)
  return()
endif()

set(LibTorch_FOUND TRUE)
set(LibTorch_REMEMBERED "${LibTorch_DIR_FOUND}" CACHE INTERNAL "LibTorch that this build tree uses")
_libtorch_version(LibTorch_VERSION "${LibTorch_DIR_FOUND}")
_libtorch_tested(_libtorch_is_tested "${LibTorch_VERSION}")
if(NOT _libtorch_is_tested)
  list(JOIN LibTorch_TESTED_VERSIONS ", " _libtorch_text)
  message(WARNING "LibTorch ${LibTorch_VERSION} is untested; tested are ${_libtorch_text}")
endif()
set(LibTorch_LIBRARY_DIR "${LibTorch_DIR_FOUND}/lib")
set(LibTorch_RPATH "${LibTorch_LIBRARY_DIR}")

# The CUDA version that this LibTorch was built for.
set(LibTorch_CUDA_VERSION "")
if(EXISTS "${LibTorch_DIR_FOUND}/version.py")
  file(STRINGS "${LibTorch_DIR_FOUND}/version.py" _libtorch_line REGEX "^cuda")
  if(_libtorch_line MATCHES "'([0-9.]+)'")
    set(LibTorch_CUDA_VERSION "${CMAKE_MATCH_1}")
  endif()
elseif(EXISTS "${LibTorch_DIR_FOUND}/build-version")
  file(STRINGS "${LibTorch_DIR_FOUND}/build-version" _libtorch_line LIMIT_COUNT 1)
  if(_libtorch_line MATCHES "\\+cu([0-9]+)([0-9])$")
    set(LibTorch_CUDA_VERSION "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}")
  endif()
endif()

# A wheel keeps CUDA's libraries beside torch, in nvidia/; an archive in its own lib/.
get_filename_component(_libtorch_nvidia "${LibTorch_DIR_FOUND}/../nvidia" ABSOLUTE)

# Why the CUDA flavour can't be used; empty where it can.
set(LibTorch_CUDA_FOUND FALSE)
set(LibTorch_CUDA_REASON "")
if(NOT "CUDA" IN_LIST LibTorch_FIND_COMPONENTS)
  set(LibTorch_CUDA_REASON "not asked for")
elseif(NOT EXISTS "${LibTorch_LIBRARY_DIR}/libtorch_cuda.so")
  set(LibTorch_CUDA_REASON "this LibTorch is a CPU build")
elseif(NOT EXISTS "${_libtorch_nvidia}/cudnn/lib/libcudnn.so.9"
       AND NOT EXISTS "${LibTorch_LIBRARY_DIR}/libcudnn.so.9")
  set(LibTorch_CUDA_REASON
      "the wheel's CUDA libraries are missing: pip install torch==${LibTorch_VERSION} without --no-deps")
else()
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(LibTorch_CUDA_REASON "no CUDA toolkit")
  elseif(LibTorch_CUDA_VERSION AND NOT LibTorch_CUDA_VERSION MATCHES "^${CUDAToolkit_VERSION_MAJOR}\\.")
    set(LibTorch_CUDA_REASON
        "the toolkit is CUDA ${CUDAToolkit_VERSION}, LibTorch was built for ${LibTorch_CUDA_VERSION}")
  else()
    set(LibTorch_CUDA_FOUND TRUE)
  endif()
endif()

# nccl.h must not be older than the library that is linked, so the wheel's comes first.
set(LibTorch_NCCL_INCLUDE_DIR "")
set(LibTorch_CUDNN_INCLUDE_DIR "")
if(LibTorch_CUDA_FOUND)
  foreach(_libtorch_library nccl cudnn)
    string(TOUPPER ${_libtorch_library} _libtorch_upper)
    find_path(_libtorch_include ${_libtorch_library}.h
              HINTS "${_libtorch_nvidia}/${_libtorch_library}/include" ${CUDAToolkit_INCLUDE_DIRS}
              NO_CACHE)
    if(_libtorch_include)
      set(LibTorch_${_libtorch_upper}_INCLUDE_DIR "${_libtorch_include}")
    endif()
    unset(_libtorch_include)
  endforeach()
  # The same CUDA runtime as LibTorch's, where the wheel has one.
  string(REGEX MATCH "^[0-9]+" _libtorch_major "${CUDAToolkit_VERSION}")
  if(EXISTS "${_libtorch_nvidia}/cu${_libtorch_major}/lib")
    list(APPEND LibTorch_RPATH "${_libtorch_nvidia}/cu${_libtorch_major}/lib")
  endif()
endif()

if(NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  set(_libtorch_definitions USE_DISTRIBUTED USE_C10D_GLOO USE_RPC USE_TENSORPIPE)

  # -idirafter: the wheel brings its own fmt and protobuf, which must not hide the system's.
  # Only for C++: our CUDA sources include nothing of LibTorch.
  foreach(_libtorch_include include include/torch/csrc/api/include)
    set_property(TARGET LibTorch::LibTorch APPEND PROPERTY INTERFACE_COMPILE_OPTIONS
      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter \"${LibTorch_DIR_FOUND}/${_libtorch_include}\">")
  endforeach()

  set(_libtorch_libraries "${LibTorch_LIBRARY_DIR}/libtorch_cpu.so" "${LibTorch_LIBRARY_DIR}/libc10.so")
  # The OpenMP runtime of LibTorch's threads, for sources that are compiled with -fopenmp.
  file(GLOB _libtorch_openmp "${LibTorch_LIBRARY_DIR}/libgomp*.so*")
  if(_libtorch_openmp)
    list(APPEND _libtorch_libraries ${_libtorch_openmp})
  else()
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    list(APPEND _libtorch_libraries ${OpenMP_CXX_LIBRARIES})
  endif()
  if(LibTorch_CUDA_FOUND)
    # Nothing refers to libtorch_cuda by name, so a linker with --as-needed would drop it, and with it
    # every CUDA operation.
    list(PREPEND _libtorch_libraries
      "-Wl,--push-state,--no-as-needed,${LibTorch_LIBRARY_DIR}/libtorch_cuda.so,--pop-state"
      "${LibTorch_LIBRARY_DIR}/libc10_cuda.so")
    list(APPEND _libtorch_libraries CUDA::cudart)
    if(LibTorch_NCCL_INCLUDE_DIR)
      list(APPEND _libtorch_definitions USE_C10D_NCCL)
    endif()
    foreach(_libtorch_include ${LibTorch_NCCL_INCLUDE_DIR} ${LibTorch_CUDNN_INCLUDE_DIR})
      set_property(TARGET LibTorch::LibTorch APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES
                   "$<$<COMPILE_LANGUAGE:CXX>:${_libtorch_include}>")
    endforeach()
  endif()
  foreach(_libtorch_definition IN LISTS _libtorch_definitions)
    set_property(TARGET LibTorch::LibTorch APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
                 "$<$<COMPILE_LANGUAGE:CXX>:${_libtorch_definition}>")
  endforeach()
  set_property(TARGET LibTorch::LibTorch PROPERTY INTERFACE_LINK_LIBRARIES "${_libtorch_libraries}")
endif()

cmake_policy(POP)
