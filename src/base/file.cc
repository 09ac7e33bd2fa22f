#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace hone {
namespace {

std::string_view kind_of(mode_t mode) {
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

int open_regular(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path.string(),
                fmt::format("cannot open the file: {}", std::strerror(errno)), "check the path and its permissions");
  struct stat info {};
  const bool known = ::fstat(file, &info) == 0;
  if (known && S_ISREG(info.st_mode)) return file;
  ::close(file);
  if (known && S_ISDIR(info.st_mode))
    throw Error(ErrorCode::kInvalidInput, path.string(), "is a folder; a file was expected", "name a file inside it");
  throw Error(ErrorCode::kInvalidInput, path.string(),
              fmt::format("is {}; a regular file was expected", known ? kind_of(info.st_mode) : "of an unknown kind"),
              "write its content into a file, and name that");
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
  struct Closed {
    int file;
    ~Closed() { ::close(file); }
  } const opened{open_regular(path)};
  std::string content;
  std::vector<char> buffer(1 << 16);
  for (;;) {
    const ssize_t n = ::read(opened.file, buffer.data(), buffer.size());
    if (n == 0) return content;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot read: {}", std::strerror(errno)), "check the disk");
    if (content.size() + static_cast<size_t>(n) > limit)
      throw Error(ErrorCode::kInvalidInput, path.string(), fmt::format("is larger than {} bytes", limit),
                  "this is not the kind of file that is expected here");
    content.append(buffer.data(), static_cast<size_t>(n));
  }
}

}  // namespace hone
