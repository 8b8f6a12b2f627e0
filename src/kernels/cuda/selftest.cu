#include <cuda_runtime.h>

#include <string>
#include <vector>

#include "xception/kernels/selftest.h"

namespace xception {
namespace {

__global__ void square(const float* in, float* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = in[i] * in[i];
}

}  // namespace

std::string kernel_selftest(int device_index) {
  constexpr int n = 1000;
  constexpr int threads = 128;
  constexpr std::size_t bytes = n * sizeof(float);
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i) values[i] = static_cast<float>(i);
  float* in = nullptr;
  float* out = nullptr;
  std::vector<float> result(n, -1.0F);
  cudaError_t error = cudaSetDevice(device_index);
  if (error == cudaSuccess) error = cudaMalloc(&in, bytes);
  if (error == cudaSuccess) error = cudaMalloc(&out, bytes);
  if (error == cudaSuccess) error = cudaMemcpy(in, values.data(), bytes, cudaMemcpyHostToDevice);
  if (error == cudaSuccess) {
    square<<<(n + threads - 1) / threads, threads>>>(in, out, n);
    error = cudaGetLastError();
  }
  if (error == cudaSuccess) error = cudaMemcpy(result.data(), out, bytes, cudaMemcpyDeviceToHost);
  cudaFree(in);
  cudaFree(out);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  for (int i = 0; i < n; ++i) {
    if (result[i] != values[i] * values[i]) return "a kernel returned wrong values";
  }
  return "";
}

}  // namespace xception
