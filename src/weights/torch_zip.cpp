#include <memory>
#include <set>

#include "pickle.h"
#include "state_dict.h"
#include "torch_checkpoint.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"
#include "zip_archive.h"

namespace xception {
namespace {

constexpr std::uint64_t kLongestPickle = 64 << 20;

/// The folder within the archive, `archive/`, that holds data.pkl.
std::string folder_of(const ZipArchive& archive, const InputFile& file) {
  constexpr std::string_view kPickle = "data.pkl";
  std::string folder;
  std::size_t found = 0;
  for (const auto& [name, entry] : archive.entries()) {
    const auto slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash + 1) != kPickle) continue;
    folder = name.substr(0, slash + 1);
    ++found;
  }
  if (found != 1) {
    throw input_error("weights",
                      "{}: a zip archive, but neither torch.save's nor Keras's: {} times data.pkl "
                      "in it",
                      file.name(), found);
  }
  return folder;
}

std::string read_text(const ZipArchive& archive, const std::string& name, std::uint64_t longest,
                      const InputFile& file) {
  const auto bytes = archive.entries().at(name).bytes;
  if (bytes > longest) {
    throw input_error("weights", "{}: {} in the archive has {} bytes, expected at most {}",
                      file.name(), readable(name), bytes, longest);
  }
  std::string text(bytes, '\0');
  archive.read(name, text.data());
  return text;
}

}  // namespace

TorchCheckpoint read_torch_zip(const InputFile& file) {
  const auto archive = std::make_shared<ZipArchive>(file);
  const auto folder = folder_of(*archive, file);
  if (archive->entries().contains(folder + "constants.pkl")) {
    throw input_error("weights", "{}: a TorchScript program; save model.state_dict()", file.name());
  }
  constexpr std::uint64_t kLongestWord = 64;
  if (archive->entries().contains(folder + "byteorder") &&
      read_text(*archive, folder + "byteorder", kLongestWord, file) != "little") {
    throw input_error("weights", "{}: its bytes are in big-endian order, expected little-endian",
                      file.name());
  }
  TorchCheckpoint checkpoint{.format = "PyTorch zip archive"};
  const auto text = read_text(*archive, folder + "data.pkl", kLongestPickle, file);
  Pickle pickle(file.name(), text);
  add_state_dict(pickle.read(), file, checkpoint);
  for (const auto& [key, storage] : checkpoint.storages) {
    const auto found = archive->entries().find(folder + "data/" + key);
    if (found == archive->entries().end() || found->second.bytes != storage.bytes) {
      throw input_error("weights", "{}: storage {} has {} bytes in the archive, expected {}",
                        file.name(), readable(key),
                        found == archive->entries().end() ? 0 : found->second.bytes, storage.bytes);
    }
  }
  checkpoint.read = [archive, folder](const std::string& key, void* to) {
    archive->read(folder + "data/" + key, to);
  };
  return checkpoint;
}

}  // namespace xception
