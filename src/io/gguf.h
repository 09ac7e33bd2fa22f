// GGUF v2 and v3 (the file format of ggml models): metadata and tensors, read from untrusted bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/mapped_file.h"
#include "tensor/tensor.h"

namespace hone::io {

/// A metadata value. All integer types widen to int64 (uint64 above 2^63 is refused), both floats to double. Arrays hold one
/// element type and do not nest.
using GgufValue = std::variant<bool, int64_t, double, std::string, std::vector<bool>, std::vector<int64_t>, std::vector<double>,
                               std::vector<std::string>>;

class Gguf {
 public:
  /// Reads header, metadata and the tensor list; tensors stay mapped. Every count and offset is checked against the file's
  /// size. Throws Error naming file, byte offset or tensor, and remedy.
  static Gguf open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  void drop_pages() const { file_->drop_pages(); }
  void check_unchanged() const { file_->check_unchanged(); }
  uint32_t version() const { return version_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  /// The value of `key` when present; throws Error{kInvalidInput} when it has another type. Integers serve as floats.
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  std::optional<double> find_float(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  const std::vector<std::string>* find_strings(std::string_view key) const;
  const std::vector<int64_t>* find_ints(std::string_view key) const;
  const std::vector<double>* find_floats(std::string_view key) const;
  /// The same, but absence is an error too.
  std::string string(std::string_view key) const;
  int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;

  bool has(std::string_view tensor) const { return tensors_.find(tensor) != tensors_.end(); }
  /// The tensor, borrowed from the mapping; sizes outermost first (the file stores them innermost first).
  Tensor tensor(std::string_view name) const;
  std::vector<std::string> tensor_names() const;

 private:
  friend class GgufParser;
  struct Info {
    Shape shape;
    DType type;
    uint64_t offset;  // in the file
    size_t bytes;
  };
  template <class T>
  const T* find(std::string_view key, const char* expected) const;
  [[noreturn]] void missing(std::string_view key) const;

  std::shared_ptr<const MappedFile> file_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, Info, std::less<>> tensors_;
};

/// The type's number in a GGUF tensor list, and back; nullopt when GGUF (or hone) has none.
std::optional<uint32_t> gguf_type(DType type);
std::optional<DType> dtype_of_gguf(uint32_t type);

}  // namespace hone::io
