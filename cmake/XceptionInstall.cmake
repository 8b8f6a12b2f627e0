# cmake --install: the executable, its manual page and completions, the headers, the libraries, and
# xceptionConfig.cmake.
include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/xception")
get_property(rooms GLOBAL PROPERTY XCEPTION_ROOMS)
list(TRANSFORM rooms PREPEND xception_)

install(TARGETS xception RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
# What the program says of itself: PATH below the data folder, ARGUMENTS that print it.
function(xception_install_output path)
  string(JOIN " " arguments ${ARGN})
  install(CODE "
    set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/${path}\")
    get_filename_component(folder \"\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    message(STATUS \"Installing: \${file}\")
    execute_process(COMMAND \"$<TARGET_FILE:xception>\" ${arguments}
                    OUTPUT_FILE \"\${file}\" RESULT_VARIABLE code)
    if(NOT code EQUAL 0)
      message(FATAL_ERROR \"xception ${arguments}: exit code \${code}\")
    endif()")
endfunction()
xception_install_output(man/man1/xception.1 man)
xception_install_output(bash-completion/completions/xception completion bash)
xception_install_output(zsh/site-functions/_xception completion zsh)
xception_install_output(fish/vendor_completions.d/xception.fish completion fish)

install(TARGETS xception_all ${rooms} EXPORT xceptionTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/xception"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(EXPORT xceptionTargets NAMESPACE xception:: DESTINATION "${config_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/xceptionConfig.cmake.in" xceptionConfig.cmake
                              INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file(xceptionConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/xceptionConfig.cmake"
  "${PROJECT_BINARY_DIR}/xceptionConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindTurboJPEG.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindLibZip.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindHdf5C.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindOnnxProto.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindLibWebP.cmake"
  DESTINATION "${config_dir}")
