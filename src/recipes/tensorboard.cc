#include "recipes/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/disk.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "frames and fixed fields are little-endian");

constexpr int64_t kLastSecond = 9'999'999'999;  // that has ten digits
constexpr std::string_view kPrefix = "events.out.tfevents.";

std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ 0x82F63B78u : value >> 1;
    table[i] = value;
  }
  return table;
}

// A CRC of bytes that hold CRCs is weak, so TFRecord stores them rotated and shifted.
uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8u; }

// ---- protocol buffers: a field is its number and wire type, then its value

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <class T>
void put_raw(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, uint32_t number, Wire wire) { put_varint(out, number << 3 | wire); }

void put_bytes(std::string& out, uint32_t number, std::string_view bytes) {
  put_key(out, number, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Field numbers of event.proto and summary.proto.
constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;  // Event
constexpr uint32_t kValue = 1, kTag = 1, kSimpleValue = 2;                                     // Summary, Summary.Value
constexpr uint32_t kStatus = 1, kStart = 1;                                                    // SessionLog, SessionLog.START

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || !name[0]) return "localhost";
  return name;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = make_crc_table();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

EventFile::EventFile(fs::path folder, int64_t resumed_step) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw write_error(folder, "create the folder", error.value());
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    if (resumed_step <= 0) fs::remove(entry.path(), error);
    else seconds = std::max(seconds, std::min<int64_t>(std::strtoll(name.c_str() + kPrefix.size(), nullptr, 10), kLastSecond - 1) + 1);  // readers go by name
  }
  path_ = folder / fmt::format("{}{:010}.{}.{}", kPrefix, seconds, host_name(), ::getpid());
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw write_error(path_, "open the file", errno);
  try {
    std::string version;
    put_bytes(version, kFileVersion, "brain.Event:2");
    write_event(version);
    if (resumed_step <= 0) return;
    std::string start, log;
    put_key(start, kStep, kVarint);
    put_varint(start, static_cast<uint64_t>(resumed_step + 1));
    put_key(log, kStatus, kVarint);
    put_varint(log, kStart);
    put_bytes(start, kSessionLog, log);
    write_event(start);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

EventFile::~EventFile() { ::close(file_); }

void EventFile::add(int64_t step, std::span<const std::pair<std::string_view, double>> values) {
  std::string summary, event;
  for (const auto& [tag, value] : values) {
    std::string one;
    put_bytes(one, kTag, tag);
    put_key(one, kSimpleValue, kFixed32);
    put_raw(one, static_cast<float>(value));
    put_bytes(summary, kValue, one);
  }
  put_key(event, kStep, kVarint);
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, kSummary, summary);
  write_event(event);
}

void EventFile::write_event(const std::string& fields) {
  std::string event;
  put_key(event, kWallTime, kFixed64);
  put_raw(event, std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  event += fields;
  std::string frame;  // length, its CRC, event, its CRC
  put_raw(frame, static_cast<uint64_t>(event.size()));
  put_raw(frame, masked(crc32c(frame)));
  frame += event;
  put_raw(frame, masked(crc32c(event)));
  write_all(file_, frame, path_);
}

}  // namespace hone::recipes
