#include "data/row_scanner.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace hone::data {
namespace {

constexpr uint64_t kChunk = 1 << 20;
constexpr std::string_view kJsonSpace = " \t\r\n";

std::string extension(const std::string& path) {
  const size_t dot = path.find_last_of("./");
  if (dot == std::string::npos || path[dot] != '.') return {};
  std::string ext = path.substr(dot);
  std::transform(ext.begin(), ext.end(), ext.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return ext;
}

std::string_view strip_end(std::string_view bytes, std::string_view any_of) {
  const size_t last = bytes.find_last_not_of(any_of);
  return last == std::string_view::npos ? std::string_view{} : bytes.substr(0, last + 1);
}

}  // namespace

Container detect_container(const InputFile& file) {
  const std::string ext = extension(file.path());
  if (ext == ".jsonl" || ext == ".ndjson") return Container::kJsonl;
  if (ext == ".csv" || ext == ".tsv") return Container::kCsv;
  const uint64_t begin = file.content_begin();
  const std::string head = file.read(begin, std::min<uint64_t>(file.size() - begin, 1 << 16));
  const size_t first = head.find_first_not_of(kJsonSpace);
  const char byte = first == std::string::npos ? '\0' : head[first];
  if (byte == '[') return Container::kJson;
  if (byte != '{') {
    throw Error(ErrorCode::kInvalidInput, file.path(), "neither JSON rows nor a .csv file",
                "use .jsonl (one JSON object per line), .json (an array of objects) or .csv; plain text becomes one "
                "{\"text\": \"…\"} per line");
  }
  // An object: of one line among others (jsonl), or around {"data": [...]}.
  const size_t newline = head.find(file.line_end(), first);
  const bool whole_line = newline != std::string::npos || begin + head.size() == file.size();
  if (!whole_line) return ext == ".json" ? Container::kJson : Container::kJsonl;
  const std::string line = head.substr(first, newline == std::string::npos ? newline : newline - first);
  const auto value = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Container::kJson;  // the object goes on over several lines
  const bool more = newline != std::string::npos && head.find_first_not_of(kJsonSpace, newline) != std::string::npos;
  const bool wraps_rows = value.is_object() && value.contains("data") && value["data"].is_array();
  return !more && wraps_rows ? Container::kJson : Container::kJsonl;
}

std::string_view trim_row(Container container, std::string_view bytes) {
  if (container == Container::kCsv) return strip_end(bytes, "\r\n");
  bytes = strip_end(bytes, kJsonSpace);
  if (container == Container::kJson && bytes.ends_with(',')) bytes = strip_end(bytes.substr(0, bytes.size() - 1), kJsonSpace);
  return bytes;
}

void scan_jsonl(const InputFile& file, uint64_t max_row_bytes, RowSink on_row) {
  const auto buffer = std::make_unique<char[]>(kChunk);
  std::string row;  // the part of the current line that earlier chunks held
  uint64_t row_begin = file.content_begin(), line = 1, line_bytes = 0;
  bool too_large = false;
  const auto keep = [&](const char* bytes, uint64_t count) {
    line_bytes += count;
    // One byte beyond the limit is kept for the CR of a CRLF.
    const uint64_t room = max_row_bytes + 1 - std::min<uint64_t>(row.size(), max_row_bytes + 1);
    row.append(bytes, std::min(room, count));
  };
  const auto finish = [&] {
    const uint64_t indent = std::min(row.find_first_not_of(kJsonSpace), row.size());
    const std::string_view text = strip_end(std::string_view(row).substr(indent), kJsonSpace);
    too_large = text.size() > max_row_bytes || line_bytes > max_row_bytes + 1;
    if (!text.empty() || too_large) {
      const uint64_t end = too_large ? row_begin + line_bytes : row_begin + indent + text.size();
      on_row({row_begin + indent, end, line, too_large, text.substr(0, max_row_bytes)});
    }
    row_begin += line_bytes + 1;
    line_bytes = 0;
    row.clear();
    ++line;
  };
  for (uint64_t at = row_begin; at < file.size();) {
    const uint64_t got = file.read_some(at, buffer.get(), std::min(kChunk, file.size() - at));
    if (got == 0) throw Error(ErrorCode::kIo, file.path(), "the file became shorter while it was read");
    at += got;
    const char* from = buffer.get();
    const char* const end = from + got;
    while (const void* hit = std::memchr(from, file.line_end(), static_cast<size_t>(end - from))) {
      const char* newline = static_cast<const char*>(hit);
      keep(from, static_cast<uint64_t>(newline - from));
      finish();
      from = newline + 1;
      if (from == end) break;
    }
    keep(from, static_cast<uint64_t>(end - from));
  }
  if (line_bytes > 0) finish();
}

}  // namespace hone::data
