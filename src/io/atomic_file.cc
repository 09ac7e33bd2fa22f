#include "io/atomic_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/disk.h"
#include "base/file.h"

namespace hone::io {
namespace {

[[noreturn]] void refused(const std::filesystem::path& path, const char* what, int error, uint64_t needed = 0) {
  throw write_error(path, what, error, needed);
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(const void* data, size_t bytes) { EVP_DigestUpdate(context_, data, bytes); }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_, digest.data(), &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  EVP_MD_CTX* context_;
};

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

struct AtomicFile::Impl {
  std::filesystem::path path, temporary;
  int fd = -1;
  uint64_t bytes = 0, expected = 0;
  Sha256 hash;
  uint64_t needed() const { return std::max(bytes, expected); }
};

AtomicFile::AtomicFile(std::filesystem::path path) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  static std::atomic<uint64_t> count{0};  // threads may write the same file at once
  // Hidden, so that nobody who lists the folder takes it for the file, or a file of the kind, that it will become.
  impl_->temporary = impl_->path.parent_path() / fmt::format(".{}.partial-{}-{}", impl_->path.filename().string(), ::getpid(), ++count);
  impl_->fd = ::open(impl_->temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (impl_->fd < 0) refused(impl_->path, "create the file", errno);
}

AtomicFile::AtomicFile(AtomicFile&&) noexcept = default;

AtomicFile::~AtomicFile() {
  if (!impl_ || impl_->fd < 0) return;
  ::close(impl_->fd);
  ::unlink(impl_->temporary.c_str());
}

void AtomicFile::expect(uint64_t bytes) {
  impl_->expected = bytes;
  if (bytes == 0) return;
  // Blocks are set aside now where the file system can: better refused here than after most of it was written.
  int reason = 0;
  do {
    reason = ::fallocate(impl_->fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (reason == EINTR);
  if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) refused(impl_->path, "write", reason, bytes);
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  impl_->hash.add(data, bytes);
  impl_->bytes += bytes;
  while (bytes > 0) {
    const ssize_t written = ::write(impl_->fd, p, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      refused(impl_->path, "write", errno, impl_->needed());
    }
    p += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::write_zeros(size_t bytes) {
  const std::string zeros(std::min<size_t>(bytes, 4096), '\0');
  for (; bytes > 0; bytes -= std::min(bytes, zeros.size())) write(zeros.data(), std::min(bytes, zeros.size()));
}

uint64_t AtomicFile::bytes() const { return impl_->bytes; }

std::string AtomicFile::finish() {
  return finish([&](const std::string&) { return impl_->path; });
}

std::string AtomicFile::finish(FunctionRef<std::filesystem::path(const std::string&)> place) {
  if (::fsync(impl_->fd) != 0) refused(impl_->path, "bring the file to disk", errno, impl_->needed());
  if (::close(std::exchange(impl_->fd, -1)) != 0) {
    const int error = errno;
    ::unlink(impl_->temporary.c_str());
    refused(impl_->path, "close the file", error, impl_->needed());
  }
  const std::string sha256 = impl_->hash.hex();
  std::filesystem::path path;
  try {
    path = place(sha256);
  } catch (...) {
    ::unlink(impl_->temporary.c_str());
    throw;
  }
  if (::rename(impl_->temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(impl_->temporary.c_str());
    refused(path, "move the finished file into place", error);
  }
  sync_folder(folder_of(path));
  return sha256;
}

bool is_temporary(std::string_view file_name) {
  constexpr std::string_view kMark = ".partial-";
  const size_t mark = file_name.rfind(kMark);
  if (mark == std::string_view::npos || mark == 0) return false;
  const std::string_view numbers = file_name.substr(mark + kMark.size());
  const size_t dash = numbers.find('-');
  const auto digits = [](std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; };
  return dash != std::string_view::npos && digits(numbers.substr(0, dash)) && digits(numbers.substr(dash + 1));
}

std::string write_file(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.expect(content.size());
  file.write(content);
  return file.finish();
}

void sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) refused(folder, "open the folder", errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network file systems cannot sync folders; that is no reason to lose the file.
  if (result != 0 && error != EINVAL && error != ENOTSUP) refused(folder, "bring the folder to disk", error);
}

namespace {

class ReadOnly {
 public:
  explicit ReadOnly(const std::filesystem::path& path) : path_(path), fd_(open_regular(path)) {}
  ~ReadOnly() { ::close(fd_); }
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;
  size_t read(std::vector<char>& buffer) {
    for (;;) {
      const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) refused(path_, "read", errno);
    }
  }

 private:
  const std::filesystem::path& path_;
  int fd_;
};

}  // namespace

std::string sha256_of_file(const std::filesystem::path& path) {
  ReadOnly file(path);
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  while (const size_t n = file.read(buffer)) hash.add(buffer.data(), n);
  return hash.hex();
}

}  // namespace hone::io
