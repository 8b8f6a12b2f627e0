# Writes version_data.h; leaves it alone where nothing has changed.
execute_process(COMMAND git -C "${SOURCE}" rev-parse --show-toplevel
                OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(commit "unknown")
# A copy without .git inside another repository must not report that repository's commit.
if(top)
  file(REAL_PATH "${top}" top)
  file(REAL_PATH "${SOURCE}" source)
  if(top STREQUAL source)
    execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
                    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(described)
      set(commit "${described}")
    endif()
  endif()
endif()

set(text "// Written by cmake/WriteVersion.cmake.
#define XCEPTION_VERSION \"${VERSION}\"
#define XCEPTION_GIT_COMMIT \"${commit}\"
#define XCEPTION_LIBTORCH_VERSION \"${LIBTORCH}\"
#define XCEPTION_CUDA_VERSION \"${CUDA}\"
#define XCEPTION_NCCL_VERSION \"${NCCL}\"
#define XCEPTION_COMPILER \"${COMPILER}\"
#define XCEPTION_BUILD_TYPE \"${BUILD_TYPE}\"
")
set(old "")
if(EXISTS "${TARGET}")
  file(READ "${TARGET}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${TARGET}" "${text}")
endif()
