#pragma once

#include "average.cuh"
#include "batch_norm.cuh"
#include "depthwise.cuh"
#include "finish.cuh"
#include "image_rows.cuh"
#include "max_pool.cuh"
#include "update.cuh"

namespace xception::cuda {
namespace {

template <typename T>
constexpr Kernels kTable = {.statistics = launch_statistics<T>,
                            .finish_statistics = launch_finish_statistics<Arithmetic<T>>,
                            .constant_statistics = launch_constant_statistics<Arithmetic<T>>,
                            .bn_forward = launch_bn_forward<T>,
                            .bn_reduce = launch_bn_reduce<T>,
                            .finish_sums = launch_finish_sums<Arithmetic<T>>,
                            .bn_backward = launch_bn_backward<T>,
                            .depthwise_forward = launch_depthwise_forward<T>,
                            .depthwise_backward = launch_depthwise_backward<T>,
                            .pool_forward = launch_pool_forward<T>,
                            .pool_backward = launch_pool_backward<T>,
                            .average = launch_average<T>,
                            .average_backward = launch_average_backward<T>,
                            .image_rows = launch_image_rows<T>,
                            .update = launch_update<T>};

}  // namespace
}  // namespace xception::cuda
