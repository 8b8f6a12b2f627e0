#include "xception/core/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

#include "descriptor.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// Beside a file. A process's number alone would do on one machine: in containers that share a
/// folder many have the same.
std::string temporary_name(const std::filesystem::path& file) {
  static const auto own = std::to_string(::getpid()) + "-" + std::to_string(std::random_device()());
  return file.string() + ".tmp" + own;
}

int write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

std::string hexadecimal(const unsigned char* bytes, unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string digest_of(std::string_view bytes, const EVP_MD* kind, std::string_view name) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, kind, nullptr) != 1) {
    throw run_error("core", "{} is not available in this OpenSSL", name);
  }
  return hexadecimal(digest.data(), length);
}

}  // namespace

std::string read_file(const std::filesystem::path& file, std::string_view room) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    throw input_error(room, "{}: no such file; check the path", file.string());
  }
  if (std::filesystem::is_directory(status)) {
    throw input_error(room, "{}: is a directory, expected a file", file.string());
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw input_error(room, "{}: cannot be read: {}", file.string(), reason_of(errno));
  std::string content;
  const auto size = std::filesystem::file_size(file, error);
  if (!error) content.reserve(size);
  std::array<char, 1 << 16> buffer{};
  while (stream.read(buffer.data(), buffer.size()) || stream.gcount() > 0) {
    content.append(buffer.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) {
    throw input_error(room, "{}: reading failed: {}", file.string(), reason_of(errno));
  }
  return content;
}

AtomicFile::AtomicFile(const std::filesystem::path& file)
    : file_(file),
      temporary_(temporary_name(file)),
      descriptor_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail(error);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(int error) const {
  throw run_error("core", "{}: cannot be written: {}", file_.string(), reason_of(error));
}

void AtomicFile::write(std::string_view content) {
  if (const int error = write_all(descriptor_, content)) fail(error);
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(errno);
  // Closing can be what reports a failed write.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail(errno);
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) fail(errno);
  temporary_.clear();
  sync_directory(file_.has_parent_path() ? file_.parent_path() : ".");
}

void write_file_atomic(const std::filesystem::path& file, std::string_view content) {
  AtomicFile output(file);
  output.write(content);
  output.commit();
}

void replace_link(const std::filesystem::path& link, const std::filesystem::path& target) {
  const auto temporary = temporary_name(link);
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0 ||
      ::rename(temporary.c_str(), link.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw run_error("core", "{}: cannot be linked to {}: {}", link.string(), target.string(),
                    reason_of(error));
  }
}

void sync_directory(const std::filesystem::path& directory) {
  const Descriptor descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0 || ::fsync(descriptor.get()) != 0) {
    throw run_error("core", "{}: cannot be synced: {}", directory.string(), reason_of(errno));
  }
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) {
    EVP_MD_CTX_free(context_);
    throw run_error("core", "SHA-256 is not available in this OpenSSL");
  }
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
}

void Sha256::update(std::string_view bytes) {
  (void)EVP_DigestUpdate(context_, bytes.data(), bytes.size());
}

std::string Sha256::digest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  (void)EVP_DigestFinal_ex(context_, digest.data(), &length);
  return hexadecimal(digest.data(), length);
}

std::string sha1(std::string_view bytes) {
  return digest_of(bytes, EVP_sha1(), "SHA-1");
}

std::string sha256(std::string_view bytes) {
  return digest_of(bytes, EVP_sha256(), "SHA-256");
}

}  // namespace xception
