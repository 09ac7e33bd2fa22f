// A whole file as read-only memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

namespace hone::io {

/// Maps a regular file; the mapping lives as long as the object. Pages are read when touched and can be dropped by the
/// system, so a model's weights cost no memory of their own.
class MappedFile {
 public:
  /// Throws Error{kNotFound} or Error{kIo} naming the path.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  /// Throws Error{kIo} when the file was changed or cut since it was mapped: what was read from it may be wrong.
  void check_unchanged() const;
  /// Gives the pages read so far back to the system; they are read again when touched.
  void drop_pages() const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1, slot_ = -1;
  int64_t modified_ns_ = 0;
  std::filesystem::path path_;
};

/// The path of the mapped file that holds `address`, or null; safe in a signal handler (SIGBUS: the file became shorter, or
/// its disk failed, and a page of it was touched).
const char* mapped_path_at(const void* address) noexcept;

}  // namespace hone::io
