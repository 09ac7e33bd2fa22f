// JSON documents from files.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hone {

inline constexpr int kMaxJsonDepth = 128;

/// What an object that names a key twice is: kLast, as most readers have it, or refused.
enum class RepeatedKeys { kLast, kRefused };

/// Parses JSON; throws Error{kInvalidInput} naming `where`, the line and what is wrong; nesting is limited.
nlohmann::json parse_json(std::string_view text, const std::string& where, RepeatedKeys repeated = RepeatedKeys::kLast);
/// read_file and parse_json.
nlohmann::json read_json(const std::filesystem::path& path, size_t limit = size_t{256} << 20);

}  // namespace hone
