#include "state_dict.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <string_view>
#include <tuple>

#include "pickle_globals.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kDeepestWrapping = 4;
constexpr std::size_t kMostDimensions = 64;  // LibTorch's

/// Under which training scripts keep weights, those that evaluate best first.
constexpr std::array<std::string_view, 11> kWrappers = {
    "state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict",
    "model_state",    "model",     "module",         "net",        "network",
    "weights"};

constexpr std::array<std::string_view, 3> kPrefixes = {"module.", "_orig_mod.", "model."};

const PickleValue* member(const PickleValue& dict, std::string_view key) {
  const PickleValue* found = nullptr;  // the last one counts, as in Python
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    if (dict.items[i]->kind == Kind::text && dict.items[i]->text == key) found = dict.items[i + 1];
  }
  return found;
}

bool has_tensors(const PickleValue& dict) {
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    if (dict.items[i]->kind == Kind::text && dict.items[i + 1]->kind == Kind::tensor) return true;
  }
  return false;
}

/// The dict that holds the weights; nullptr where there is none.
const PickleValue* find_state_dict(const PickleValue& saved, std::vector<std::string>& notes) {
  const PickleValue* dict = &saved;
  for (std::size_t depth = 0; depth < kDeepestWrapping && dict->kind == Kind::dict; ++depth) {
    const PickleValue* inner = nullptr;
    for (const auto wrapper : kWrappers) {
      const auto* candidate = member(*dict, wrapper);
      if (candidate == nullptr || candidate->kind != Kind::dict) continue;
      notes.push_back(fmt::format("took the tensors under {}", wrapper));
      inner = candidate;
      break;
    }
    if (inner == nullptr) return has_tensors(*dict) ? dict : nullptr;
    dict = inner;
  }
  return nullptr;
}

/// a * b + c; whether it fits into 63 bits.
bool multiply_add(std::uint64_t a, std::uint64_t b, std::uint64_t& c) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (b != 0 && a > kMost / b) return false;
  const auto product = a * b;
  if (product > kMost - c) return false;
  c += product;
  return true;
}

/// Whether all of a tensor's values lie in its storage, whose length fits into 63 bits.
bool fits(const TorchTensor& tensor, const TorchStorage& storage) {
  if (tensor.offset < 0 || tensor.sizes.size() > kMostDimensions) return false;
  std::uint64_t values = 1;
  auto last = static_cast<std::uint64_t>(tensor.offset);
  bool empty = false;
  for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
    if (tensor.sizes[i] < 0 || tensor.strides[i] < 0) return false;
    empty = empty || tensor.sizes[i] == 0;
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(tensor.sizes[i], 1));
    std::uint64_t product = 0;
    if (!multiply_add(values, size, product)) return false;
    values = product;
    if (!multiply_add(size - 1, static_cast<std::uint64_t>(tensor.strides[i]), last)) return false;
  }
  return empty ? static_cast<std::uint64_t>(tensor.offset) <= storage.values
               : last < storage.values;
}

std::vector<std::int64_t> integers(const PickleValue& tuple) {
  std::vector<std::int64_t> values;
  for (const auto* item : tuple.items) values.push_back(item->integer);
  return values;
}

/// Views of one storage can have any number of values between them. What weights share (tied
/// layers, a transposed copy) is little more than the file.
void check_total(const TorchCheckpoint& checkpoint, const InputFile& file) {
  constexpr std::uint64_t kMostTimes = 4;
  constexpr std::uint64_t kAlways = 1 << 20;
  const auto most = kMostTimes * file.size() + kAlways;
  std::uint64_t total = 0;
  std::set<
      std::tuple<std::string, std::int64_t, std::vector<std::int64_t>, std::vector<std::int64_t>>>
      seen;
  for (const auto& tensor : checkpoint.tensors) {
    if (!seen.emplace(tensor.storage, tensor.offset, tensor.sizes, tensor.strides).second) continue;
    std::uint64_t bytes = storage_dtypes().at(checkpoint.storages.at(tensor.storage).dtype);
    for (const auto size : tensor.sizes) {
      std::uint64_t product = 0;
      const bool small = multiply_add(bytes, static_cast<std::uint64_t>(size), product);
      bytes = small ? product : most + 1;
    }
    total += bytes;
    if (total > most) {
      throw input_error(
          "weights",
          "{}: its tensors share memory: they would take more than {} bytes, the file "
          "has {}; save them contiguous",
          file.name(), most, file.size());
    }
  }
}

void remove_prefixes(TorchCheckpoint& checkpoint) {
  auto& tensors = checkpoint.tensors;
  for (bool removed = true; removed;) {
    removed = false;
    for (const auto prefix : kPrefixes) {
      const bool all = std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) {
        return tensor.name.starts_with(prefix);
      });
      if (!all) continue;
      for (auto& tensor : tensors) tensor.name.erase(0, prefix.size());
      checkpoint.notes.push_back(fmt::format("removed the prefix {}", prefix));
      removed = true;
    }
  }
}

}  // namespace

const std::map<std::string, std::uint64_t>& storage_dtypes() {
  static const std::map<std::string, std::uint64_t> table = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
  };
  return table;
}

const TorchStorage& add_storage(const PickleValue& value, const InputFile& file,
                                TorchCheckpoint& checkpoint) {
  const auto dtype = std::string(find_global(value.items[0]->text)->dtype);
  const auto values = static_cast<std::uint64_t>(value.integer);
  std::uint64_t bytes = 0;
  if (!multiply_add(values, storage_dtypes().at(dtype), bytes) || bytes > file.size()) {
    throw input_error("weights", "{}: storage {} has {} values of {}, more than the file can hold",
                      file.name(), readable(value.text), values, dtype);
  }
  const auto [found, added] =
      checkpoint.storages.try_emplace(value.text, TorchStorage{dtype, values, bytes});
  if (!added && (found->second.dtype != dtype || found->second.values != values)) {
    throw input_error("weights", "{}: storage {} is said to be of two kinds; the file is damaged",
                      file.name(), readable(value.text));
  }
  return found->second;
}

void add_state_dict(const PickleValue& saved, const InputFile& file, TorchCheckpoint& checkpoint) {
  const auto* dict = find_state_dict(saved, checkpoint.notes);
  if (dict == nullptr) {
    throw input_error("weights",
                      "{}: no tensors by name in it, expected a state dict, alone or under "
                      "state_dict or model: save model.state_dict()",
                      file.name());
  }
  std::set<std::string> names;
  std::size_t others = 0;
  for (std::size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const auto& key = *dict->items[i];
    const auto& value = *dict->items[i + 1];
    if (key.kind != Kind::text || value.kind != Kind::tensor) {
      ++others;
      continue;
    }
    if (!names.insert(key.text).second) {
      throw input_error("weights", "{}: tensor {} is given twice; the file is damaged", file.name(),
                        readable(key.text));
    }
    TorchTensor tensor{.name = key.text,
                       .storage = value.items[0]->text,
                       .offset = value.items[1]->integer,
                       .sizes = integers(*value.items[2]),
                       .strides = integers(*value.items[3])};
    if (!fits(tensor, add_storage(*value.items[0], file, checkpoint))) {
      throw input_error("weights", "{}: tensor {} leaves its storage; the file is damaged",
                        file.name(), readable(key.text));
    }
    checkpoint.tensors.push_back(std::move(tensor));
  }
  if (others > 0)
    checkpoint.notes.push_back(fmt::format("left out {} values that are no tensors", others));
  remove_prefixes(checkpoint);
  check_total(checkpoint, file);
}

}  // namespace xception
