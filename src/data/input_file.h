// A file that is read by position and never held whole.
#pragma once

#include <cstdint>
#include <string>

namespace hone::data {

/// A regular file opened for reading. Reads go through pread, so several threads may share it and nothing is mapped. A
/// file with the mark of UTF-16 is decoded into an unnamed temporary file when it is opened; sizes and places are then
/// those of its UTF-8.
class InputFile {
 public:
  /// Throws Error: kNotFound, kIo (cannot be opened, or no room for the decoded text), kInvalidInput (not a regular file,
  /// empty, or broken UTF-16) or kUnsupported (its first bytes are those of a compressed, Parquet or UTF-32 file).
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  InputFile& operator=(InputFile&&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  /// 3 where the file starts with a UTF-8 byte order mark, else 0.
  uint64_t content_begin() const { return content_begin_; }
  /// What ends a line: '\r' when the beginning of the file holds some and no '\n' (as old Mac programs write), else '\n'.
  char line_end() const { return line_end_; }

  /// Whether the file on disk is no longer the one that was opened: another size or time of change.
  bool changed() const;
  /// After a change: makes reads see the file as it is now. Returns its size.
  uint64_t look_again();
  /// Takes the present time of change for the known one (the content was found to be the same).
  void accept();

  /// Reads up to `count` bytes from `offset`; fewer only at the end of the file. Throws Error{kIo}.
  uint64_t read_some(uint64_t offset, char* to, uint64_t count) const;
  /// Reads exactly [offset, offset + count). Throws Error{kIo} when the file has shrunk since it was opened.
  std::string read(uint64_t offset, uint64_t count) const;

 private:
  void decode(bool big_endian);

  std::string path_;
  int descriptor_ = -1;  // of the file itself
  int decoded_ = -1;     // of its UTF-8, where it is UTF-16
  bool big_endian_ = false;
  uint64_t size_ = 0, content_begin_ = 0;
  uint64_t size_on_disk_ = 0;
  int64_t modified_ns_ = 0;
  char line_end_ = '\n';
};

}  // namespace hone::data
