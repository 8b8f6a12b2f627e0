#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xception {

// Pickles and torch.save's files, made by hand so that anything in them may be wrong.

/// A number in `bytes` bytes, the lowest first.
inline std::string little_endian(std::uint64_t number, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i)
    text.push_back(static_cast<char>((number >> (8 * i)) & 0xFF));
  return text;
}

inline std::string p_text(std::string_view text) {
  return "X" + little_endian(text.size(), 4) + std::string(text);
}
inline std::string p_int(std::int64_t number) {
  return std::string("\x8A\x08", 2) + little_endian(static_cast<std::uint64_t>(number), 8);
}
inline std::string p_tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const auto& item : items) all += item;
  return all + "t";
}
inline std::string p_ints(const std::vector<std::int64_t>& numbers) {
  std::vector<std::string> items;
  for (const auto number : numbers) items.push_back(p_int(number));
  return p_tuple(items);
}
/// module and name with a space between.
inline std::string p_global(std::string name) {
  name[name.find(' ')] = '\n';
  return "c" + name + "\n";
}
inline std::string p_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "}(";
  for (const auto& [key, value] : items) all += p_text(key) + value;
  return all + "u";
}
inline std::string p_storage(const std::string& type, const std::string& key, std::int64_t values) {
  return p_tuple({p_text("storage"), p_global("torch " + type), p_text(key), p_text("cpu"),
                  p_int(values)}) +
         "Q";
}
inline std::string p_tensor(const std::string& storage, std::int64_t offset,
                            const std::vector<std::int64_t>& sizes,
                            const std::vector<std::int64_t>& strides) {
  return p_global("torch._utils _rebuild_tensor_v2") +
         p_tuple({storage, p_int(offset), p_ints(sizes), p_ints(strides), "\x89",
                  p_global("collections OrderedDict") + ")R"}) +
         "R";
}
/// A whole pickle.
inline std::string p_pickle(const std::string& object) {
  return std::string("\x80\x02", 2) + object + ".";
}

/// The file of `_use_new_zipfile_serialization=False`.
inline std::string old_torch_file(const std::string& object,
                                  const std::vector<std::pair<std::string, std::string>>& storages,
                                  std::size_t value_bytes = 4) {
  std::string keys = "](";
  std::string data;
  for (const auto& [key, bytes] : storages) {
    keys += p_text(key);
    data += little_endian(bytes.size() / value_bytes, 8) + bytes;
  }
  const std::string magic("\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 12);
  return p_pickle(magic) + p_pickle(p_int(1001)) + p_pickle(p_dict({{"little_endian", "\x88"}})) +
         p_pickle(object) + p_pickle(keys + "e") + data;
}

inline std::uint32_t crc32_of(std::string_view bytes) {
  std::uint32_t sum = ~std::uint32_t{0};
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~sum;
}

/// A zip archive of stored files; names may repeat.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string data;
  std::string directory;
  for (const auto& [name, content] : files) {
    const auto place = data.size();
    const std::string common = little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 4) +
                               little_endian(crc32_of(content), 4) +
                               little_endian(content.size(), 4) + little_endian(content.size(), 4) +
                               little_endian(name.size(), 2) + little_endian(0, 2);
    data += std::string("PK\x03\x04", 4) + little_endian(20, 2) + common + name + content;
    directory += std::string("PK\x01\x02", 4) + little_endian(20, 2) + little_endian(20, 2) +
                 common + little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 2) +
                 little_endian(0, 4) + little_endian(place, 4) + name;
  }
  return data + directory + std::string("PK\x05\x06", 4) + little_endian(0, 4) +
         little_endian(files.size(), 2) + little_endian(files.size(), 2) +
         little_endian(directory.size(), 4) + little_endian(data.size(), 4) + little_endian(0, 2);
}

}  // namespace xception
