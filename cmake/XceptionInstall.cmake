# cmake --install: the executable, the headers, the libraries, and xceptionConfig.cmake.
include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/xception")
get_property(rooms GLOBAL PROPERTY XCEPTION_ROOMS)
list(TRANSFORM rooms PREPEND xception_)

install(TARGETS xception RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
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
