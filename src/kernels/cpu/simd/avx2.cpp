#define XCEPTION_SIMD avx2
#include "all.h"
