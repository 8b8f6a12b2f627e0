#include "batch_norm.h"
#include "depthwise.h"
#include "image_rows.h"
#include "max_pool.h"
#include "update.h"

// The table of one instruction set, XCEPTION_SIMD.

namespace xception::cpu {
namespace {

template <typename T>
constexpr Kernels table_of() {
  return {.statistics = statistics<T>,
          .bn_forward = bn_forward<T>,
          .bn_reduce = bn_reduce<T>,
          .bn_backward = bn_backward<T>,
          .depthwise_forward = depthwise_forward<T>,
          .depthwise_backward = depthwise_backward<T>,
          .pool_forward = pool_forward<T>,
          .pool_backward = pool_backward<T>,
          .image_rows = image_rows<T>,
          .update = update<T>};
}

constexpr Kernels kTables[] = {table_of<Half>(), table_of<Bfloat16>(), table_of<float>(),
                               table_of<double>()};

}  // namespace

namespace XCEPTION_SIMD {

const Kernels& kernels(Dtype dtype) {
  return kTables[static_cast<int>(dtype)];
}

}  // namespace XCEPTION_SIMD
}  // namespace xception::cpu
