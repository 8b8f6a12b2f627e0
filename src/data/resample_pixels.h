#pragma once

#include <cstdint>

#include "xception/data/taps.h"

namespace xception {

/// How resampled pixels become a network's input: whole values of 0 .. 255 (half to even), times
/// scale, plus offset.
struct Normalization {
  float scale[3] = {1, 1, 1};
  float offset[3] = {0, 0, 0};
};

/// Along which axis a picture is resampled first.
enum class FirstAxis { rows, columns };

/// Along columns, which is the slower of the two, where there are fewer rows before than after.
[[nodiscard]] FirstAxis first_axis(const Taps& rows);

/// Resamples a picture along rows and columns. pixels: red, green, blue, row by row; of the rows
/// and columns that rows.source() and cols.source() name. to: rows x cols of those three, computed
/// in float32. The same bits on every processor: each sum has its order, and no product is fused. A
/// block of the rows gives the same bits as all of them. Value: float, c10::Half or c10::BFloat16.
template <class Value>
void resample_pixels(const std::uint8_t* pixels, const Taps& rows, const Taps& cols,
                     FirstAxis first, const Normalization& normalization, Value* to);

}  // namespace xception
