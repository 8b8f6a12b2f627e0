# ONNX's messages as C++ classes (Debian's package has no CMake files of its own):
# OnnxProto_FOUND and the target OnnxProto::OnnxProto.

find_path(OnnxProto_INCLUDE_DIR onnx/onnx_pb.h)
find_library(OnnxProto_LIBRARY NAMES onnx_proto)
find_path(OnnxProto_PROTOBUF_INCLUDE_DIR google/protobuf/message_lite.h)
find_library(OnnxProto_PROTOBUF_LIBRARY NAMES protobuf)
mark_as_advanced(OnnxProto_INCLUDE_DIR OnnxProto_LIBRARY OnnxProto_PROTOBUF_INCLUDE_DIR
                 OnnxProto_PROTOBUF_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxProto REQUIRED_VARS OnnxProto_LIBRARY OnnxProto_INCLUDE_DIR
  OnnxProto_PROTOBUF_LIBRARY OnnxProto_PROTOBUF_INCLUDE_DIR)

if(OnnxProto_FOUND AND NOT TARGET OnnxProto::OnnxProto)
  add_library(OnnxProto::OnnxProto UNKNOWN IMPORTED)
  set_target_properties(OnnxProto::OnnxProto PROPERTIES
    IMPORTED_LOCATION "${OnnxProto_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${OnnxProto_INCLUDE_DIR};${OnnxProto_PROTOBUF_INCLUDE_DIR}"
    INTERFACE_COMPILE_DEFINITIONS "ONNX_NAMESPACE=onnx;ONNX_ML=1"
    INTERFACE_LINK_LIBRARIES "${OnnxProto_PROTOBUF_LIBRARY}")
endif()
