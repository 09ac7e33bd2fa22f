#include "data/row_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/chat_message.h"

namespace hone::data {
namespace {

constexpr std::string_view kTextOnly = "hone learns from text: leave the row out, or write what the picture or sound says as text";
constexpr std::string_view kPreference = "preference pairs (DPO, ORPO) are not trained on: keep the chosen answer as the row's answer";
constexpr std::string_view kKto = "judged answers (KTO) are not trained on: keep the rows whose answers are good, without the judgement";

// A value that says something.
bool says_something(const Json& value) {
  if (value.is_null() || value == Json(false)) return false;
  // As CSV files write what is not there.
  for (const char* nothing : {"[]", "{}", "null", "None", "nan", "NaN"})
    if (value == Json(nothing)) return false;
  return !((value.is_string() || value.is_array() || value.is_object()) && value.empty());
}

bool is_column(const RowFormat& format, std::string_view key) {
  for (const std::string& canonical : canonical_columns(format.format))
    if (format.column(canonical) == key) return true;
  return false;
}

}  // namespace

const std::vector<RowField>& row_fields() {
  static const std::vector<RowField> fields = [] {
    std::vector<RowField> list;
    for (const char* name : {"image", "images", "video", "videos", "audio", "audios"}) list.push_back({name, FieldUse::kRefused, kTextOnly});
    for (const char* name : {"chosen", "rejected", "rejected_response", "rejected_messages"}) list.push_back({name, FieldUse::kRefused, kPreference});
    list.push_back({"kto_tag", FieldUse::kRefused, kKto});
    list.push_back({"chat_template_kwargs", FieldUse::kRefused, "the chat template is rendered with the same values for every row"});
    for (const char* name : {"id", "idx", "index", "uid", "uuid", "__index_level_0__", "prompt_id", "conversation_id", "source", "dataset", "origin", "url", "title", "lang", "language",
                             "category", "categories", "topic", "tags", "task", "task_type", "license", "created", "created_at", "timestamp", "date", "time", "author", "model", "score",
                             "quality", "difficulty", "split", "meta", "metadata", "info", "extra", "labels", "annotations", "review", "parallel_tool_calls"})
      list.push_back({name, FieldUse::kNoEffect, ""});
    return list;
  }();
  return fields;
}

std::optional<RowIssue> refused_field(const Json& row, const RowFormat& format) {
  const auto refuse = [](std::string_view key, std::string_view reason) {
    return RowIssue{ProblemKind::kRefusedField, fmt::format("\"{}\": {}", key, reason)};
  };
  for (const auto& [key, value] : row.items()) {
    const bool no = value == Json(false) || value == Json("False") || value == Json("false");  // Python's csv, and pandas, write words
    if (key == "label" && no && !is_column(format, key)) return refuse(key, kKto);
    if (!says_something(value)) continue;
    for (const RowField& field : row_fields())
      if (field.use == FieldUse::kRefused && field.name == key && !is_column(format, key)) return refuse(key, field.reason);
  }
  return std::nullopt;
}

std::vector<std::string> unknown_fields(const Json& row, const RowFormat& format) {
  static const std::set<std::string_view> known = [] {
    std::set<std::string_view> names = {"label"};
    for (const RowField& field : row_fields()) names.insert(field.name);
    return names;
  }();
  // What belongs to the format's own publications.
  static const std::set<std::string_view> beside_alpaca = {"text"}, beside_messages = {"prompt", "functions"};
  const auto expected = [&](std::string_view key) {
    return known.contains(key) || is_column(format, key) || (format.format == Format::kAlpaca && beside_alpaca.contains(key)) ||
           (format.format == Format::kMessages && beside_messages.contains(key));
  };
  std::vector<std::string> unknown;
  for (const auto& [key, value] : row.items())
    if (!value.is_null() && !expected(key)) unknown.push_back(key);
  if (format.format != Format::kShareGpt) return unknown;
  const std::string list = format.column("conversations");
  const auto turns = row.find(list);
  if (turns == row.end() || !turns->is_array()) return unknown;
  for (const Json& turn : *turns) {
    if (!turn.is_object()) continue;
    for (const auto& [key, value] : turn.items()) {
      if (value.is_null() || key == format.column("from") || key == format.column("value") || is_message_key(key)) continue;
      std::string name = fmt::format("{}[].{}", list, key);
      if (std::find(unknown.begin(), unknown.end(), name) == unknown.end()) unknown.push_back(std::move(name));
    }
  }
  return unknown;
}

}  // namespace hone::data
