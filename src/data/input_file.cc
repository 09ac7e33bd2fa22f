#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace hone::data {
namespace {

struct Magic {
  std::string_view bytes;
  std::string_view what;
  std::string_view hint;
};

using namespace std::string_view_literals;
constexpr std::string_view kUnpack = "unpack it first: rows are read as jsonl, json or csv";
constexpr std::string_view kRecode = "convert it to UTF-8, for example: iconv -f UTF-16 -t UTF-8";
constexpr std::array<Magic, 8> kRefused = {{
    {"\x1f\x8b"sv, "a gzip file", kUnpack},
    {"\x28\xb5\x2f\xfd"sv, "a zstd file", kUnpack},
    {"PK\x03\x04"sv, "a zip (or xlsx) file", kUnpack},
    {"BZh"sv, "a bzip2 file", kUnpack},
    {"\xfd""7zXZ\0"sv, "an xz file", kUnpack},
    {"PAR1"sv, "a Parquet file", "convert it to jsonl: Parquet is not read yet"},
    {"\xff\xfe"sv, "UTF-16 text", kRecode},
    {"\xfe\xff"sv, "UTF-16 text", kRecode},
}};

int64_t modified_ns(const struct stat& status) { return status.st_mtim.tv_sec * int64_t{1000000000} + status.st_mtim.tv_nsec; }

[[noreturn]] void io_error(const std::string& path, const char* what) {
  throw Error(ErrorCode::kIo, path, fmt::format("cannot {}: {}", what, std::strerror(errno)));
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // O_NONBLOCK: a named pipe without a writer must be refused, not waited for.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT) throw Error(ErrorCode::kNotFound, path_, "no such file", fmt::format("check the dataset's path{}", path_.starts_with('/') ? "" : ": it begins in the folder where hone is started"));
    io_error(path_, "open");
  }
  struct Closer {
    int descriptor;
    ~Closer() {
      if (descriptor >= 0) ::close(descriptor);
    }
  } closer{descriptor};
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) io_error(path_, "inspect");
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidInput, path_, "not a regular file", "name one jsonl, json or csv file per dataset");
  }
  size_ = static_cast<uint64_t>(status.st_size);
  modified_ns_ = modified_ns(status);
  if (size_ == 0) throw Error(ErrorCode::kInvalidInput, path_, "the file is empty", "a dataset needs at least one row");
  descriptor_ = descriptor;
  std::array<char, 8> head{};
  const uint64_t got = read_some(0, head.data(), head.size());
  const std::string_view start(head.data(), got);
  for (const Magic& magic : kRefused) {
    if (start.starts_with(magic.bytes)) {
      throw Error(ErrorCode::kUnsupported, path_, fmt::format("this is {}", magic.what), std::string(magic.hint));
    }
  }
  if (start.starts_with("\xef\xbb\xbf")) content_begin_ = 3;
  closer.descriptor = -1;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      content_begin_(other.content_begin_),
      modified_ns_(other.modified_ns_) {}

bool InputFile::changed() const {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) io_error(path_, "inspect");
  return static_cast<uint64_t>(status.st_size) != size_ || modified_ns(status) != modified_ns_;
}

uint64_t InputFile::size_now() const {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) io_error(path_, "inspect");
  return static_cast<uint64_t>(status.st_size);
}

void InputFile::accept() {
  struct stat status = {};
  if (::fstat(descriptor_, &status) == 0) modified_ns_ = modified_ns(status);
}

uint64_t InputFile::read_some(uint64_t offset, char* to, uint64_t count) const {
  uint64_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(descriptor_, to + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      io_error(path_, "read");
    }
    if (got == 0) break;
    done += static_cast<uint64_t>(got);
  }
  return done;
}

std::string InputFile::read(uint64_t offset, uint64_t count) const {
  if (offset > size_ || count > size_ - offset) {
    throw Error(ErrorCode::kInternal, path_, fmt::format("read of {} bytes at {} lies outside the file", count, offset));
  }
  std::string bytes(count, '\0');
  if (read_some(offset, bytes.data(), count) != count) {
    throw Error(ErrorCode::kIo, path_, "the file became shorter while it was in use", "put the file back as it was, and keep it unchanged during a run");
  }
  return bytes;
}

}  // namespace hone::data
