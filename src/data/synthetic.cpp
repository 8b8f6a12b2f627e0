#include "xception/data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "xception/core/error.h"
#include "xception/core/random.h"

namespace xception {
namespace {

using namespace cifar10;

// ---- Classes --------------------------------------------------------------------------------

/// A point in the object's own frame: the object reaches to about distance 1 from the origin.
struct Point {
  float u;
  float v;
};

/// What distinguishes two objects of one class beside where they are.
struct Variant {
  float period;  ///< of a texture
  Point phase;   ///< of a texture
  bool round;    ///< a texture's outline: a disc, else a square
};

bool in_disc(Point p, float radius) {
  return p.u * p.u + p.v * p.v < radius * radius;
}

bool in_square(Point p, float half) {
  return std::max(std::abs(p.u), std::abs(p.v)) < half;
}

bool disc(Point p, const Variant&) {
  return in_disc(p, 0.85F);
}

bool ring(Point p, const Variant&) {
  return in_disc(p, 0.95F) && !in_disc(p, 0.55F);
}

bool crescent(Point p, const Variant&) {
  return in_disc(p, 0.95F) && !in_disc({p.u - 0.5F, p.v}, 0.8F);
}

bool square(Point p, const Variant&) {
  return in_square(p, 0.75F);
}

bool triangle(Point p, const Variant&) {
  return p.v < 0.5F && 1.732F * std::abs(p.u) - p.v < 1.0F;  // equilateral, corners at distance 1
}

bool cross(Point p, const Variant&) {
  return in_square(p, 0.95F) && std::min(std::abs(p.u), std::abs(p.v)) < 0.26F;
}

/// Five points. Mirrored into one tenth of the plane, the star is one half-plane.
bool star(Point p, const Variant&) {
  constexpr float kCos36 = 0.80901699F;
  constexpr float kSin36 = 0.58778525F;
  constexpr float kInner = 0.44F;  // distance of the notches
  p.u = std::abs(p.u);
  for (const float side : {1.0F, -1.0F}) {
    const float beyond = std::max(side * kCos36 * p.u - kSin36 * p.v, 0.0F);
    p = {p.u - 2 * beyond * side * kCos36, p.v + 2 * beyond * kSin36};
  }
  // The edge runs from the tip (0, 1) to the notch at 36 degrees.
  return std::abs(p.u) * (1.0F - kInner * kCos36) < (1.0F - p.v) * kInner * kSin36;
}

bool in_outline(Point p, const Variant& variant) {
  return variant.round ? in_disc(p, 1.0F) : in_square(p, 0.85F);
}

/// Position within the texture's cell, -0.5 to 0.5 each way.
Point in_cell(Point p, const Variant& variant) {
  const float u = p.u / variant.period + variant.phase.u;
  const float v = p.v / variant.period + variant.phase.v;
  return {u - std::floor(u) - 0.5F, v - std::floor(v) - 0.5F};
}

bool stripes(Point p, const Variant& variant) {
  return in_outline(p, variant) && in_cell(p, variant).u < 0.0F;
}

bool checker(Point p, const Variant& variant) {
  const Point cell = in_cell(p, variant);
  return in_outline(p, variant) && (cell.u < 0.0F) == (cell.v < 0.0F);
}

bool dots(Point p, const Variant& variant) {
  return in_outline(p, variant) && in_disc(in_cell(p, variant), 0.3F);
}

struct Class {
  const char* name;
  bool (*covers)(Point, const Variant&);  ///< whether the object is at a point
  float shortest_period;                  ///< of a texture, in pixels
};

/// Seven shapes and three textures; a class's label is its position.
constexpr std::array<Class, kClasses> kClassTable{{
    {"disc", disc, 1},
    {"ring", ring, 1},
    {"crescent", crescent, 1},
    {"square", square, 1},
    {"triangle", triangle, 1},
    {"cross", cross, 1},
    {"star", star, 1},
    {"stripes", stripes, 4.0F},
    {"checker", checker, 5.5F},
    {"dots", dots, 4.5F},
}};

// ---- One image ------------------------------------------------------------------------------

using Color = std::array<float, 3>;  // 0 to 255

/// A picture as three planes, before it is rounded to bytes.
using Canvas = std::array<float, kPixelBytes>;

constexpr int kImageSide = kSide;
constexpr int kSubsamples = 4;  // per pixel and direction

/// Uniform in [low, high), exact in single precision.
float draw(CounterRandom& random, float low, float high) {
  return low + (high - low) * static_cast<float>(random.bits() >> 8) * 0x1.0p-24F;
}

Color draw_color(CounterRandom& random) {
  const auto component = [&] { return draw(random, 20.0F, 236.0F); };
  const float red = component();
  const float green = component();
  const float blue = component();
  return {red, green, blue};
}

float distance(const Color& a, const Color& b) {
  float sum = 0;
  for (std::size_t c = 0; c < 3; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return std::sqrt(sum);
}

/// A color that can be told from `other`.
Color draw_contrast(CounterRandom& random, const Color& other) {
  Color color = draw_color(random);
  while (distance(color, other) < 120.0F) color = draw_color(random);
  return color;
}

/// Paints `color` wherever covers(point) holds, with anti-aliased edges. A point is a position
/// relative to `center`, turned by `angle` and divided by `scale`; none beyond distance 1.25
/// counts.
template <class Covers>
void paint(Canvas& canvas, Point center, float scale, float angle, const Color& color,
           Covers covers) {
  const float cosine = std::cos(angle) / scale;
  const float sine = std::sin(angle) / scale;
  const float reach = 1.25F * scale;
  const auto clamp = [](float x) { return std::clamp(static_cast<int>(x), 0, kImageSide); };
  for (int y = clamp(center.v - reach); y < clamp(center.v + reach + 1); ++y) {
    for (int x = clamp(center.u - reach); x < clamp(center.u + reach + 1); ++x) {
      int covered = 0;
      for (int sample = 0; sample < kSubsamples * kSubsamples; ++sample) {
        const auto offset = [](int i) {
          return (static_cast<float>(i) + 0.5F) / static_cast<float>(kSubsamples);
        };
        const float dx = static_cast<float>(x) + offset(sample % kSubsamples) - center.u;
        const float dy = static_cast<float>(y) + offset(sample / kSubsamples) - center.v;
        covered += covers({cosine * dx + sine * dy, cosine * dy - sine * dx}) ? 1 : 0;
      }
      if (covered == 0) continue;
      const float share = static_cast<float>(covered) / (kSubsamples * kSubsamples);
      for (int c = 0; c < 3; ++c) {
        float& pixel = canvas[static_cast<std::size_t>((c * kImageSide + y) * kImageSide + x)];
        pixel += share * (color[static_cast<std::size_t>(c)] - pixel);
      }
    }
  }
}

/// A slope from one color to a similar one, in any direction.
void paint_background(Canvas& canvas, CounterRandom& random, const Color& color) {
  const float angle = draw(random, 0.0F, 2 * std::numbers::pi_v<float>);
  Color slope;
  for (float& component : slope) component = draw(random, -35.0F, 35.0F);
  const float dx = std::cos(angle) / kImageSide;
  const float dy = std::sin(angle) / kImageSide;
  for (int i = 0; i < static_cast<int>(kPixelBytes); ++i) {
    const float x = static_cast<float>(i % kImageSide) - kImageSide / 2.0F;
    const float y = static_cast<float>(i / kImageSide % kImageSide) - kImageSide / 2.0F;
    const auto c = static_cast<std::size_t>(i / (kImageSide * kImageSide));
    canvas[static_cast<std::size_t>(i)] = color[c] + slope[c] * (dx * x + dy * y);
  }
}

/// Small bars and blobs that belong to no class.
void paint_clutter(Canvas& canvas, CounterRandom& random, std::int64_t count) {
  for (; count > 0; --count) {
    const Color color = draw_color(random);
    const Point center{draw(random, 0.0F, kImageSide), draw(random, 0.0F, kImageSide)};
    const float length = draw(random, 1.5F, 4.0F);
    const float thickness = draw(random, 0.2F, 0.7F);
    const float angle = draw(random, 0.0F, std::numbers::pi_v<float>);
    paint(canvas, center, length, angle, color,
          [thickness](Point p) { return p.u * p.u + p.v * p.v / (thickness * thickness) < 1.0F; });
  }
}

void paint_object(Canvas& canvas, CounterRandom& random, const Class& kind, const Color& color) {
  const float radius = draw(random, 10.0F, 13.5F);
  const float middle = kImageSide / 2.0F;
  const Point center{middle + draw(random, -3.0F, 3.0F), middle + draw(random, -3.0F, 3.0F)};
  const float angle = draw(random, 0.0F, 2 * std::numbers::pi_v<float>);
  const float period = kind.shortest_period * draw(random, 1.0F, 1.4F) / radius;
  const Point phase{draw(random, 0.0F, 1.0F), draw(random, 0.0F, 1.0F)};
  const Variant variant{period, phase, random.below(2) == 0};
  paint(canvas, center, radius, angle, color, [&](Point p) { return kind.covers(p, variant); });
}

/// Adds noise, close to normal (the sum of four bytes), and rounds.
void finish(const Canvas& canvas, CounterRandom& random, std::span<std::uint8_t> pixels) {
  constexpr float kByteSums = 147.8F;  // standard deviation of the sum of four bytes
  const float amplitude = draw(random, 3.0F, 14.0F) / kByteSums;
  for (std::size_t i = 0; i < canvas.size(); ++i) {
    const std::uint32_t bits = random.bits();
    const std::uint32_t sum =
        (bits & 255U) + (bits >> 8 & 255U) + (bits >> 16 & 255U) + (bits >> 24);
    const float value = canvas[i] + amplitude * (static_cast<float>(sum) - 510.0F);
    pixels[i] = static_cast<std::uint8_t>(std::clamp(value, 0.0F, 255.0F) + 0.5F);
  }
}

void paint_image(CounterRandom random, const Class& kind, std::span<std::uint8_t> pixels) {
  Canvas canvas;
  const Color background = draw_color(random);
  const Color foreground = draw_contrast(random, background);
  paint_background(canvas, random, background);
  paint_clutter(canvas, random, 1 + random.below(4));  // behind the object
  paint_object(canvas, random, kind, foreground);
  paint_clutter(canvas, random, random.below(2));  // in front of it
  finish(canvas, random, pixels);
}

// ---- Splits ---------------------------------------------------------------------------------

enum Split : std::uint32_t { kTrain = 0, kTest = 1 };

/// Labels of each block of ten images are a permutation, so that any beginning of a split is
/// balanced and an image's label doesn't depend on how many there are.
std::uint8_t label_of(std::uint64_t seed, Split split, std::uint32_t image) {
  constexpr std::uint32_t kLabels = 2;  // apart from the images' own streams
  constexpr std::uint32_t kBlock = kClasses;
  const auto order =
      random_permutation(kBlock, {seed, RandomStream::synthetic, kLabels + split, image / kBlock});
  return static_cast<std::uint8_t>(order[image % kBlock]);
}

Cifar10Records synthesize_split(std::uint64_t seed, Split split, std::int64_t count) {
  Cifar10Records records;
  records.labels.resize(static_cast<std::size_t>(count));
  records.images.resize(static_cast<std::size_t>(count * kPixelBytes));
  const std::span images(records.images);
  for (std::size_t i = 0; i < records.labels.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    records.labels[i] = label_of(seed, split, index);
    paint_image({seed, RandomStream::synthetic, split, index}, kClassTable[records.labels[i]],
                images.subspan(i * kPixelBytes, kPixelBytes));
  }
  return records;
}

}  // namespace

Cifar10Files synthesize_cifar10(std::uint64_t seed, std::int64_t train_images,
                                std::int64_t test_images) {
  constexpr std::int64_t kMostTrain = kTrainBatches * kBatchRecords;
  if (train_images < 0 || train_images > kMostTrain || test_images < 0 ||
      test_images > kBatchRecords) {
    throw input_error("data",
                      "{} training and {} test images to synthesize, expected at most {} and {}",
                      train_images, test_images, kMostTrain, kBatchRecords);
  }
  Cifar10Files files;
  files.train = synthesize_split(seed, kTrain, train_images);
  files.test = synthesize_split(seed, kTest, test_images);
  for (const Class& kind : kClassTable) files.class_names.emplace_back(kind.name);
  files.name = kSyntheticName;
  files.checksum = cifar10_checksum(files);
  return files;
}

}  // namespace xception
