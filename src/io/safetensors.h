// safetensors: a JSON header and the bytes of named tensors (https://github.com/huggingface/safetensors).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "tensor/tensor.h"

namespace hone::io {

/// One file, mapped. Every offset is checked when it is opened.
class Safetensors {
 public:
  /// Throws Error naming the file, the tensor and the remedy.
  static Safetensors open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  void drop_pages() const { file_->drop_pages(); }
  void check_unchanged() const { file_->check_unchanged(); }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  std::vector<std::string> names() const;
  /// Whether hone computes with the tensor's element type and number of axes: tensor() gives it.
  bool readable(std::string_view name) const;
  /// Borrowed from the mapping (copied when the file leaves it misaligned). Throws Error{kNotFound}, or Error{kUnsupported}
  /// for an element type hone does not compute with.
  Tensor tensor(std::string_view name) const;

 private:
  struct Info {
    std::string type;  // as the file writes it
    std::vector<int64_t> shape;
    size_t begin = 0, end = 0;  // in the file
  };
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Info, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// What a file to be written will hold.
struct SafetensorsEntry {
  std::string name;
  DType type;  // F32, F16, BF16 or I32
  Shape shape;
};

/// Writes tensors one after another, so that a model larger than memory can be written.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& entries,
                    const std::map<std::string, std::string>& metadata);
  /// The next bytes, in the order of the entries.
  void write(const void* data, size_t bytes) { file_.write(data, bytes); }
  /// Throws Error{kInternal} when fewer or more bytes than announced were written. Returns the SHA-256.
  std::string finish();

 private:
  AtomicFile file_;
  uint64_t expected_ = 0;
};

/// All at once; returns the SHA-256.
std::string write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace hone::io
