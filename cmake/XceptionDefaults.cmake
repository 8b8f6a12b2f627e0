# Build type, standard, compiler cache.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug, RelWithDebInfo" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# LibTorch's headers take 10 to 20 s a file, so a compiler cache is worth more than anything else.
find_program(XCEPTION_CCACHE ccache)
mark_as_advanced(XCEPTION_CCACHE)
if(XCEPTION_CCACHE)
  foreach(language CXX CUDA)
    if(NOT CMAKE_${language}_COMPILER_LAUNCHER)
      # Else it doesn't take files that read precompiled headers (XceptionHeaders.cmake).
      set(CMAKE_${language}_COMPILER_LAUNCHER
          "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${XCEPTION_CCACHE}")
    endif()
  endforeach()
endif()

# Sources of a room are compiled a dozen at a time: what LibTorch's and nlohmann's templates cost, most
# of a file's compilation, is paid once for all of them. OFF for those who edit a file again and again.
# A project that has this one inside decides for itself.
if(PROJECT_IS_TOP_LEVEL)
  option(CMAKE_UNITY_BUILD "Compile several sources of a room at once" ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 12 CACHE STRING "How many of them")
endif()
