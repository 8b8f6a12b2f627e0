#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "xception/core/input_file.h"

namespace xception {

/// An identifier of libhdf5's, closed at the end of its scope.
class Hdf5Handle {
 public:
  explicit Hdf5Handle(hid_t id = H5I_INVALID_HID) : id_(id) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0 && H5Iis_valid(id_) > 0) H5Idec_ref(id_);
  }
  [[nodiscard]] hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_;
};

/// A set of numbers, not yet read.
struct Hdf5Dataset {
  Hdf5Handle id;
  std::string dtype;  ///< as safetensors names it, and as it will be read: F64, F32 or I64
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;
};

/// An HDF5 file. Followed are hard links only, so that nothing outside of the file is read. Only to
/// be used where the library may crash (InChild). Errors (input).
class Hdf5File {
 public:
  explicit Hdf5File(const InputFile& file);

  [[nodiscard]] hid_t root() const { return root_.get(); }

  /// The group or dataset at a path below a group; empty where there is none.
  [[nodiscard]] Hdf5Handle open(hid_t group, const std::string& path) const;
  [[nodiscard]] static bool is_group(const Hdf5Handle& object);

  /// The names of what a group holds, sorted.
  [[nodiscard]] std::vector<std::string> names(hid_t group) const;

  /// An attribute's words; a long list may have been divided into NAME0, NAME1, ...
  [[nodiscard]] std::vector<std::string> words(hid_t object, const std::string& name) const;

  /// A dataset of numbers; its dtype is empty where it holds something else.
  /// Errors: external storage, filters other than gzip's, larger than the file justifies.
  [[nodiscard]] Hdf5Dataset dataset(Hdf5Handle object, const std::string& name) const;

  /// The numbers. Errors: damaged.
  [[nodiscard]] std::string read(const Hdf5Dataset& dataset, const std::string& name) const;

 private:
  [[nodiscard]] std::vector<std::string> words_of(hid_t object, const std::string& name) const;
  void check_storage(hid_t dataset, const std::string& name, std::uint64_t bytes) const;

  const InputFile& file_;
  Hdf5Handle id_;
  Hdf5Handle root_;
};

}  // namespace xception
