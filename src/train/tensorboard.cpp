#include "xception/train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/train/history.h"
#include "xception/train/run_status.h"

namespace xception {
namespace {

template <class Value>
std::string little_endian(Value value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  while (value >= 0x80) {
    bytes.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

/// Protocol buffers' wire types.
enum class Wire : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string key(std::uint64_t field, Wire wire) {
  return varint((field << 3) | static_cast<std::uint64_t>(wire));
}

std::string bytes_field(std::uint64_t field, std::string_view bytes) {
  return key(field, Wire::bytes) + varint(bytes.size()) + std::string(bytes);
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
std::string event(std::int64_t step, const std::string& rest) {
  return key(1, Wire::fixed64) + little_endian(now()) + key(2, Wire::varint) +
         varint(static_cast<std::uint64_t>(step)) + rest;
}

/// google.protobuf.Value { double number_value = 2; string string_value = 3; bool bool_value = 4; }
std::string value_of(const nlohmann::ordered_json& value) {
  if (value.is_boolean()) return key(4, Wire::varint) + varint(value.get<bool>() ? 1 : 0);
  if (value.is_number()) return key(2, Wire::fixed64) + little_endian(value.get<double>());
  return bytes_field(3, value.is_string() ? value.get<std::string>() : value.dump());
}

/// Entries of a map<string, Value> in field 1, by dotted key.
std::string hyper_parameter_map(const nlohmann::ordered_json& config, const std::string& prefix) {
  std::string entries;
  for (const auto& [name, value] : config.items()) {
    const auto dotted = prefix.empty() ? name : prefix + "." + name;
    entries += value.is_object()
                   ? hyper_parameter_map(value, dotted)
                   : bytes_field(1, bytes_field(1, dotted) + bytes_field(2, value_of(value)));
  }
  return entries;
}

std::string masked_crc(std::string_view bytes) {
  const auto crc = crc32c(bytes);
  return little_endian(((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
}

std::filesystem::path new_file(const std::filesystem::path& directory) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return directory /
         fmt::format("events.out.tfevents.{:.0f}.{}.{}", now(), host.data(), ::getpid());
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit)
        value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
      entries[i] = value;
    }
    return entries;
  }();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) {
      file_ = std::max(file_, entry.path());
    }
  }
  if (file_.empty()) file_ = new_file(directory);
}

void TensorBoardWriter::on_progress(const Progress& progress) {
  scalar("loss/step", progress.global_step, progress.loss);
}

void TensorBoardWriter::on_epoch(const EpochRecord& record) {
  scalar("loss/train", record.epoch, record.train_loss);
  scalar("accuracy/train", record.epoch, record.train_accuracy);
  if (record.validation_loss) scalar("loss/validation", record.epoch, *record.validation_loss);
  if (record.validation_accuracy) {
    scalar("accuracy/validation", record.epoch, *record.validation_accuracy);
  }
  scalar("learning_rate", record.epoch, record.learning_rate);
  scalar("images_per_second", record.epoch, record.images_per_second);
}

void TensorBoardWriter::scalar(const std::string& tag, std::int64_t step, double value) {
  // Summary { repeated Value value = 1; }  Value { string tag = 1; float simple_value = 2; }
  const auto entry =
      bytes_field(1, tag) + key(2, Wire::fixed32) + little_endian(static_cast<float>(value));
  append(event(step, bytes_field(5, bytes_field(1, entry))));
}

void TensorBoardWriter::hyper_parameters(const std::string& tag, const std::string& content) {
  // Value { string tag = 1; SummaryMetadata metadata = 9; }
  // SummaryMetadata { PluginData { string plugin_name = 1; bytes content = 2; } plugin_data = 1; }
  const auto plugin = bytes_field(1, "hparams") + bytes_field(2, content);
  const auto value = bytes_field(1, tag) + bytes_field(9, bytes_field(1, plugin));
  append(event(0, bytes_field(5, bytes_field(1, value))));
}

void TensorBoardWriter::write_start(const nlohmann::ordered_json& config, const RgbImage& images) {
  // HParamsPluginData { SessionStartInfo session_start_info = 3; }
  // SessionStartInfo { map<string, google.protobuf.Value> hparams = 1; double start_time_secs = 5;
  // }
  const auto session =
      hyper_parameter_map(config, "") + key(5, Wire::fixed64) + little_endian(now());
  hyper_parameters("_hparams_/session_start_info", bytes_field(3, session));
  // Value { string tag = 1; Image image = 4; }
  // Image { int32 height = 1, width = 2, colorspace = 3 (RGB); bytes encoded_image_string = 4; }
  const auto number = [](std::uint64_t field, std::int64_t value) {
    return key(field, Wire::varint) + varint(static_cast<std::uint64_t>(value));
  };
  const auto image = number(1, images.height) + number(2, images.width) + number(3, 3) +
                     bytes_field(4, encode_png(images));
  const auto value = bytes_field(1, "images/train") + bytes_field(4, image);
  append(event(0, bytes_field(5, bytes_field(1, value))));
}

void TensorBoardWriter::on_end(const nlohmann::ordered_json& summary) {
  // HParamsPluginData { SessionEndInfo session_end_info = 4; }
  // SessionEndInfo { Status status = 1 (success 1, failure 2, running 3); double end_time_secs = 2;
  // }
  const auto status = summary.value("status", RunStatus::unknown);
  const std::uint64_t code = status == RunStatus::complete ? 1
                             : status == RunStatus::failed ? 2
                                                           : 3;
  const auto end =
      key(1, Wire::varint) + varint(code) + key(2, Wire::fixed64) + little_endian(now());
  hyper_parameters("_hparams_/session_end_info", bytes_field(4, end));
}

void TensorBoardWriter::append(const std::string& event_bytes) {
  const auto record = [](const std::string& data) {
    const auto length = little_endian(static_cast<std::uint64_t>(data.size()));
    return length + masked_crc(length) + data + masked_crc(data);
  };
  std::string bytes;
  if (!std::filesystem::exists(file_) || std::filesystem::file_size(file_) == 0) {
    bytes = record(event(0, bytes_field(3, "brain.Event:2")));
  }
  append_to_file(file_, bytes + record(event_bytes));
}

State TensorBoardWriter::state() const {
  State state;
  state.values = {
      {"file", file_.filename().string()},
      {"bytes", std::filesystem::exists(file_) ? std::filesystem::file_size(file_) : 0}};
  return state;
}

void TensorBoardWriter::load_state(const State& state) {
  const auto recorded = file_.parent_path() / state.values.at("file").get<std::string>();
  const auto bytes = state.values.at("bytes").get<std::uintmax_t>();
  std::error_code error;
  const auto found = std::filesystem::file_size(recorded, error);
  if (!error && found >= bytes) {
    file_ = recorded;
    std::filesystem::resize_file(file_, bytes, error);
    if (!error) return;
  }
  // Nothing is computed from this file: its loss is no reason to stop.
  file_ = new_file(file_.parent_path());
  spdlog::warn(
      "warning: {} is missing, shorter than it was or cannot be written; TensorBoard starts "
      "anew from here",
      recorded.string());
}

void TensorBoardWriter::clear() {
  std::error_code error;
  std::filesystem::resize_file(file_, 0, error);  // there may be none
}

}  // namespace xception
