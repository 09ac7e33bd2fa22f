#include "base/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"

namespace hone {

std::string read_file(const std::filesystem::path& path, size_t limit) {
  if (std::error_code error; std::filesystem::is_directory(path, error))
    throw Error(ErrorCode::kInvalidInput, path.string(), "is a folder; a file was expected", "name a file inside it");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file)
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path.string(),
                fmt::format("cannot open the file: {}", std::strerror(errno)), "check the path and its permissions");
  std::string content;
  std::vector<char> buffer(1 << 16);
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    if (content.size() + n > limit)
      throw Error(ErrorCode::kInvalidInput, path.string(), fmt::format("is larger than {} bytes", limit),
                  "this is not the kind of file that is expected here");
    content.append(buffer.data(), n);
  }
  if (std::ferror(file.get()))
    throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot read: {}", std::strerror(errno)), "check the disk");
  return content;
}

}  // namespace hone
