#include "pickle_globals.h"

#include <algorithm>
#include <array>

namespace xception {
namespace {

using Gives = PickleGlobal::Gives;

constexpr std::array kGlobals = {
    PickleGlobal{"torch._utils._rebuild_tensor_v2", Gives::tensor},
    PickleGlobal{"torch._utils._rebuild_tensor", Gives::tensor},
    PickleGlobal{"torch._utils._rebuild_parameter", Gives::parameter},
    PickleGlobal{"torch._utils._rebuild_parameter_with_state", Gives::parameter},
    PickleGlobal{"torch.DoubleStorage", Gives::nothing, "F64"},
    PickleGlobal{"torch.FloatStorage", Gives::nothing, "F32"},
    PickleGlobal{"torch.HalfStorage", Gives::nothing, "F16"},
    PickleGlobal{"torch.BFloat16Storage", Gives::nothing, "BF16"},
    PickleGlobal{"torch.LongStorage", Gives::nothing, "I64"},
    PickleGlobal{"torch.IntStorage", Gives::nothing, "I32"},
    PickleGlobal{"torch.ShortStorage", Gives::nothing, "I16"},
    PickleGlobal{"torch.CharStorage", Gives::nothing, "I8"},
    PickleGlobal{"torch.ByteStorage", Gives::nothing, "U8"},
    PickleGlobal{"torch.BoolStorage", Gives::nothing, "BOOL"},
    PickleGlobal{"torch.Size", Gives::sequence},
    PickleGlobal{"torch.device", Gives::opaque},
    PickleGlobal{"torch.serialization._get_layout", Gives::opaque},
    PickleGlobal{"torch.float64", Gives::nothing},
    PickleGlobal{"torch.float32", Gives::nothing},
    PickleGlobal{"torch.float16", Gives::nothing},
    PickleGlobal{"torch.bfloat16", Gives::nothing},
    PickleGlobal{"torch.int64", Gives::nothing},
    PickleGlobal{"torch.int32", Gives::nothing},
    PickleGlobal{"torch.int16", Gives::nothing},
    PickleGlobal{"torch.int8", Gives::nothing},
    PickleGlobal{"torch.uint8", Gives::nothing},
    PickleGlobal{"torch.bool", Gives::nothing},
    PickleGlobal{"collections.OrderedDict", Gives::dict},
    PickleGlobal{"collections.defaultdict", Gives::counts},
    PickleGlobal{"collections.Counter", Gives::counts},
    PickleGlobal{"builtins.set", Gives::sequence},
    PickleGlobal{"builtins.frozenset", Gives::sequence},
    PickleGlobal{"builtins.list", Gives::sequence},
    PickleGlobal{"builtins.tuple", Gives::sequence},
    PickleGlobal{"builtins.dict", Gives::dict},
    PickleGlobal{"builtins.bytearray", Gives::opaque},
    PickleGlobal{"builtins.complex", Gives::opaque},
    PickleGlobal{"builtins.int", Gives::opaque},
    PickleGlobal{"builtins.float", Gives::opaque},
    PickleGlobal{"builtins.str", Gives::opaque},
    PickleGlobal{"builtins.bool", Gives::opaque},
    PickleGlobal{"_codecs.encode", Gives::opaque},  // bytes, in protocol 2
    // What training scripts keep of their command line.
    PickleGlobal{"argparse.Namespace", Gives::opaque},
    PickleGlobal{"pathlib.PosixPath", Gives::opaque},
    PickleGlobal{"pathlib.WindowsPath", Gives::opaque},
};

}  // namespace

const PickleGlobal* find_global(std::string_view name) {
  std::string text;
  constexpr std::string_view kPython2 = "__builtin__.";
  if (name.starts_with(kPython2)) {
    text = "builtins." + std::string(name.substr(kPython2.size()));
    name = text;
  }
  const auto* found = std::find_if(kGlobals.begin(), kGlobals.end(),
                                   [&](const auto& global) { return global.name == name; });
  return found == kGlobals.end() ? nullptr : found;
}

}  // namespace xception
