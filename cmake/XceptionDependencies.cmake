# Everything that comes from outside. XCEPTION_WITH_CUDA says whether this is a CUDA build.

# xception_find(<package> <Debian package>): finds it, or says which package to install.
macro(xception_find package debian)
  find_package(${package} QUIET)
  if(NOT ${package}_FOUND)
    list(APPEND XCEPTION_MISSING "${package} (Debian, Ubuntu: ${debian})")
  endif()
endmacro()

set(XCEPTION_MISSING "")
xception_find(Threads libc6-dev)
xception_find(fmt libfmt-dev)
xception_find(spdlog libspdlog-dev)
xception_find(nlohmann_json nlohmann-json3-dev)
xception_find(CLI11 libcli11-dev)
xception_find(OpenSSL libssl-dev)
xception_find(Boost libboost-dev)
xception_find(PNG libpng-dev)
xception_find(ZLIB zlib1g-dev)
xception_find(TurboJPEG libturbojpeg0-dev)
xception_find(LibZip libzip-dev)
# Keras's weights; -DCMAKE_DISABLE_FIND_PACKAGE_Hdf5C=ON leaves it out.
find_package(Hdf5C QUIET)
# Writing ONNX; -DCMAKE_DISABLE_FIND_PACKAGE_OnnxProto=ON leaves it out.
find_package(OnnxProto QUIET)
xception_find(JPEG libjpeg-dev)  # libjpeg-turbo's older interface: decodes parts
# WebP images; -DCMAKE_DISABLE_FIND_PACKAGE_LibWebP=ON leaves them out.
find_package(LibWebP QUIET)
# Headers only: LibTorch contains the library, but the wheel lacks the headers.
find_path(XCEPTION_GLOO_INCLUDE_DIR gloo/transport/device.h)
mark_as_advanced(XCEPTION_GLOO_INCLUDE_DIR)
if(NOT XCEPTION_GLOO_INCLUDE_DIR)
  list(APPEND XCEPTION_MISSING "Gloo's headers (Debian, Ubuntu: libgloo-dev)")
endif()
if(XCEPTION_TESTS)
  xception_find(GTest "libgtest-dev and libgmock-dev")
  if(GTest_FOUND AND NOT TARGET GTest::gmock)
    list(APPEND XCEPTION_MISSING "GoogleMock (Debian, Ubuntu: libgmock-dev)")
  endif()
endif()
if(XCEPTION_MISSING)
  list(JOIN XCEPTION_MISSING "\n  " XCEPTION_MISSING)
  message(FATAL_ERROR "Missing libraries; scripts/setup.sh installs them all:\n  ${XCEPTION_MISSING}")
endif()

# ---- CUDA's compiler ---------------------------------------------------------------------------
set(XCEPTION_WITH_CUDA FALSE)
set(XCEPTION_CUDA_REASON "XCEPTION_CUDA is OFF")
if(XCEPTION_CUDA)
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    # Toolkits are often installed without being on PATH.
    find_program(XCEPTION_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
                 PATH_SUFFIXES bin)
    mark_as_advanced(XCEPTION_NVCC)
    if(XCEPTION_NVCC)
      set(CMAKE_CUDA_COMPILER "${XCEPTION_NVCC}")
    endif()
  endif()
  # This machine's GPUs. Without any, as on a cluster's login node, or where all are asked for: real
  # code for each architecture, and PTX of the newest for those to come.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "")
    execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE capabilities ERROR_QUIET RESULT_VARIABLE failed)
    if(failed EQUAL 0)
      string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
      foreach(capability IN LISTS capabilities)
        string(REPLACE "." "" capability "${capability}")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${capability}-real)
      endforeach()
    endif()
    if(XCEPTION_ALL_ARCHITECTURES OR NOT CMAKE_CUDA_ARCHITECTURES)
      list(APPEND CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
      list(REMOVE_ITEM CMAKE_CUDA_ARCHITECTURES 90-real)
    endif()
    list(REMOVE_DUPLICATES CMAKE_CUDA_ARCHITECTURES)
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake 3.25 doesn't know that nvcc 12 and later speak C++20.
    foreach(kind STANDARD EXTENSION)
      if(NOT CMAKE_CUDA20_${kind}_COMPILE_OPTION)
        set(CMAKE_CUDA20_${kind}_COMPILE_OPTION "-std=c++20")
      endif()
    endforeach()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(wanted COMPONENTS CUDA)
  else()
    set(XCEPTION_CUDA_REASON "no nvcc (on PATH, in CUDA_HOME or /usr/local/cuda)")
  endif()
endif()

# ---- LibTorch ----------------------------------------------------------------------------------
set(LibTorch_VENVS "${PROJECT_SOURCE_DIR}/.venv")
find_package(LibTorch REQUIRED ${wanted})
if(LibTorch_CUDA_FOUND)
  set(XCEPTION_WITH_CUDA TRUE)
elseif(wanted)
  set(XCEPTION_CUDA_REASON "${LibTorch_CUDA_REASON}")
endif()
if(XCEPTION_CUDA AND NOT XCEPTION_CUDA STREQUAL "AUTO" AND NOT XCEPTION_WITH_CUDA)
  message(FATAL_ERROR "XCEPTION_CUDA is ON, but: ${XCEPTION_CUDA_REASON}")
endif()

# Executables find LibTorch where it lies, and other libraries where the linker found them, in the
# build tree and installed. One path for both: else CMake pads the build tree's with colons, and an
# empty element means the current folder. -DCMAKE_INSTALL_RPATH=... replaces all of it.
if(NOT DEFINED CMAKE_INSTALL_RPATH)
  set(CMAKE_INSTALL_RPATH ${LibTorch_RPATH})
  set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
endif()
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
