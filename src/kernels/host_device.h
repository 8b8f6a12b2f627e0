#pragma once

/// Before a function that hosts and devices share.
#ifdef __CUDACC__
#define XCEPTION_HOST_DEVICE __host__ __device__
#else
#define XCEPTION_HOST_DEVICE
#endif
