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
  /// Gives the pages read so far back to the system; they are read again when touched.
  void drop_pages() const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace hone::io
