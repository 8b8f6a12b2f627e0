#define XCEPTION_SIMD baseline
#include "all.h"
