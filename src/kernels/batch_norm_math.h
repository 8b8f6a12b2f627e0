#pragma once

#include <cstdint>

#include "host_device.h"

// BatchNorm's arithmetic for one channel, for CPUs and GPUs alike; all in double.
//
// With center = mean rounded to the dtype of arithmetic A and rest = mean - center:
//   z  = (x - center) * scale + shift,    scale = weight * invstd, shift = bias - rest * scale
//   dx = g * scale + (x - center) * slope + offset
// x - center loses nothing where the mean is large against the spread.

namespace xception {

/// Count, mean and sum of squared distances from the mean of some values of a channel.
struct Moments {
  double count = 0.0;
  double mean = 0.0;
  double m2 = 0.0;

  /// Chan, Golub, LeVeque (1979).
  XCEPTION_HOST_DEVICE void merge(const Moments& other) {
    if (other.count == 0.0) return;
    const double total = count + other.count;
    const double delta = other.mean - mean;
    mean += delta * (other.count / total);
    m2 += other.m2 + delta * delta * (count * other.count / total);
    count = total;
  }
};

/// The coefficients of z.
struct ChannelScale {
  double center = 0.0, scale = 0.0, shift = 0.0;
};

/// A: float or double.
template <typename A>
XCEPTION_HOST_DEVICE ChannelScale channel_scale(double mean, double invstd, double weight,
                                                double bias) {
  const double center = static_cast<double>(static_cast<A>(mean));
  const double scale = weight * invstd;
  // An infinite mean has no rest.
  const double rest = mean - center;
  return {center, scale, bias - (rest == rest ? rest : 0.0) * scale};
}

struct ChannelGradient {
  double weight = 0.0, bias = 0.0;
  double slope = 0.0, offset = 0.0;
};

/// sum: of g; centered: of g * (x - center); count: values of the channel, or 0 where the
/// statistics were constants.
template <typename A>
XCEPTION_HOST_DEVICE ChannelGradient channel_gradient(double sum, double centered, double mean,
                                                      double invstd, double weight, double count) {
  const double center = static_cast<double>(static_cast<A>(mean));
  const double rest = mean - center;
  ChannelGradient result;
  result.weight = (centered - rest * sum) * invstd;
  result.bias = sum;
  if (count > 0.0) {
    const double scale = weight * invstd;
    result.slope = -scale * invstd * (result.weight / count);
    result.offset = -scale * (sum / count) - result.slope * rest;
  }
  return result;
}

/// torch's update of running statistics; the variance is the unbiased one.
XCEPTION_HOST_DEVICE inline double running_update(double running, double value, double momentum) {
  return (1.0 - momentum) * running + momentum * value;
}

}  // namespace xception
