#define XCEPTION_SIMD avx512
#include "all.h"
