// Event files that TensorBoard reads: TFRecord frames around protocol buffers of tensorflow/core/util/event.proto.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::recipes {

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);

/// One event file. Every event is given to the system whole and at once, so a killed process loses none that was added.
class EventFile {
 public:
  /// Creates `folder` and in it a new file, named so that it sorts behind those that are there. `resumed_step` > 0: the first event says
  /// that what older files hold of later steps is void; else those files are removed. Throws Error{kIo}.
  EventFile(std::filesystem::path folder, int64_t resumed_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// One event with these values (tag, value; stored as 32-bit floats). Throws Error{kIo}.
  void add(int64_t step, std::span<const std::pair<std::string_view, double>> values);
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_event(const std::string& fields);
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace hone::recipes
