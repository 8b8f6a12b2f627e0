#include <algorithm>

#include "pickle.h"
#include "state_dict.h"
#include "torch_checkpoint.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kLongestPickles = 64 << 20;
constexpr std::size_t kCountBytes = 8;

/// The number 0x1950A86A20F9469CFC6C, which the first pickle holds.
constexpr std::string_view kMagic("\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 12);

/// The keys of the storages, in the order of their bytes.
std::vector<std::string> read_keys(Pickle& pickle, const InputFile& file) {
  const auto& list = pickle.read();
  std::vector<std::string> keys;
  for (const auto* item : list.items) {
    if (item->kind != Kind::text) {
      throw input_error("weights", "{}: a storage without a key; the file is damaged", file.name());
    }
    keys.push_back(item->text);
  }
  return keys;
}

/// Bytes of each storage of the checkpoint, those of other tensors than the weights among them.
std::map<std::string, TorchStorage> lengths(const std::vector<const PickleValue*>& storages,
                                            const InputFile& file) {
  TorchCheckpoint all;
  for (const auto* storage : storages) (void)add_storage(*storage, file, all);
  return all.storages;
}

/// Where each storage's bytes begin. A storage is its number of values and then these.
std::map<std::string, std::uint64_t> find_storages(
    const std::vector<std::string>& keys, std::uint64_t place, const InputFile& file,
    const std::map<std::string, TorchStorage>& storages) {
  std::map<std::string, std::uint64_t> places;
  for (const auto& key : keys) {
    const auto storage = storages.find(key);
    if (storage == storages.end() || places.contains(key)) {
      throw input_error("weights", "{}: storage {} belongs to no tensor; the file is damaged",
                        file.name(), readable(key));
    }
    const auto count = file.read(place, kCountBytes);
    std::uint64_t values = 0;
    for (std::size_t i = 0; i < kCountBytes; ++i) {
      values |= static_cast<std::uint64_t>(static_cast<unsigned char>(count[i])) << (8 * i);
    }
    place += kCountBytes;
    if (values != storage->second.values || storage->second.bytes > file.size() - place) {
      throw input_error("weights",
                        "{}: storage {}: {} values from byte {} of {} on, expected {}: damaged or "
                        "cut short",
                        file.name(), readable(key), values, place, file.size(),
                        storage->second.values);
    }
    places[key] = place;
    place += storage->second.bytes;
  }
  return places;
}

}  // namespace

bool is_old_torch_file(const InputFile& file) {
  constexpr std::uint64_t kLooked = 32;
  const auto begin = file.read(0, std::min(kLooked, file.size()));
  return begin.starts_with('\x80') && begin.find(kMagic) != std::string::npos;
}

TorchCheckpoint read_old_torch_file(const InputFile& file) {
  const auto text = file.read(0, std::min(kLongestPickles, file.size()));
  Pickle pickle(file.name(), text);
  (void)pickle.read();  // the magic number
  const auto& protocol = pickle.read();
  constexpr std::int64_t kProtocol = 1001;
  if (protocol.kind != Kind::integer || protocol.integer != kProtocol) {
    throw input_error("weights", "{}: not torch.save's protocol {}; save it with a newer PyTorch",
                      file.name(), kProtocol);
  }
  const auto& system = pickle.read();
  for (std::size_t i = 0; i + 1 < system.items.size(); i += 2) {
    if (system.items[i]->text == "little_endian" && system.items[i + 1]->integer == 0) {
      throw input_error("weights", "{}: its bytes are in big-endian order, expected little-endian",
                        file.name());
    }
  }
  TorchCheckpoint checkpoint{.format = "PyTorch file (from before its zip archives)"};
  add_state_dict(pickle.read(), file, checkpoint);
  const auto all = lengths(pickle.storages(), file);
  const auto keys = read_keys(pickle, file);
  const auto places = find_storages(keys, pickle.position(), file, all);
  for (const auto& [key, storage] : checkpoint.storages) {
    if (!places.contains(key)) {
      throw input_error("weights", "{}: storage {} is missing; the file is damaged", file.name(),
                        readable(key));
    }
  }
  checkpoint.read = [&file, places, storages = checkpoint.storages](const std::string& key,
                                                                    void* to) {
    file.read(places.at(key), to, storages.at(key).bytes);
  };
  return checkpoint;
}

}  // namespace xception
