#include "data/quality/field.h"

#include <charconv>

#include "data/quality/row_text.h"

namespace hone::data {
namespace {

std::optional<std::string> trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

std::optional<std::string> written(const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return trimmed(value.get_ref<const std::string&>());
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::string> walk(const Json& root, std::string_view path) {
  if (root.is_object()) {  // a key that holds dots itself
    if (const auto whole = root.find(std::string(path)); whole != root.end()) return written(*whole);
  }
  const Json* at = &root;
  for (;;) {
    const size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (at->is_object()) {
      const auto found = at->find(key);
      if (found == at->end()) return std::nullopt;
      at = &*found;
    } else if (at->is_array()) {
      size_t index = 0;
      const auto [end, problem] = std::from_chars(key.data(), key.data() + key.size(), index);
      if (problem != std::errc() || end != key.data() + key.size() || index >= at->size()) return std::nullopt;
      at = &(*at)[index];
    } else {
      return std::nullopt;
    }
    if (dot == std::string_view::npos) return written(*at);
    path.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<std::string> field_of(const Json& row, const Example& example, std::string_view path) {
  if (auto value = walk(row, path)) return value;
  if (path == "answer") return trimmed(text_of(example).last_answer);
  if (path == "prompt") return trimmed(text_of(example).prompt);
  if (path.starts_with("answer.")) {
    if (const Json answer = parse_json_text(text_of(example).last_answer); answer.is_object()) return walk(answer, path.substr(7));
  }
  return std::nullopt;
}

}  // namespace hone::data
