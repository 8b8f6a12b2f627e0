#include "image_reader.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "xception/core/error.h"

namespace xception {
namespace {

/// Warns also where the log is off, as it is on all ranks but the first: each reads other images.
void warn_from_any_rank(const std::string& message) {
  const auto logger = spdlog::default_logger()->clone("any rank");
  logger->set_level(spdlog::level::warn);
  logger->warn(message);
}

}  // namespace

ImageReader::ImageReader(const Dataset& dataset, const DataConfig& config, Split split,
                         const std::vector<std::int64_t>& indices)
    : images_(dataset.images),
      name_(dataset.name),
      subset_(dataset.subset_of(split)),
      indices_(indices),
      skip_(config.on_error == "skip"),
      budget_(config.cache_mb * 1'000'000) {
  if (budget_ > 0) kept_.resize(indices_.size());
}

ImageReader::~ImageReader() {
  if (replaced_.empty()) return;
  spdlog::warn("{} damaged image{} of the {} split replaced by others of the same class",
               replaced_.size(), replaced_.size() == 1 ? "" : "s", split_name(subset_));
}

void ImageReader::read(std::int64_t row, const Use& use) {
  std::exception_ptr problem;
  try {
    read_own(row, use);
    return;
  } catch (...) {
    problem = std::current_exception();
  }
  const auto error = named(row, problem);
  if (!skip_ || error.kind() != Error::Kind::input) throw error;
  {
    const std::lock_guard lock(mutex_);
    if (replaced_.insert(row).second) {
      warn_from_any_rank(fmt::format(
          "{}; another image of its class takes its place (data.on_error)", error.what()));
    }
  }
  const auto label_of = [&](std::int64_t at) {
    return images_->label(subset_, indices_[static_cast<std::size_t>(at)]);
  };
  const auto label = label_of(row);
  const auto n = std::ssize(indices_);
  for (std::int64_t step = 1; step < n; ++step) {
    const auto other = (row + step) % n;
    if (label_of(other) != label) continue;
    try {
      read_own(other, use);
      return;
    } catch (const Error& damaged) {
      if (damaged.kind() != Error::Kind::input) throw named(other, std::current_exception());
    }
  }
  throw error;  // no image of the class can be read
}

void ImageReader::read_own(std::int64_t row, const Use& use) {
  const auto image = open(row);
  if (std::min(image->height(), image->width()) < 1) {
    throw run_error("data", "read as {} x {} px", image->height(), image->width());
  }
  use(*image);
}

std::unique_ptr<OpenImage> ImageReader::open(std::int64_t row) {
  const auto index = indices_[static_cast<std::size_t>(row)];
  bool keeps = false;
  {
    const std::lock_guard lock(mutex_);
    keeps = !kept_.empty();
    const auto kept = keeps ? kept_[static_cast<std::size_t>(row)] : nullptr;
    if (kept) return open_image(kept);
  }
  auto image = images_->open(subset_, index);
  return keeps ? keep(row, std::move(image)) : std::move(image);
}

std::unique_ptr<OpenImage> ImageReader::keep(std::int64_t row, std::unique_ptr<OpenImage> image) {
  constexpr std::int64_t kEnough = 16;  // images, to know what all of them take
  auto whole = std::make_shared<const RgbImage>(image->part(0, 0, image->height(), image->width()));
  const std::lock_guard lock(mutex_);
  if (!kept_.empty() && !kept_[static_cast<std::size_t>(row)]) {
    kept_[static_cast<std::size_t>(row)] = whole;
    kept_bytes_ += std::ssize(whole->pixels);
    ++kept_images_;
    const bool fits =
        kept_images_ < kEnough || kept_bytes_ / kept_images_ * std::ssize(kept_) <= budget_;
    if (!fits || kept_bytes_ > budget_) kept_ = {};
  }
  return open_image(std::move(whole));
}

Error ImageReader::named(std::int64_t row, std::exception_ptr problem) const {
  auto line = describe_error(problem);
  if (line.message.starts_with('[')) line.message.erase(0, line.message.find("] ") + 2);
  return {static_cast<Error::Kind>(line.exit_code), "data",
          fmt::format("{} image {} of {}: {}", split_name(subset_),
                      indices_[static_cast<std::size_t>(row)], name_, line.message)};
}

}  // namespace xception
