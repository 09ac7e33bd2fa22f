// Writes GGUF version 3.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/gguf.h"

namespace hone::io {

/// Metadata in the order it is to be written. Integers become u32 where they fit (i32, then i64 otherwise), doubles f32,
/// lists of integers i32 where they fit: the types that readers of the format expect.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

struct GgufEntry {
  std::string name;
  DType type;
  Shape shape;  // outermost first
};

/// Tensors are written one after another, so that a model larger than memory can be written.
class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, const std::vector<GgufEntry>& entries);
  /// The next bytes of the tensors, in the order of the entries; one tensor may come in several pieces.
  void write(const void* data, size_t bytes);
  /// Throws Error{kInternal} when tensors are missing. Returns the SHA-256.
  std::string finish();

 private:
  AtomicFile file_;
  std::vector<uint64_t> bytes_;  // of each tensor
  size_t next_ = 0;
  uint64_t written_ = 0;  // of the tensor next_
};

}  // namespace hone::io
