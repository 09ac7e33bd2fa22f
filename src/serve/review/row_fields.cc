#include "serve/review/row_fields.h"

#include "base/error.h"

namespace hone::serve {
namespace {

using data::Json;

std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

class Walk {
 public:
  explicit Walk(const data::RowFormat& format) : format_(format) {}

  void at(const Json& value, const std::string& pointer, const std::string& label) {
    if (value.is_object()) return object(value, pointer);
    if (value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) at(value[i], fmt::format("{}/{}", pointer, i), fmt::format("{}/{}", label, i));
      return;
    }
    if (value.is_string()) return void(fields.push_back({pointer, label, value.get<std::string>(), true}));
    fields.push_back({pointer, label, value.dump(), false});
  }

  std::vector<RowField> fields;

 private:
  void object(const Json& value, const std::string& pointer) {
    std::string role_key, text_key;
    for (const auto& [role, text] : {std::pair<std::string, std::string>("role", "content"), std::pair<std::string, std::string>("from", "value")}) {
      const std::string &r = format_.column(role), &t = format_.column(text);
      if (!pointer.empty() && value.contains(r) && value[r].is_string() && value.contains(t)) role_key = r, text_key = t;
    }
    for (const auto& [key, inner] : value.items()) {
      if (key == role_key) continue;
      const std::string path = pointer + "/" + escaped(key);
      at(inner, path, !text_key.empty() && key == text_key ? value[role_key].get<std::string>() : path.substr(1));
    }
  }

  const data::RowFormat& format_;
};

}  // namespace

std::vector<RowField> fields_of(const Json& row, const data::RowFormat& format) {
  Walk walk(format);
  walk.at(row, "", "");
  return std::move(walk.fields);
}

Json with_edits(Json row, const Edits& edits, const data::RowFormat& format) {
  std::map<std::string, bool> editable;
  for (const RowField& field : fields_of(row, format)) editable[field.pointer] = field.editable;
  for (const auto& [pointer, text] : edits) {
    const auto it = editable.find(pointer);
    if (it == editable.end() || !it->second) throw Error(ErrorCode::kInvalidInput, "edits", fmt::format("\"{}\" names no text of the row", pointer), "edit the fields that the row has");
    row[Json::json_pointer(pointer)] = text;
  }
  data::Example example;
  if (const auto issue = format.read(row, example)) throw Error(ErrorCode::kInvalidInput, "edits", fmt::format("the edited row is malformed: {}", issue->message), "edit it so that it stays a row of its format, or reject it");
  return row;
}

}  // namespace hone::serve
