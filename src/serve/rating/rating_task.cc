#include "serve/rating/rating_task.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/permutation.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;
constexpr int kMaxNesting = 8;

struct Entry {
  std::string where, prompt, expected, answer, key;
};

std::string text_of(const data::Json& row, const char* name, const std::string& where, bool needed) {
  const auto it = row.find(name);
  if (it != row.end() && it->is_string()) return it->get<std::string>();
  if (it != row.end() || needed) throw Error(ErrorCode::kInvalidInput, where, fmt::format("expected a text under \"{}\"", name), "name a folder of hone eval, or its answers-NAME.jsonl");
  return {};
}

// The last evaluation's answers, the last of each row.
std::map<std::string, Entry> read_answers(const fs::path& path, int64_t& older) {
  const std::string text = read_file(path);
  std::vector<Entry> entries;
  int64_t line = 0;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string where = fmt::format("{}:{}", path.string(), ++line);
    const std::string_view bytes(text.data() + at, end - at);
    if (bytes.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    data::Json row;
    if (const auto issue = data::parse_json_row(bytes, kMaxNesting, row)) throw Error(ErrorCode::kInvalidInput, where, issue->message, "restore the file, or evaluate again with --fresh");
    entries.push_back({text_of(row, "where", where, true), text_of(row, "prompt", where, true), text_of(row, "expected", where, false), text_of(row, "answer", where, true), text_of(row, "key", where, false)});
  }
  std::map<std::string, Entry> out;
  for (const Entry& entry : entries)
    if (entry.key == entries.back().key) out[entry.where] = entry;
  older += static_cast<int64_t>(entries.size() - out.size());
  return out;
}

// "file:line" in order of files and lines.
std::pair<std::string, uint64_t> place_of(const std::string& where) {
  const size_t colon = where.rfind(':');
  uint64_t line = 0;
  if (colon != std::string::npos) std::from_chars(where.data() + colon + 1, where.data() + where.size(), line);
  return {where.substr(0, colon), line};
}

}  // namespace

std::string RatingTask::content(const RatingUnit& unit) const {
  const RatedItem& item = items[unit.item];
  std::string text = item.prompt + '\0' + item.answers[static_cast<size_t>(unit.first)].text;
  if (unit.second >= 0) text += '\0' + item.answers[static_cast<size_t>(unit.second)].text;
  return fmt::format("{:016x}", data::row_hash(text, 0));
}

RatingTask read_rating_task(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  const auto is_answers = [](const fs::path& p) { return p.filename().string().starts_with("answers-") && p.extension() == ".jsonl"; };
  for (const fs::path& path : paths) {
    const size_t before = files.size();
    std::error_code error;
    if (fs::is_directory(path, error)) {
      for (const auto& entry : fs::directory_iterator(path))
        if (is_answers(entry.path())) files.push_back(entry.path());
      std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
    } else if (is_answers(path)) {
      files.push_back(path);
    }
    if (files.size() == before) throw Error(fs::exists(path, error) ? ErrorCode::kInvalidInput : ErrorCode::kNotFound, path.string(), "expected a folder with answers-NAME.jsonl, or such a file", "hone eval writes them beside its report");
  }
  RatingTask task;
  std::vector<std::map<std::string, Entry>> answers;
  std::map<std::pair<std::string, uint64_t>, RatedItem> items;
  for (const fs::path& file : files) {
    const std::string name = file.stem().string().substr(std::string_view("answers-").size());
    if (name.empty() || std::find(task.models.begin(), task.models.end(), name) != task.models.end()) throw Error(ErrorCode::kInvalidInput, file.string(), fmt::format("the model \"{}\" has answers in two files", name), "rename one of them: answers-NAME.jsonl");
    const int model = static_cast<int>(task.models.size());
    task.models.push_back(name);
    for (auto& [where, entry] : read_answers(file, task.older)) {
      RatedItem& item = items[place_of(where)];
      if (!item.answers.empty() && item.prompt != entry.prompt) throw Error(ErrorCode::kInvalidInput, file.string(), fmt::format("{} asks something else than in the other files", where), "rate answers to the same rows");
      item.where = where, item.prompt = entry.prompt, item.expected = entry.expected;
      item.answers.push_back({model, entry.answer});
    }
  }
  for (auto& [place, item] : items) {
    const size_t number = task.items.size();
    const int count = static_cast<int>(item.answers.size());
    for (int i = 0; i < count; ++i) {
      task.single.push_back({number, i, -1});
      for (int j = i + 1; j < count; ++j) task.pairs.push_back({number, i, j});
    }
    task.items.push_back(std::move(item));
  }
  if (task.single.empty()) throw Error(ErrorCode::kInvalidInput, files.front().string(), "there is no answer to rate", "let hone eval write some");
  return task;
}

Presentation present(uint64_t seed, const std::string& rater, bool pairwise, uint64_t units, uint64_t position) {
  const uint64_t own = seed ^ data::row_hash(rater, 0);
  const uint32_t step = pairwise ? 1 : 0;
  Presentation out{data::Permutation(Rng{own, Rng::kSample, step}, units).at(position), false};
  out.swapped = pairwise && (Rng{own, Rng::kSwap, step}.bits(out.unit) & 1) != 0;
  return out;
}

}  // namespace hone::serve
