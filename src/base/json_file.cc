#include "base/json_file.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/text_encoding.h"

namespace hone {

nlohmann::json parse_json(std::string_view text, const std::string& where, RepeatedKeys repeated) {
  using Event = nlohmann::json::parse_event_t;
  bool too_deep = false;
  std::string twice;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto guard = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > kMaxJsonDepth) too_deep = true;
    if (repeated == RepeatedKeys::kRefused) {
      if (event == Event::object_start) keys.emplace_back();
      else if (event == Event::object_end) keys.pop_back();
      else if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) twice = parsed.get<std::string>();
    }
    return !too_deep;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text, guard);
    if (!too_deep && twice.empty()) return value;
  } catch (const nlohmann::json::parse_error& error) {
    const size_t at = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where, line),
                text.empty() ? "the file is empty; JSON was expected" : fmt::format("is not JSON (byte {})", at),
                "the file may be cut off or damaged: fetch or write it again");
  } catch (const nlohmann::json::out_of_range&) {  // 1e999
    throw Error(ErrorCode::kInvalidInput, where, "JSON holds a number that is too large for any type", "the file may be damaged: fetch or write it again");
  }
  if (!twice.empty())
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\" appears twice", twice), "only one of them can be meant: write the file again");
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("JSON is nested deeper than {} levels", kMaxJsonDepth),
              "no model or adapter file needs that: fetch it again from a source you trust");
}

nlohmann::json read_json(const std::filesystem::path& path, size_t limit) {
  return parse_json(read_text(path, limit), path.string());
}

}  // namespace hone
