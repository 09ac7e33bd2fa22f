#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/json_file.h"

namespace hone::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr uint64_t kMaxHeader = 100'000'000;

struct Element {
  std::string_view name;
  size_t bytes;
  std::optional<DType> type;
};
constexpr Element kElements[] = {
    {"F32", 4, DType::kF32}, {"F16", 2, DType::kF16}, {"BF16", 2, DType::kBF16}, {"I32", 4, DType::kI32},
    {"F64", 8, {}},          {"I64", 8, {}},          {"U64", 8, {}},            {"U32", 4, {}},
    {"I16", 2, {}},          {"U16", 2, {}},          {"I8", 1, {}},             {"U8", 1, {}},
    {"BOOL", 1, {}},         {"F8_E4M3", 1, {}},      {"F8_E5M2", 1, {}},
};

const Element* element(std::string_view name) {
  for (const Element& e : kElements)
    if (e.name == name) return &e;
  return nullptr;
}

std::string_view safetensors_name(DType type) {
  for (const Element& e : kElements)
    if (e.type == type) return e.name;
  throw Error(ErrorCode::kInternal, "safetensors", fmt::format("{} cannot be stored in safetensors", name(type)));
}

[[noreturn]] void bad(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, path.string(), what, "the file is cut off or damaged: fetch or write it again");
}

std::optional<uint64_t> unsigned_of(const nlohmann::json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors result;
  result.file_ = MappedFile::open(path);
  const size_t size = result.file_->size();
  if (size < 8) bad(path, fmt::format("holds {} bytes; a safetensors file begins with 8 bytes of header length", size));
  uint64_t header = 0;
  std::memcpy(&header, result.file_->data(), 8);
  if (header > kMaxHeader || header > size - 8)
    bad(path, fmt::format("announces a header of {} bytes, but {} follow", header, size - 8));
  const auto* text = reinterpret_cast<const char*>(result.file_->data()) + 8;
  const nlohmann::json json = parse_json({text, static_cast<size_t>(header)}, path.string() + " (header)", RepeatedKeys::kRefused);
  if (!json.is_object()) bad(path, "its header is not a JSON object");
  const uint64_t data_begin = 8 + header, data_bytes = size - data_begin;

  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) bad(path, "__metadata__ is not an object");
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) result.metadata_[key] = value.get<std::string>();
      continue;
    }
    const auto field = [&](const char* key) -> const nlohmann::json& {
      if (!entry.is_object() || !entry.contains(key)) bad(path, fmt::format("tensor \"{}\" has no \"{}\"", name, key));
      return entry[key];
    };
    Info info;
    const auto& type = field("dtype");
    const Element* kind = type.is_string() ? element(type.get<std::string>()) : nullptr;
    if (!kind) bad(path, fmt::format("tensor \"{}\" has the unknown dtype {}", name, type.dump()));
    info.type = kind->name;
    const auto& shape = field("shape");
    if (!shape.is_array() || shape.size() > 16) bad(path, fmt::format("tensor \"{}\" has a malformed shape", name));
    uint64_t elements = 1;
    for (const auto& axis : shape) {
      const auto n = unsigned_of(axis);
      if (!n || *n > static_cast<uint64_t>(INT64_MAX) || __builtin_mul_overflow(elements, *n, &elements))
        bad(path, fmt::format("tensor \"{}\" has the impossible shape {}", name, shape.dump()));
      info.shape.push_back(static_cast<int64_t>(*n));
    }
    const auto& offsets = field("data_offsets");
    const auto begin = offsets.is_array() && offsets.size() == 2 ? unsigned_of(offsets[0]) : std::nullopt;
    const auto end = begin ? unsigned_of(offsets[1]) : std::nullopt;
    if (!begin || !end || *begin > *end || *end > data_bytes)
      bad(path, fmt::format("tensor \"{}\" lies at {}, outside the file's {} data bytes", name, offsets.dump(), data_bytes));
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(elements, uint64_t{kind->bytes}, &bytes) || bytes != *end - *begin)
      bad(path, fmt::format("tensor \"{}\" of shape {} and {} does not take {} bytes", name, shape.dump(), info.type,
                            *end - *begin));
    info.begin = data_begin + *begin;
    info.end = data_begin + *end;
    result.tensors_.emplace(name, std::move(info));
  }

  std::vector<std::pair<size_t, size_t>> ranges;
  for (const auto& [name, info] : result.tensors_) ranges.emplace_back(info.begin, info.end);
  std::sort(ranges.begin(), ranges.end());
  size_t at = data_begin;
  for (const auto& [begin, end] : ranges) {
    if (begin != at) bad(path, fmt::format("its tensors {} at byte {}", begin < at ? "overlap" : "leave a hole", at));
    at = end;
  }
  if (at != size) bad(path, fmt::format("{} bytes at the end belong to no tensor", size - at));
  return result;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : tensors_) names.push_back(name);
  return names;
}

bool Safetensors::readable(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it != tensors_.end() && element(it->second.type)->type && it->second.shape.size() <= Shape::kMaxRank;
}

Tensor Safetensors::tensor(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end())
    throw Error(ErrorCode::kNotFound, path().string(), fmt::format("has no tensor \"{}\"", name),
                "the file belongs to another model, or one of its parts is missing");
  const Info& info = it->second;
  const auto type = element(info.type)->type;
  if (!readable(name))
    throw Error(ErrorCode::kUnsupported, path().string(),
                fmt::format("tensor \"{}\" holds {} with {} axes", name, info.type, info.shape.size()),
                "hone reads F32, F16 and BF16 weights: convert the model first");
  Shape shape;
  switch (info.shape.size()) {
    case 0: shape = {1}; break;
    case 1: shape = {info.shape[0]}; break;
    case 2: shape = {info.shape[0], info.shape[1]}; break;
    case 3: shape = {info.shape[0], info.shape[1], info.shape[2]}; break;
    default: shape = {info.shape[0], info.shape[1], info.shape[2], info.shape[3]}; break;
  }
  const std::byte* data = file_->data() + info.begin;
  const size_t bytes = info.end - info.begin;
  if (reinterpret_cast<uintptr_t>(data) % element(info.type)->bytes == 0)
    return Tensor::borrow(shape, *type, data, bytes, file_);
  Tensor copy = Tensor::empty(shape, *type);
  std::memcpy(copy.raw_mutable(), data, bytes);
  return copy;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const SafetensorsEntry& entry : entries) {
    nlohmann::ordered_json shape = nlohmann::ordered_json::array();
    for (int axis = 0; axis < entry.shape.rank(); ++axis) shape.push_back(entry.shape[axis]);
    const uint64_t bytes = static_cast<uint64_t>(entry.shape.elements() * traits(entry.type).block_bytes);
    header[entry.name] = {{"dtype", safetensors_name(entry.type)}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');  // so that the data begins on a cache line
  const uint64_t size = text.size();
  expected_ = 8 + size + at;
  file_.expect(expected_);
  file_.write(&size, 8);
  file_.write(text);
}

std::string SafetensorsWriter::finish() {
  HONE_CHECK(file_.bytes() == expected_, "{} bytes written, {} announced", file_.bytes(), expected_);
  return file_.finish();
}

std::string write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.dtype(), tensor.shape()});
  SafetensorsWriter writer(path, entries, metadata);
  for (const auto& [name, tensor] : tensors) writer.write(tensor.raw(), tensor.bytes());
  return writer.finish();
}

}  // namespace hone::io
