#include "data/edit/label_studio.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "data/conversation.h"
#include "data/quality/field.h"
#include "data/quality/row_text.h"
#include "data/row_scanner.h"

namespace hone::data {
namespace {

constexpr uint64_t kMostBytes = 16 << 20;
constexpr int kNesting = 64;

// One annotated value, by its kind.
Json value_of(const Json& item) {
  const Json& value = item["value"];
  const std::string type = item.contains("type") && item["type"].is_string() ? item["type"].get<std::string>() : "";
  for (const char* key : {"choices", "taxonomy", "text"}) {
    const auto list = value.find(key);
    if (list == value.end() || (std::string(key) == "text" && type != "textarea" && type != "text")) continue;
    return list->is_array() && list->size() == 1 ? (*list)[0] : *list;
  }
  for (const char* key : {"rating", "number", "selected", "datetime", "ranker"})
    if (const auto found = value.find(key); found != value.end()) return *found;
  return value;
}

bool is_span(const Json& item) { return item["value"].contains("start") && item["value"].contains("end"); }

std::string labels_of(const Json& annotation, Json& labels) {
  labels = Json::object();
  const auto result = annotation.find("result");
  if (result == annotation.end() || !result->is_array()) return "an annotation has no list \"result\"";
  for (const Json& item : *result) {
    if (!item.is_object()) return "an entry of \"result\" is not an object";
    if (!item.contains("value")) continue;  // relations between spans
    if (!item["value"].is_object()) return "a \"value\" is not an object";
    const auto from = item.find("from_name");
    const std::string name = from != item.end() && from->is_string() ? from->get<std::string>() : "label";
    if (!is_span(item)) {
      labels[name] = value_of(item);
      continue;
    }
    Json span = Json::object();
    for (const char* key : {"start", "end", "text", "labels"})
      if (item["value"].contains(key)) span[key] = item["value"][key];
    Json& spans = labels.contains(name) ? labels[name] : labels[name] = Json::array();
    if (!spans.is_array()) return fmt::format("\"{}\" has both spans and other values", name);
    spans.push_back(std::move(span));
  }
  return {};
}

std::string annotator_of(const Json& annotation) {
  const auto by = annotation.find("completed_by");
  if (by == annotation.end() || by->is_null()) return "";
  if (by->is_string()) return by->get<std::string>();
  if (by->is_object())
    for (const char* key : {"email", "id"})
      if (by->contains(key)) return (*by)[key].is_string() ? (*by)[key].get<std::string>() : (*by)[key].dump();
  return by->dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The value given most often; of several, the one given first.
Json most_frequent(const std::vector<Json>& values) {
  size_t best = 0;
  std::ptrdiff_t most = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (const auto n = std::count(values.begin(), values.end(), values[i]); n > most) most = n, best = i;
  return values[best];
}

void replace_answer(Json& row, const std::string& answer) {
  for (const char* key : {"completion", "response", "output"})
    if (row.contains(key) && row[key].is_string()) return void(row[key] = answer);
  for (const char* list : {"completion", "messages", "conversations"}) {
    if (!row.contains(list) || !row[list].is_array()) continue;
    for (size_t i = row[list].size(); i-- > 0;)
      for (const auto& [role, content] : {std::pair("role", "content"), std::pair("from", "value")})
        if (Json& turn = row[list][i]; turn.is_object() && turn.contains(role) && turn[role].is_string() && role_named(turn[role].get<std::string>()) == "assistant") return void(turn[content] = answer);
  }
}

}  // namespace

Json task_of(const ReadRow& row, const std::string& where, const std::string& label) {
  const RowText text = text_of(row.example);
  Json task = {{"data", {{"prompt", text.prompt}, {"answer", text.last_answer}, {"where", where}, {"row", row.json}}}};
  if (label.empty()) return task;
  if (const auto value = field_of(row.json, row.example, label)) {
    Json item = {{"from_name", "label"}, {"to_name", "answer"}, {"type", "choices"}, {"value", {{"choices", Json::array({*value})}}}};
    task["predictions"] = Json::array({Json{{"model_version", label}, {"result", Json::array({std::move(item)})}}});
  }
  return task;
}

std::string row_of_task(const Json& task, Json& row) {
  const auto data = task.find("data");
  if (data == task.end() || !data->is_object()) return "the task has no object \"data\"";
  const auto inner = data->find("row");
  row = inner != data->end() && inner->is_object() ? *inner : *data;
  const auto list = task.contains("annotations") ? task.find("annotations") : task.find("completions");
  if (list == task.end() || list->is_null()) return {};
  if (!list->is_array()) return "\"annotations\" is not a list";
  Json annotations = Json::array();
  std::vector<std::pair<std::string, std::vector<Json>>> votes;
  for (const Json& annotation : *list) {
    if (!annotation.is_object()) return "an annotation is not an object";
    if (const auto cancelled = annotation.find("was_cancelled"); cancelled != annotation.end() && *cancelled == true) continue;
    Json labels;
    if (std::string wrong = labels_of(annotation, labels); !wrong.empty()) return wrong;
    for (const auto& [name, value] : labels.items()) {
      const auto known = std::find_if(votes.begin(), votes.end(), [&n = name](const auto& vote) { return vote.first == n; });
      if (known == votes.end()) votes.emplace_back(name, std::vector<Json>{value});
      else known->second.push_back(value);
    }
    annotations.push_back(Json{{"annotator", annotator_of(annotation)}, {"labels", std::move(labels)}});
  }
  if (annotations.empty()) return {};
  Json labels = Json::object();
  for (const auto& [name, values] : votes) labels[name] = most_frequent(values);
  if (labels.contains("answer") && labels["answer"].is_string()) replace_answer(row, labels["answer"].get<std::string>());
  row["labels"] = std::move(labels);
  row["annotations"] = std::move(annotations);
  return {};
}

bool is_label_studio(const std::string& path) {
  const InputFile file(path);
  const Container container = detect_container(file);
  if (container == Container::kCsv) return false;
  struct Enough {};
  bool found = false;
  const auto on_row = [&](const RawRow& raw) {
    Json task;
    found = !raw.too_large && !parse_json_row(raw.bytes, kNesting, task) && task.contains("data") && task["data"].is_object() &&
            (task.contains("annotations") || task.contains("completions") || task.contains("predictions"));
    throw Enough{};
  };
  try {
    if (container == Container::kJson) scan_json(file, kMostBytes, on_row);
    else scan_jsonl(file, kMostBytes, on_row);
  } catch (const Enough&) {
  }
  return found;
}

LabelStudioReport read_tasks(const std::string& input, const std::string& output, bool annotated_only, BadRowLimit allowed, const std::function<bool()>& stop) {
  const InputFile file(input);
  const Container container = detect_container(file);
  if (container == Container::kCsv) throw Error(ErrorCode::kInvalidInput, input, "tasks are read from JSON", "choose JSON where Label Studio asks for the export format");
  LabelStudioReport report;
  std::vector<std::string> columns = {"prompt", "answer", "labels", "annotations"};
  RowWriter writer(output, columns);
  const auto on_row = [&](const RawRow& raw) {
    if (report.tasks++ % 1024 == 0 && stop && stop()) throw Error(ErrorCode::kInterrupted, output, "interrupted", "nothing was written");
    Json task, row;
    std::string wrong;
    if (raw.too_large) {
      wrong = fmt::format("more than {} bytes", kMostBytes);
    } else if (const auto issue = parse_json_row(raw.bytes, kNesting, task)) {
      wrong = fmt::format("{}: {}", name(issue->kind), issue->message);
    } else {
      wrong = row_of_task(task, row);
    }
    if (!wrong.empty()) {
      ++report.malformed;
      if (report.problems.size() < ProblemTally::kKept) report.problems.push_back(fmt::format("{}:{}: {}", input, raw.line, wrong));
      return;
    }
    const bool annotated = row.contains("labels") && row.contains("annotations");
    report.annotated += annotated;
    if (annotated && row["annotations"].is_array()) report.annotations += static_cast<int64_t>(row["annotations"].size());
    if (annotated || !annotated_only) writer.write(row);
  };
  if (container == Container::kJson) scan_json(file, kMostBytes, on_row);
  else scan_jsonl(file, kMostBytes, on_row);
  if (report.malformed > allowed.allowed(report.tasks)) {
    std::string message = fmt::format("{} of {} tasks cannot be read, at most {} may be", report.malformed, report.tasks, allowed.allowed(report.tasks));
    for (size_t i = 0; i < std::min<size_t>(report.problems.size(), 5); ++i) message += "\n  " + report.problems[i];
    throw Error(ErrorCode::kInvalidInput, input, message, "export the project as JSON, or raise --max-bad-rows");
  }
  if (writer.rows() == 0) throw Error(ErrorCode::kInvalidInput, input, annotated_only ? "no task has an annotation" : "the file has no tasks", "export a project with finished tasks");
  writer.finish();
  return report;
}

int64_t write_tasks(const Rows& rows, const std::string& label, const std::string& output, const std::function<bool()>& stop) {
  if (container_for(output) != Container::kJson) throw Error(ErrorCode::kInvalidInput, output, "tasks are one JSON list", "end the name with .json");
  RowWriter writer(output, {});
  ReadRow read;
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (row % 1024 == 0 && stop && stop()) throw Error(ErrorCode::kInterrupted, output, "interrupted", "nothing was written");
    if (!rows.usable(row)) continue;
    rows.read(row, read);
    writer.write(task_of(read, rows.where(row), label));
  }
  writer.finish();
  return writer.rows();
}

}  // namespace hone::data
