#include "base/disk.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hone {

std::optional<uint64_t> free_bytes(const std::filesystem::path& path) {
  std::filesystem::path place = path.empty() ? "." : path;
  struct statvfs info {};
  while (::statvfs(place.c_str(), &info) != 0) {  // not there yet: the folder that will hold it
    if (errno != ENOENT || !place.has_relative_path()) return std::nullopt;
    place = place.has_parent_path() ? place.parent_path() : std::filesystem::path(".");
  }
  return uint64_t{info.f_bavail} * info.f_frsize;
}

std::string byte_size(uint64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  if (bytes < 1 << 20) return fmt::format("{:.1f} KiB", size / 1024);
  if (bytes < 1 << 30) return fmt::format("{:.1f} MiB", size / (1 << 20));
  return fmt::format("{:.2f} GiB", size / (1 << 30));
}

Error write_error(const std::filesystem::path& path, std::string_view tried, int reason, uint64_t needed) {
  std::string message = fmt::format("cannot {}: {}", tried, std::strerror(reason)), hint = "check the disk and the folder";
  if (reason == ENOSPC || reason == EDQUOT) {
    const auto left = free_bytes(path);
    if (needed > 0 && left) message += fmt::format(" ({} needed, {} free)", byte_size(needed), byte_size(*left));
    else if (needed > 0) message += fmt::format(" ({} needed)", byte_size(needed));
    else if (left) message += fmt::format(" ({} free)", byte_size(*left));
    hint = "free some space on this disk, then run the command again";
  } else if (reason == EFBIG) {
    if (needed > 0) message += fmt::format(" ({} needed)", byte_size(needed));
    hint = "raise the limit on the size of files (ulimit -f), or write to another file system";
  } else if (reason == EACCES || reason == EPERM || reason == EROFS) {
    hint = "choose a folder you may write to";
  } else if (reason == ENOENT) {
    hint = "create the folder first";
  } else if (reason == ENAMETOOLONG) {
    hint = "choose a shorter name";
  } else if (reason == ENOTDIR || reason == EEXIST) {
    hint = "a file stands where a folder is wanted: choose another place";
  }
  return Error(reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path.string(), std::move(message), std::move(hint));
}

void write_all(int file, std::string_view bytes, const std::filesystem::path& path, std::string_view tried) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) throw write_error(path, tried, errno, bytes.size());
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace hone
