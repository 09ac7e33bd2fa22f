#include "base/json_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_encoding.h"

namespace hone {

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  bool too_deep = false;
  const auto guard = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxJsonDepth) too_deep = true;
    return !too_deep;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text, guard);
    if (!too_deep) return value;
  } catch (const nlohmann::json::parse_error& error) {
    const size_t at = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where, line),
                text.empty() ? "the file is empty; JSON was expected" : fmt::format("is not JSON (byte {})", at),
                "the file may be cut off or damaged: fetch or write it again");
  } catch (const nlohmann::json::out_of_range&) {  // 1e999
    throw Error(ErrorCode::kInvalidInput, where, "JSON holds a number that is too large for any type", "the file may be damaged: fetch or write it again");
  }
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("JSON is nested deeper than {} levels", kMaxJsonDepth),
              "no model or adapter file needs that: fetch it again from a source you trust");
}

nlohmann::json read_json(const std::filesystem::path& path, size_t limit) {
  return parse_json(read_text(path, limit), path.string());
}

}  // namespace hone
