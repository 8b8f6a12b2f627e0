#!/usr/bin/env bash
# gpu_sanitize.sh TEST_KERNELS: the kernels' tests on a GPU under compute-sanitizer's tools.
# Exit codes: 0 clean, 1 something was found, 77 no compute-sanitizer or no GPU.
set -euo pipefail
tests=$1

sanitizer=$(command -v compute-sanitizer || true)
for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
  for path in bin/compute-sanitizer compute-sanitizer/compute-sanitizer; do
    [[ -n $sanitizer || ! -x $folder/$path ]] || sanitizer=$folder/$path
  done
done
if [[ -z $sanitizer ]]; then
  echo "no compute-sanitizer"
  exit 77
fi
if ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
  echo "no GPU"
  exit 77
fi

# Each tensor is an allocation of its own, so that its end is seen.
export PYTORCH_NO_CUDA_MEMORY_CACHING=1
for tool in memcheck racecheck initcheck; do
  echo "== $tool"
  # Small shapes: the tools make kernels many times slower. A graph's memory needs the cache.
  "$sanitizer" --tool "$tool" --error-exitcode 1 \
    "$tests" --gtest_filter='Shapes/GpuKernels.*:Gpu/FusedBranches.*:*ImageRows*-*BnWithALargeMean*:*CudaOnHost*'
done
