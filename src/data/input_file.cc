#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "base/disk.h"
#include "base/error.h"
#include "base/text_encoding.h"

namespace hone::data {
namespace {

struct Magic {
  std::string_view bytes;
  std::string_view what;
  std::string_view hint;
};

using namespace std::string_view_literals;
constexpr std::string_view kUnpack = "unpack it first: rows are read as jsonl, json or csv";
constexpr std::string_view kRecode = "save it as UTF-8, for example: iconv -f UTF-16LE -t UTF-8";
constexpr std::array<Magic, 6> kRefused = {{
    {"\x1f\x8b"sv, "a gzip file", kUnpack},
    {"\x28\xb5\x2f\xfd"sv, "a zstd file", kUnpack},
    {"PK\x03\x04"sv, "a zip (or xlsx) file", kUnpack},
    {"BZh"sv, "a bzip2 file", kUnpack},
    {"\xfd""7zXZ\0"sv, "an xz file", kUnpack},
    {"PAR1"sv, "a Parquet file", "convert it to jsonl: Parquet is not read yet"},
}};

int64_t modified_ns(const struct stat& status) { return status.st_mtim.tv_sec * int64_t{1000000000} + status.st_mtim.tv_nsec; }

[[noreturn]] void io_error(const std::string& path, const char* what) {
  throw Error(ErrorCode::kIo, path, fmt::format("cannot {}: {}", what, std::strerror(errno)));
}

// Owns a descriptor until it is released.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  int release() { return std::exchange(number, -1); }
};

// A file without a name in the folder for temporary files.
int unnamed_file(const std::string& path) {
  std::string name = (std::filesystem::temp_directory_path() / "hone-decoded-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) io_error(path, fmt::format("decode into a temporary file in {}", std::filesystem::path(name).parent_path().string()).c_str());
  ::unlink(name.c_str());
  return descriptor;
}

char line_end_of(std::string_view start) {
  return start.find('\n') == std::string_view::npos && start.find('\r') != std::string_view::npos ? '\r' : '\n';
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // O_NONBLOCK: a named pipe without a writer must be refused, not waited for.
  Descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) {
    if (errno == ENOENT) throw Error(ErrorCode::kNotFound, path_, "no such file", fmt::format("check the dataset's path{}", path_.starts_with('/') ? "" : ": it begins in the folder where hone is started"));
    io_error(path_, "open");
  }
  struct stat status = {};
  if (::fstat(file.number, &status) != 0) io_error(path_, "inspect");
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidInput, path_, "not a regular file", "name one jsonl, json or csv file per dataset");
  }
  size_ = size_on_disk_ = static_cast<uint64_t>(status.st_size);
  modified_ns_ = modified_ns(status);
  if (size_ == 0) throw Error(ErrorCode::kInvalidInput, path_, "the file is empty", "a dataset needs at least one row");
  std::array<char, 8> head{};
  const ssize_t got = ::pread(file.number, head.data(), head.size(), 0);
  if (got < 0) io_error(path_, "read");
  const std::string_view start(head.data(), static_cast<size_t>(got));
  for (const Magic& magic : kRefused) {
    if (start.starts_with(magic.bytes)) {
      throw Error(ErrorCode::kUnsupported, path_, fmt::format("this is {}", magic.what), std::string(magic.hint));
    }
  }
  const TextMark mark = text_mark(start);
  if (mark == TextMark::kUtf32) throw Error(ErrorCode::kUnsupported, path_, "this is UTF-32 text", "save it as UTF-8, for example: iconv -f UTF-32 -t UTF-8");
  const size_t zero = start.find('\0');
  if (mark == TextMark::kNone && start.size() >= 4 && zero < 2 && start[zero + 2] == '\0' && start[1 - zero] != '\0')
    throw Error(ErrorCode::kUnsupported, path_, "this looks like UTF-16 text without its mark", std::string(kRecode));
  if (mark == TextMark::kUtf8) content_begin_ = mark_bytes(mark);
  descriptor_ = file.number;
  if (mark == TextMark::kUtf16Little || mark == TextMark::kUtf16Big) decode(mark == TextMark::kUtf16Big);
  const auto beginning = std::make_unique<char[]>(1 << 16);
  try {
    line_end_ = line_end_of({beginning.get(), read_some(0, beginning.get(), 1 << 16)});
  } catch (const Error&) {
    if (decoded_ >= 0) ::close(decoded_);
    throw;
  }
  file.release();
}

void InputFile::decode(bool big_endian) {
  constexpr size_t kChunk = 1 << 20;
  Descriptor text{unnamed_file(path_)};
  const auto buffer = std::make_unique<char[]>(kChunk);
  Utf16Decoder decoder(big_endian, path_);
  std::string piece;
  uint64_t at = mark_bytes(TextMark::kUtf16Little), size = 0;
  for (;;) {
    const ssize_t got = ::pread(descriptor_, buffer.get(), kChunk, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) io_error(path_, "read");
    if (got == 0) break;
    piece.clear();
    decoder.feed({buffer.get(), static_cast<size_t>(got)}, piece);
    write_all(text.number, piece, path_ + " (decoded)");
    at += static_cast<uint64_t>(got);
    size += piece.size();
  }
  decoder.finish();
  if (size == 0) throw Error(ErrorCode::kInvalidInput, path_, "the file is empty", "a dataset needs at least one row");
  if (decoded_ >= 0) ::close(decoded_);
  decoded_ = text.release();
  big_endian_ = big_endian;
  size_ = size;
}

InputFile::~InputFile() {
  for (const int descriptor : {descriptor_, decoded_})
    if (descriptor >= 0) ::close(descriptor);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      decoded_(std::exchange(other.decoded_, -1)),
      big_endian_(other.big_endian_),
      size_(other.size_),
      content_begin_(other.content_begin_),
      size_on_disk_(other.size_on_disk_),
      modified_ns_(other.modified_ns_),
      line_end_(other.line_end_) {}

bool InputFile::changed() const {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) io_error(path_, "inspect");
  return static_cast<uint64_t>(status.st_size) != size_on_disk_ || modified_ns(status) != modified_ns_;
}

uint64_t InputFile::look_again() {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) io_error(path_, "inspect");
  if (decoded_ < 0) return static_cast<uint64_t>(status.st_size);
  decode(big_endian_);
  return size_;
}

void InputFile::accept() {
  struct stat status = {};
  if (::fstat(descriptor_, &status) == 0) modified_ns_ = modified_ns(status);
}

uint64_t InputFile::read_some(uint64_t offset, char* to, uint64_t count) const {
  uint64_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(decoded_ >= 0 ? decoded_ : descriptor_, to + done, count - done, static_cast<off_t>(offset + done));
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
