# Steps of the test install_consumer; variables come from CMakeLists.txt beside it.
set(prefix "${WORK}/prefix")
file(REMOVE_RECURSE "${prefix}" "${WORK}/build")
# Neither the environment nor a path may help: the installed files alone must find LibTorch.
unset(ENV{Torch_DIR})
unset(ENV{CMAKE_PREFIX_PATH})

function(step)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

step("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
step("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK}/build" -G "${GENERATOR}"
     "-DCMAKE_BUILD_TYPE=Release" "-Dxception_ROOT=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX}"
     "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
step("${CMAKE_COMMAND}" --build "${WORK}/build")
step("${WORK}/build/consumer")
step("${prefix}/bin/xception" --version)
foreach(file man/man1/xception.1 bash-completion/completions/xception zsh/site-functions/_xception
        fish/vendor_completions.d/xception.fish)
  if(NOT EXISTS "${prefix}/share/${file}")
    message(FATAL_ERROR "not installed: share/${file}")
  endif()
endforeach()
