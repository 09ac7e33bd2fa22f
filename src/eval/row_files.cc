#include "eval/row_files.h"

#include <algorithm>

#include "base/error.h"
#include "data/input_file.h"
#include "data/row_json.h"

namespace hone::eval {
namespace {

using data::Json;
constexpr int kMaxNesting = 16;
constexpr uint64_t kBlock = 1 << 18;

[[noreturn]] void refuse(const std::string& where, const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::kInvalidInput, where, message, hint);
}

// Lines of a file, one block in memory at a time.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path) : file_(path.string()), at_(file_.content_begin()) {
    const std::string extension = path.extension().string();
    json_ = extension == ".jsonl" || extension == ".ndjson";
    if (extension == ".json" || extension == ".csv" || extension == ".tsv")
      refuse(path.string(), fmt::format("expected a .txt or .jsonl file, found {}", extension), "write one row per line: plain text, or JSON lines");
  }
  const std::string& path() const { return file_.path(); }
  bool json() const { return json_; }
  std::string where() const { return fmt::format("{}:{}", file_.path(), line_); }

  // The next row without its line end; false at the end of the file.
  bool next(std::string& row) {
    do {
      if (!next_line(row)) return false;
    } while (json_ && row.find_first_not_of(" \t\r") == std::string::npos);
    const size_t good = data::valid_utf8(row);
    if (good != row.size()) refuse(where(), fmt::format("byte {} of the row is not UTF-8", good + 1), "convert the file to UTF-8");
    return true;
  }

 private:
  bool next_line(std::string& row) {
    row.clear();
    ++line_;
    for (bool any = false;; any = true) {
      if (begin_ == block_.size() && !fill()) return any;
      const size_t end = block_.find('\n', begin_);
      const size_t stop = end == std::string::npos ? block_.size() : end;
      row.append(block_, begin_, stop - begin_);
      begin_ = end == std::string::npos ? stop : stop + 1;
      if (row.size() > RowReader::kMaxRowBytes) refuse(where(), fmt::format("the row is larger than {} MiB", RowReader::kMaxRowBytes >> 20), "one line holds one row");
      if (end != std::string::npos) break;
    }
    if (!row.empty() && row.back() == '\r') row.pop_back();
    return true;
  }
  bool fill() {
    block_.resize(std::min<uint64_t>(kBlock, file_.size() - std::min(at_, file_.size())));
    block_.resize(file_.read_some(at_, block_.data(), block_.size()));
    at_ += block_.size();
    begin_ = 0;
    return !block_.empty();
  }

  data::InputFile file_;
  uint64_t at_ = 0, line_ = 0;
  std::string block_;
  size_t begin_ = 0;
  bool json_ = false;
};

// What one line says: a text, several, or tags.
struct Cell {
  std::vector<std::string> texts;
  bool list = false;
};

Cell cell_of(const Json& value, const std::string& where, const char* what) {
  Cell cell;
  const auto add = [&](const Json& text) {
    if (text.is_string()) cell.texts.push_back(text.get<std::string>());
    else if (text.is_number() || text.is_boolean()) cell.texts.push_back(text.dump());
    else if (text.is_object()) cell.texts.push_back(text.dump());
    else refuse(where, fmt::format("{}: expected text, found {}", what, text.type_name()), "change the value");
  };
  cell.list = value.is_array();
  if (cell.list)
    for (const Json& entry : value) add(entry);
  else add(value);
  return cell;
}

// The value of the first key that the object has.
const Json* find_first(const Json& row, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (const auto it = row.find(key); it != row.end() && !it->is_null()) return &*it;
  return nullptr;
}

Json parse(const std::string& line, const std::string& where) {
  Json row;
  const size_t first = line.find_first_not_of(" \t");
  if (line[first] == '{') {
    if (const auto issue = data::parse_json_row(line, kMaxNesting, row)) refuse(where, issue->message, "every line must be one JSON value");
    return row;
  }
  // Not an object: a string or a flat array; wrapped, so that the same checks see it.
  Json wrapped;
  if (const auto issue = data::parse_json_row("{\"row\":" + line + "}", kMaxNesting, wrapped)) refuse(where, issue->message, "every line must be one JSON value");
  if (wrapped.size() != 1) refuse(where, "expected one JSON value", "every line must be one JSON value");
  return wrapped["row"];
}

}  // namespace

struct RowReader::Impl {
  LineReader predictions;
  std::vector<LineReader> references;
  std::string line;
  uint64_t rows = 0;

  void read_prediction(ScoredRow& row) {
    row.where = predictions.where();
    row.id = std::to_string(++rows);
    if (!predictions.json()) {
      row.prediction = line;
      return;
    }
    const Json value = parse(line, row.where);
    if (!value.is_object()) {
      set_prediction(row, value);
      return;
    }
    if (const Json* id = find_first(value, {"id", "item"})) row.id = id->is_string() ? id->get<std::string>() : id->dump();
    const Json* tags = find_first(value, {"tags", "predicted_tags"});
    const Json* text = find_first(value, {"prediction", "answer", "found", "output", "text"});
    if (!text && !tags) refuse(row.where, "the row has no prediction", "name it prediction, answer, found, output, text or tags");
    set_prediction(row, tags ? *tags : *text);
    if (!references.empty()) return;
    const Json* expected = find_first(value, {"references", "reference", "expected", "label", "expected_tags"});
    if (!expected) refuse(row.where, "the row has no reference", "name it references, reference, expected or label, or give a file of references");
    add_reference(row, *expected, row.where, row.tagged);
  }
  static void set_prediction(ScoredRow& row, const Json& value) {
    Cell cell = cell_of(value, row.where, "prediction");
    row.tagged = cell.list;
    if (cell.list) row.predicted_tags = std::move(cell.texts);
    else row.prediction = std::move(cell.texts[0]);
  }
  static void add_reference(ScoredRow& row, const Json& value, const std::string& where, bool tags) {
    Cell cell = cell_of(value, where, "reference");
    if (tags) {
      if (!cell.list) refuse(where, "expected an array of tags", "tags are compared with tags");
      row.expected_tags = std::move(cell.texts);
      return;
    }
    if (cell.texts.empty()) refuse(where, "the row has no reference", "give every row at least one reference");
    for (std::string& text : cell.texts) row.references.push_back(std::move(text));
  }
  void read_reference(LineReader& file, ScoredRow& row, bool tags) {
    if (!file.next(line))
      refuse(file.path(), fmt::format("has fewer rows than {}", predictions.path()), fmt::format("{} has no counterpart: every prediction needs its reference", row.where));
    if (!file.json()) {
      row.references.push_back(line);
      return;
    }
    const Json value = parse(line, file.where());
    const Json* expected = value.is_object() ? find_first(value, {"references", "reference", "expected", "label", "text", "completion", "tags", "expected_tags"}) : &value;
    if (!expected) refuse(file.where(), "the row has no reference", "name it references, reference, expected, label, text, completion or tags");
    add_reference(row, *expected, file.where(), tags);
  }
};

RowReader::RowReader(const std::filesystem::path& predictions, const std::vector<std::filesystem::path>& references) {
  LineReader first(predictions);
  std::vector<LineReader> others;
  for (const auto& path : references) others.emplace_back(path);
  if (others.empty() && !first.json()) refuse(predictions.string(), "a text file of predictions needs a file of references", "name it with --references");
  impl_ = std::make_unique<Impl>(Impl{std::move(first), std::move(others), {}, 0});
}

RowReader::~RowReader() = default;
RowReader::RowReader(RowReader&&) noexcept = default;

std::optional<ScoredRow> RowReader::next() {
  ScoredRow row;
  if (!impl_->predictions.next(impl_->line)) {
    for (LineReader& file : impl_->references)
      if (file.next(impl_->line)) refuse(file.where(), fmt::format("there are more rows than in {}", impl_->predictions.path()), "every prediction needs its reference, and no more");
    return std::nullopt;
  }
  impl_->read_prediction(row);
  for (LineReader& file : impl_->references) impl_->read_reference(file, row, row.tagged);
  return row;
}

bool holds_tags(const std::filesystem::path& predictions) {
  LineReader file(predictions);
  std::string line;
  if (!file.json() || !file.next(line)) return false;
  const Json value = parse(line, file.where());
  return value.is_array() || (value.is_object() && (value.contains("tags") || value.contains("predicted_tags")));
}

}  // namespace hone::eval
