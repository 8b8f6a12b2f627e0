# libwebp (older ones bring no CMake files): LibWebP_FOUND and the target LibWebP::LibWebP.

find_path(LibWebP_INCLUDE_DIR webp/decode.h)
find_library(LibWebP_LIBRARY NAMES webp)
mark_as_advanced(LibWebP_INCLUDE_DIR LibWebP_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibWebP REQUIRED_VARS LibWebP_LIBRARY LibWebP_INCLUDE_DIR)

if(LibWebP_FOUND AND NOT TARGET LibWebP::LibWebP)
  add_library(LibWebP::LibWebP UNKNOWN IMPORTED)
  set_target_properties(LibWebP::LibWebP PROPERTIES
    IMPORTED_LOCATION "${LibWebP_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LibWebP_INCLUDE_DIR}")
endif()
