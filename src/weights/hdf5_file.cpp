#include "hdf5_file.h"

#include <algorithm>
#include <limits>

#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr std::size_t kMostWords = 100'000;
constexpr std::size_t kLongestWord = 4096;
/// gzip makes zeros a thousandth as long, and weights hardly shorter.
constexpr std::uint64_t kMostTimesSmaller = 16;

Error damaged(const InputFile& file, const std::string& what) {
  return input_error("weights", "{}: {}; the file is damaged, use another copy", file.name(), what);
}

/// Where `path` is a hard link of `group`; libhdf5 would follow others out of the file.
bool is_hard_link(hid_t group, const std::string& name) {
  H5L_info_t info;
  return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0 &&
         H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD;
}

/// Opens a file that the library can't find by a path.
Hdf5Handle open_in_memory(const InputFile& file) {
  constexpr std::size_t kStep = 1 << 20;
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS));
  auto bytes = file.read(0, file.size());
  if (H5Pset_fapl_core(access.get(), kStep, /*backing_store=*/0) < 0 ||
      H5Pset_file_image(access.get(), bytes.data(), bytes.size()) < 0) {
    return Hdf5Handle();
  }
  bytes = {};
  // No file may have the name: the library would take that in place of the image.
  const auto name = fmt::format("/proc/self/fd/{}/image", file.descriptor());
  return Hdf5Handle(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()));
}

}  // namespace

Hdf5File::Hdf5File(const InputFile& file) : file_(file) {
  (void)H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const auto path = fmt::format("/proc/self/fd/{}", file.descriptor());
  id_ = file.is_in_memory() ? open_in_memory(file)
                            : Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (id_) root_ = Hdf5Handle(H5Gopen2(id_.get(), "/", H5P_DEFAULT));
  if (!root_) throw damaged(file, "not a whole HDF5 file");
}

Hdf5Handle Hdf5File::open(hid_t group, const std::string& path) const {
  Hdf5Handle at;
  hid_t inner = group;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (!is_hard_link(inner, name)) return Hdf5Handle();
    at = Hdf5Handle(H5Oopen(inner, name.c_str(), H5P_DEFAULT));
    if (!at) return at;
    inner = at.get();
  }
  return at;
}

bool Hdf5File::is_group(const Hdf5Handle& object) {
  return object && H5Iget_type(object.get()) == H5I_GROUP;
}

std::vector<std::string> Hdf5File::names(hid_t group) const {
  H5G_info_t info;
  if (H5Gget_info(group, &info) < 0 || info.nlinks > kMostWords) {
    throw damaged(file_, "a group can't be listed");
  }
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto length =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (length <= 0 || static_cast<std::size_t>(length) > kLongestWord) {
      throw damaged(file_, "a group can't be listed");
    }
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    (void)H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(),
                             H5P_DEFAULT);
    name.pop_back();
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> Hdf5File::words(hid_t object, const std::string& name) const {
  if (H5Aexists(object, name.c_str()) > 0) return words_of(object, name);
  std::vector<std::string> all;
  for (std::size_t part = 0; all.size() < kMostWords; ++part) {
    const auto numbered = name + std::to_string(part);
    if (H5Aexists(object, numbered.c_str()) <= 0) break;
    for (auto& word : words_of(object, numbered)) all.push_back(std::move(word));
  }
  return all;
}

std::vector<std::string> Hdf5File::words_of(hid_t object, const std::string& name) const {
  const Hdf5Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT));
  const Hdf5Handle space(attribute ? H5Aget_space(attribute.get()) : H5I_INVALID_HID);
  const Hdf5Handle type(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
  const auto count = space ? H5Sget_simple_extent_npoints(space.get()) : -1;
  if (!type || count < 0 || static_cast<std::size_t>(count) > kMostWords) {
    throw damaged(file_, fmt::format("attribute {} can't be read", name));
  }
  std::vector<std::string> words;
  // An empty list is one of numbers.
  if (count == 0 || H5Tget_class(type.get()) != H5T_STRING) return words;
  const auto number = static_cast<std::size_t>(count);
  const Hdf5Handle memory(H5Tcopy(H5T_C_S1));
  if (H5Tis_variable_str(type.get()) > 0) {
    (void)H5Tset_size(memory.get(), H5T_VARIABLE);
    (void)H5Tset_cset(memory.get(), H5Tget_cset(type.get()));
    std::vector<char*> read(number, nullptr);
    if (H5Aread(attribute.get(), memory.get(), read.data()) < 0) {
      throw damaged(file_, fmt::format("attribute {} can't be read", name));
    }
    for (const char* word : read) words.emplace_back(word == nullptr ? "" : word);
    (void)H5Dvlen_reclaim(memory.get(), space.get(), H5P_DEFAULT, read.data());
    return words;
  }
  const auto length = H5Tget_size(type.get());
  if (length == 0 || length > kLongestWord || number * length > file_.size()) {
    throw damaged(file_, fmt::format("attribute {} can't be read", name));
  }
  std::string read(number * length, '\0');
  if (H5Aread(attribute.get(), type.get(), read.data()) < 0) {
    throw damaged(file_, fmt::format("attribute {} can't be read", name));
  }
  for (std::size_t i = 0; i < number; ++i) {
    auto word = read.substr(i * length, length);
    word.erase(std::min(word.find('\0'), word.size()));
    words.push_back(std::move(word));
  }
  return words;
}

void Hdf5File::check_storage(hid_t dataset, const std::string& name, std::uint64_t bytes) const {
  const Hdf5Handle made(H5Dget_create_plist(dataset));
  const auto layout = made ? H5Pget_layout(made.get()) : H5D_LAYOUT_ERROR;
  if (layout < 0) throw damaged(file_, fmt::format("dataset {} can't be read", readable(name)));
  if (H5Pget_external_count(made.get()) != 0 || layout == H5D_VIRTUAL) {
    throw input_error("weights", "{}: dataset {} lies in other files, which are not read",
                      file_.name(), readable(name));
  }
  const int filters = H5Pget_nfilters(made.get());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    unsigned settings = 0;
    std::size_t values = 0;
    const auto filter = H5Pget_filter2(made.get(), static_cast<unsigned>(i), &flags, &values,
                                       nullptr, 0, nullptr, &settings);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE) {
      throw input_error("weights", "{}: dataset {} has filter {}, expected none or gzip",
                        file_.name(), readable(name), static_cast<int>(filter));
    }
  }
  const auto stored = H5Dget_storage_size(dataset);
  const auto most = filters > 0 ? kMostTimesSmaller * stored : stored;
  if (stored > file_.size() || bytes > most) {
    throw damaged(file_, fmt::format("dataset {} is said to have {} bytes, the file has {} of it",
                                     readable(name), bytes, stored));
  }
}

Hdf5Dataset Hdf5File::dataset(Hdf5Handle object, const std::string& name) const {
  Hdf5Dataset dataset;
  const Hdf5Handle type(H5Dget_type(object.get()));
  const Hdf5Handle space(H5Dget_space(object.get()));
  const int rank = space ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (!type || rank < 0 || rank > H5S_MAX_RANK) {
    throw damaged(file_, fmt::format("dataset {} can't be read", readable(name)));
  }
  const auto kind = H5Tget_class(type.get());
  const auto width = H5Tget_size(type.get());
  if (kind == H5T_INTEGER) dataset.dtype = "I64";
  if (kind == H5T_FLOAT) dataset.dtype = width > 4 ? "F64" : "F32";
  dataset.id = std::move(object);
  if (dataset.dtype.empty()) return dataset;
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  (void)H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
  constexpr auto kMost = static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max() / 8);
  hsize_t values = 1;
  for (const auto extent : extents) {
    if (extent > kMost || values > kMost / std::max<hsize_t>(extent, 1)) {
      throw damaged(file_, fmt::format("dataset {} is too large", readable(name)));
    }
    values *= extent;
    dataset.shape.push_back(static_cast<std::int64_t>(extent));
  }
  // As it is stored; numbers of a byte become eight times as long, and weights have none.
  check_storage(dataset.id.get(), name, values * std::max<std::uint64_t>(width, 1));
  dataset.bytes = values * (dataset.dtype == "F32" ? 4 : 8);
  return dataset;
}

std::string Hdf5File::read(const Hdf5Dataset& dataset, const std::string& name) const {
  const auto type = dataset.dtype == "F32"   ? H5T_NATIVE_FLOAT
                    : dataset.dtype == "F64" ? H5T_NATIVE_DOUBLE
                                             : H5T_NATIVE_INT64;
  std::string values(dataset.bytes, '\0');
  if (!values.empty() &&
      H5Dread(dataset.id.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    throw damaged(file_, fmt::format("dataset {} can't be read", readable(name)));
  }
  return values;
}

}  // namespace xception
