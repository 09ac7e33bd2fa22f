// A checkpoint with a buffer of a type that no weight has, as older transformers wrote them (position_ids).
#pragma once

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "io/atomic_file.h"

namespace hone::io::testing {

/// Adds an I64 tensor of one number to the safetensors file.
inline void add_buffer(const std::filesystem::path& path, const std::string& name) {
  const std::string file = read_file(path, 1 << 28);
  uint64_t size = 0;
  std::memcpy(&size, file.data(), 8);
  nlohmann::ordered_json header = nlohmann::ordered_json::parse(file.substr(8, size));
  const size_t data = file.size() - 8 - size;
  header[name] = {{"dtype", "I64"}, {"shape", {1}}, {"data_offsets", {data, data + 8}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string out(reinterpret_cast<const char*>(&length), 8);
  write_file(path, out + text + file.substr(8 + size) + std::string(8, '\1'));
}

}  // namespace hone::io::testing
