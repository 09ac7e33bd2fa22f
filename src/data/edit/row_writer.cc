#include "data/edit/row_writer.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace hone::data {
namespace {

namespace fs = std::filesystem;

std::string extension_of(const std::string& path) {
  std::string ext = fs::path(path).extension().string();
  for (char& c : ext) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return ext;
}

std::string line_of(const Json& row) { return row.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace); }

std::string csv_field(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : line_of(value);
  if (text.find_first_of(",;\t\"\r\n") == std::string::npos && !text.starts_with(' ') && !text.ends_with(' ')) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

void check_output(const std::string& output, const std::vector<std::string>& inputs, bool overwrite) {
  std::error_code ignored;
  const fs::path wanted = fs::weakly_canonical(output, ignored);
  for (const std::string& input : inputs) {
    if (fs::equivalent(output, input, ignored) || wanted == fs::weakly_canonical(input, ignored))
      throw Error(ErrorCode::kInvalidInput, output, "the output is an input", "name another file: rows are never changed in place");
  }
  if (!overwrite && fs::exists(fs::symlink_status(output, ignored)))
    throw Error(ErrorCode::kInvalidInput, output, "exists already", "name another file, or say --overwrite");
}

Container container_for(const std::string& path) {
  const std::string ext = extension_of(path);
  if (ext == ".jsonl" || ext == ".ndjson") return Container::kJsonl;
  if (ext == ".json") return Container::kJson;
  if (ext == ".csv" || ext == ".tsv") return Container::kCsv;
  throw Error(ErrorCode::kInvalidInput, path, "the extension says no file type", "end the name with .jsonl, .json, .csv or .tsv");
}

RowWriter::RowWriter(const std::string& path, std::vector<std::string> columns) : file_(path), container_(container_for(path)), columns_(std::move(columns)) {
  if (container_ == Container::kJson) file_.write("[\n");
  if (container_ != Container::kCsv) return;
  delimiter_ = extension_of(path) == ".tsv" ? '\t' : ',';
  Json header = Json::object();
  for (const std::string& column : columns_) header[column] = column;
  write_csv(header);
}

void RowWriter::write(const Json& row) {
  if (container_ == Container::kCsv) write_csv(row);
  else if (container_ == Container::kJson) file_.write((rows_ > 0 ? ",\n" : "") + line_of(row));
  else file_.write(line_of(row) + "\n");
  ++rows_;
}

void RowWriter::write_line(std::string_view line) {
  HONE_CHECK(container_ == Container::kJsonl && line.find('\n') == std::string_view::npos, "not one line of jsonl");
  file_.write(line);
  file_.write("\n");
  ++rows_;
}

void RowWriter::write_csv(const Json& row) {
  std::string line;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const auto value = row.find(columns_[i]);
    if (i > 0) line += delimiter_;
    if (value != row.end()) line += csv_field(*value);
  }
  file_.write((line.empty() ? "\"\"" : line) + "\n");  // an empty line would be no row
}

void RowWriter::finish() {
  if (container_ == Container::kJson) file_.write("\n]\n");
  file_.finish();
}

void copy_row(const Rows& rows, uint32_t row, RowWriter& writer) {
  if (writer.container() == Container::kJsonl && rows.files()[rows.file_of(row)].container() == Container::kJsonl) return writer.write_line(rows.raw(row));
  ReadRow read;
  rows.read(row, read);
  writer.write(read.json);
}

std::vector<std::string> columns_of(const Rows& rows, size_t file) {
  const RowFormat& format = rows.files()[file].format();
  std::vector<std::string> columns;
  ReadRow read;
  for (uint32_t row = rows.begin(file); row < rows.begin(file) + rows.files()[file].rows(); ++row) {
    if (!rows.usable(row)) continue;
    rows.read(row, read);
    break;
  }
  for (const std::string& canonical : canonical_columns(format.format)) {
    const std::string& name = format.column(canonical);
    const bool inner = canonical == "role" || canonical == "content" || canonical == "from" || canonical == "value";
    if (!inner) columns.push_back(name);
  }
  for (const auto& [key, value] : read.json.items())
    if (std::find(columns.begin(), columns.end(), key) == columns.end()) columns.push_back(key);
  return columns;
}

}  // namespace hone::data
