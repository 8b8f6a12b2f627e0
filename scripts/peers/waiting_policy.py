"""Has PyTorch's OpenMP threads wait for a shorter time than libgomp's milliseconds, which beside other work
make PyTorch slower than it need be, and a comparison with xception (src/openmp.cpp) unfair. To be imported
before torch, with which OpenMP is loaded and reads its variables."""
import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
