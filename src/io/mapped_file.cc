#include "io/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hone::io {
namespace {

// Mappings by address, for a signal handler: fixed memory, no locks. A file beyond the last slot is only missing from there.
struct Slot {
  std::atomic<const std::byte*> begin{nullptr};
  std::atomic<size_t> size{0};
  std::atomic<bool> taken{false};
  std::array<char, 1024> path{};
};
std::array<Slot, 64> slots;

int remember(const std::filesystem::path& path, const std::byte* data, size_t size) {
  for (size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    if (slot.taken.exchange(true)) continue;
    std::strncpy(slot.path.data(), path.c_str(), slot.path.size() - 1);
    slot.size.store(size, std::memory_order_relaxed);
    slot.begin.store(data, std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

void forget(int i) {
  if (i < 0) return;
  slots[static_cast<size_t>(i)].begin.store(nullptr, std::memory_order_release);
  slots[static_cast<size_t>(i)].taken.store(false, std::memory_order_release);
}

int64_t modified_ns(const struct stat& info) { return info.st_mtim.tv_sec * int64_t{1000000000} + info.st_mtim.tv_nsec; }

}  // namespace

const char* mapped_path_at(const void* address) noexcept {
  for (const Slot& slot : slots) {
    const std::byte* begin = slot.begin.load(std::memory_order_acquire);
    if (begin && address >= begin && address < begin + slot.size.load(std::memory_order_relaxed)) return slot.path.data();
  }
  return nullptr;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int fd = open_regular(path);
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->fd_ = fd;
  struct stat info{};
  if (::fstat(fd, &info) != 0)
    throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot be inspected: {}", std::strerror(errno)), "check the disk");
  file->path_ = path;
  file->size_ = static_cast<size_t>(info.st_size);
  file->modified_ns_ = modified_ns(info);
  if (file->size_ == 0) return file;
  void* data = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot be mapped: {}", std::strerror(errno)));
  file->data_ = static_cast<const std::byte*>(data);
  file->slot_ = remember(path, file->data_, file->size_);
  return file;
}

void MappedFile::check_unchanged() const {
  struct stat info{};
  if (::fstat(fd_, &info) != 0) throw Error(ErrorCode::kIo, path_.string(), fmt::format("cannot be inspected: {}", std::strerror(errno)), "check the disk");
  if (static_cast<size_t>(info.st_size) == size_ && modified_ns(info) == modified_ns_) return;
  throw Error(ErrorCode::kIo, path_.string(), fmt::format("the file was changed while it was in use ({} bytes, now {})", size_, info.st_size),
              "put the file back as it was, and keep it unchanged while hone works");
}

void MappedFile::drop_pages() const {
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (fd_ >= 0) ::close(fd_);
  forget(slot_);
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace hone::io
