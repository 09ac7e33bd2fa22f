// Files that are either whole or absent: written under a temporary name, synced, then renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace hone::io {

/// Writes one file from front to back, hashing as it goes. Until finish() the bytes are in a temporary file beside `path`,
/// which the destructor removes. Every function throws Error{kIo} naming the path; a full disk says how much was needed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  /// Announces the file's final size, so that a disk without room for it is found before the first byte.
  void expect(uint64_t bytes);
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void write_zeros(size_t bytes);
  uint64_t bytes() const;
  /// Syncs, renames over `path`, syncs the folder; returns the SHA-256 of the content in hexadecimal.
  std::string finish();
  /// The same where the name follows from the content: `place` is given its SHA-256 and says where the file belongs (on the same
  /// file system); what it throws leaves no file behind.
  std::string finish(FunctionRef<std::filesystem::path(const std::string& sha256)> place);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether a file's name is one that AtomicFile leaves behind when its process is killed: ".NAME.partial-PID-N", and
/// "NAME.partial-PID-N" as older versions wrote it. Such a file is nobody's: whoever knows that no process writes may remove it.
bool is_temporary(std::string_view file_name);

/// AtomicFile in one call; returns the SHA-256.
std::string write_file(const std::filesystem::path& path, std::string_view content);
/// The SHA-256 of a file's content in hexadecimal.
std::string sha256_of_file(const std::filesystem::path& path);
/// Makes renames and new files in `folder` last through a power cut.
void sync_folder(const std::filesystem::path& folder);

}  // namespace hone::io
