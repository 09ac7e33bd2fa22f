#include "io/gguf_writer.h"

#include <algorithm>
#include <limits>

namespace hone::io {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9, kI64 = 11;

class Header {
 public:
  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    put<uint64_t>(value.size());
    bytes_ += value;
  }
  void value(const GgufValue& v) {
    std::visit([this](const auto& x) { write(x); }, v);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  static bool fits_i32(int64_t x) { return x >= std::numeric_limits<int32_t>::min() && x <= std::numeric_limits<int32_t>::max(); }
  void write(bool x) {
    put(kBool);
    put<uint8_t>(x);
  }
  void write(int64_t x) {
    if (x >= 0 && x <= std::numeric_limits<uint32_t>::max()) put(kU32), put(static_cast<uint32_t>(x));
    else if (fits_i32(x)) put(kI32), put(static_cast<int32_t>(x));
    else put(kI64), put(x);
  }
  void write(double x) {
    put(kF32);
    put(static_cast<float>(x));
  }
  void write(const std::string& x) {
    put(kString);
    text(x);
  }
  void array(uint32_t type, size_t count) {
    put(kArray);
    put(type);
    put<uint64_t>(count);
  }
  void write(const std::vector<bool>& x) {
    array(kBool, x.size());
    for (const bool b : x) put<uint8_t>(b);
  }
  void write(const std::vector<int64_t>& x) {
    const bool small = std::all_of(x.begin(), x.end(), fits_i32);
    array(small ? kI32 : kI64, x.size());
    for (const int64_t i : x) small ? put(static_cast<int32_t>(i)) : put(i);
  }
  void write(const std::vector<double>& x) {
    array(kF32, x.size());
    for (const double d : x) put(static_cast<float>(d));
  }
  void write(const std::vector<std::string>& x) {
    array(kString, x.size());
    for (const std::string& s : x) text(s);
  }
  std::string bytes_;
};

uint64_t aligned(uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, const std::vector<GgufEntry>& entries) : file_(path) {
  Header h;
  h.put<uint32_t>(0x46554747);  // "GGUF"
  h.put<uint32_t>(3);
  h.put<uint64_t>(entries.size());
  h.put<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    h.text(key);
    h.value(value);
  }
  uint64_t offset = 0;
  for (const GgufEntry& entry : entries) {
    const auto type = gguf_type(entry.type);
    HONE_CHECK(type.has_value(), "{}: {} cannot be written to GGUF", entry.name, name(entry.type));
    h.text(entry.name);
    h.put(static_cast<uint32_t>(entry.shape.rank()));
    for (int axis = entry.shape.rank() - 1; axis >= 0; --axis) h.put(static_cast<uint64_t>(entry.shape[axis]));
    h.put(*type);
    h.put(offset);
    const int64_t cols = entry.shape[-1];
    bytes_.push_back(static_cast<uint64_t>(entry.shape.elements() / cols * row_bytes(entry.type, cols)));
    offset = aligned(offset + bytes_.back());
  }
  file_.expect(aligned(h.bytes().size()) + offset);
  file_.write(h.bytes());
  file_.write_zeros(aligned(file_.bytes()) - file_.bytes());
}

void GgufWriter::write(const void* data, size_t bytes) {
  HONE_CHECK(next_ < bytes_.size() && bytes <= bytes_[next_] - written_, "tensor {}: {} bytes after {}", next_, bytes, written_);
  file_.write(data, bytes);
  written_ += bytes;
  if (written_ < bytes_[next_]) return;
  file_.write_zeros(aligned(written_) - written_);
  written_ = 0;
  ++next_;
}

std::string GgufWriter::finish() {
  HONE_CHECK(next_ == bytes_.size(), "{} of {} tensors written", next_, bytes_.size());
  return file_.finish();
}

}  // namespace hone::io
