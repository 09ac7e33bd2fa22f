// Reading and writing ratings.
#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "data/csv.h"
#include "data/row_json.h"
#include "data/row_scanner.h"
#include "eval/ratings.h"

namespace hone::eval {
namespace {

using nlohmann::ordered_json;
constexpr uint64_t kMaxRowBytes = 1 << 20;
constexpr int kMaxNesting = 8;

[[noreturn]] void refuse(const std::string& where, const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::kInvalidInput, where, message, hint);
}

// Takes entries one by one and refuses what does not fit.
class Collector {
 public:
  void add(const ordered_json& entry, const std::string& where) {
    if (!entry.is_object()) refuse(where, "expected an object", "write {\"item\": …, \"rater\": …, \"relevance\": 4, …}");
    if (entry.contains("winner")) add_preference(entry, where);
    else add_rating(entry, where);
  }
  RatingSet take() { return std::move(set_); }

 private:
  static std::string text(const ordered_json& entry, const char* key, const std::string& where, bool needed) {
    const auto it = entry.find(key);
    if (it == entry.end() || it->is_null() || (it->is_string() && it->get<std::string>().empty())) {
      if (needed) refuse(where, fmt::format("{} is missing", key), "every rating names its item and its rater");
      return {};
    }
    if (it->is_number_integer()) return it->dump();
    if (!it->is_string()) refuse(where, fmt::format("{}: expected text or a whole number, found {}", key, it->dump()), "change the value");
    return it->get<std::string>();
  }
  static int grade(const ordered_json& entry, const char* key, const std::string& where) {
    const std::string found = text(entry, key, where, /*needed=*/false);
    if (found.empty()) return 0;
    if (found.size() != 1 || found[0] < '1' || found[0] > '5') refuse(where, fmt::format("{}: expected a whole number from 1 to 5, found \"{}\"", key, found), "1 is worst, 5 is best; leave it empty when it was not rated");
    return found[0] - '0';
  }
  void add_rating(const ordered_json& entry, const std::string& where) {
    Rating r{text(entry, "item", where, true), text(entry, "model", where, false), text(entry, "rater", where, true), {}};
    bool any = false;
    for (size_t d = 0; d < kDimensions.size(); ++d) any |= (r.values[d] = grade(entry, kDimensions[d], where)) != 0;
    if (!any) refuse(where, "none of relevance, fluency and professionalism is rated", "give at least one of them a value from 1 to 5");
    if (!seen_.insert({"rating", r.item, r.model, r.rater}).second) refuse(where, fmt::format("{} has rated item {} before", r.rater, r.item), "keep one of the two rows");
    set_.ratings.push_back(std::move(r));
  }
  void add_preference(const ordered_json& entry, const std::string& where) {
    Preference p{text(entry, "item", where, true), text(entry, "rater", where, true), text(entry, "model_a", where, true), text(entry, "model_b", where, true), text(entry, "winner", where, true)};
    if (p.model_a == p.model_b) refuse(where, fmt::format("model_a and model_b are both \"{}\"", p.model_a), "a comparison needs two models");
    if (p.winner == "a" || p.winner == "A") p.winner = p.model_a;
    if (p.winner == "b" || p.winner == "B") p.winner = p.model_b;
    if (p.winner != p.model_a && p.winner != p.model_b && p.winner != "tie")
      refuse(where, fmt::format("winner: expected a, b, tie, {} or {}, found \"{}\"", p.model_a, p.model_b, p.winner), "change the value");
    if (!seen_.insert({"preference", p.item, std::min(p.model_a, p.model_b) + "\n" + std::max(p.model_a, p.model_b), p.rater}).second)
      refuse(where, fmt::format("{} has compared these models on item {} before", p.rater, p.item), "keep one of the two rows");
    set_.preferences.push_back(std::move(p));
  }

  RatingSet set_;
  std::set<std::array<std::string, 4>> seen_;
};

void read_csv(const data::InputFile& file, Collector& out) {
  const char delimiter = data::delimiter_of(file);
  std::vector<std::string> header;
  const auto row_of = [&](const data::RawRow& raw, const std::string& where) {
    if (raw.too_large) refuse(where, fmt::format("the row is larger than {} bytes", kMaxRowBytes), "check the quotes");
    if (header.empty()) {
      if (const std::string wrong = data::split_csv(raw.bytes, delimiter, header); !wrong.empty()) refuse(where, wrong, "check the header");
      if (std::find(header.begin(), header.end(), "item") == header.end()) refuse(where, "the header names no column \"item\"", "the columns are item, rater, relevance, fluency, professionalism (and model), or item, rater, model_a, model_b, winner");
      return;
    }
    ordered_json entry;
    if (const auto issue = data::parse_csv_row(raw.bytes, delimiter, header, entry)) refuse(where, issue->message, "check the row");
    out.add(entry, where);
  };
  data::scan_csv(file, delimiter, kMaxRowBytes, [&](const data::RawRow& raw) { row_of(raw, fmt::format("{}:{}", file.path(), raw.line)); });
}

void read_lines(const data::InputFile& file, Collector& out) {
  data::scan_jsonl(file, kMaxRowBytes, [&](const data::RawRow& raw) {
    const std::string where = fmt::format("{}:{}", file.path(), raw.line);
    if (raw.too_large) refuse(where, fmt::format("the row is larger than {} bytes", kMaxRowBytes), "one line holds one rating");
    ordered_json entry;
    if (const auto issue = data::parse_json_row(raw.bytes, kMaxNesting, entry)) refuse(where, issue->message, "check the row");
    out.add(entry, where);
  });
}

void read_document(const std::filesystem::path& path, Collector& out) {
  const nlohmann::json document = read_json(path);
  const auto add_all = [&](const nlohmann::json& list, const std::string& where) {
    if (!list.is_array()) refuse(where, "expected an array", "write [{…}, {…}]");
    for (size_t i = 0; i < list.size(); ++i) out.add(list[i], fmt::format("{}: entry {}", where, i + 1));
  };
  if (document.is_array()) return add_all(document, path.string());
  if (!document.is_object() || (!document.contains("ratings") && !document.contains("preferences")))
    refuse(path.string(), "expected an array of ratings, or an object with \"ratings\" or \"preferences\"", "see docs/evaluation.md");
  for (const char* key : {"ratings", "preferences"})
    if (document.contains(key)) add_all(document[key], fmt::format("{}: {}", path.string(), key));
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n;\t") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

RatingSet read_ratings(const std::filesystem::path& path) {
  const data::InputFile file(path.string());
  Collector collector;
  const data::Container container = path.extension() == ".json" ? data::Container::kJson : data::detect_container(file);
  if (container == data::Container::kCsv) read_csv(file, collector);
  else if (container == data::Container::kJsonl) read_lines(file, collector);
  else read_document(path, collector);
  RatingSet set = collector.take();
  if (set.ratings.empty() && set.preferences.empty()) refuse(path.string(), "the file holds no rating", "see docs/evaluation.md for the columns");
  return set;
}

std::string ratings_json(const RatingSet& set) {
  ordered_json out = {{"ratings", ordered_json::array()}, {"preferences", ordered_json::array()}};
  for (const Rating& r : set.ratings) {
    ordered_json entry = {{"item", r.item}, {"rater", r.rater}};
    if (!r.model.empty()) entry["model"] = r.model;
    for (size_t d = 0; d < kDimensions.size(); ++d)
      if (r.values[d]) entry[kDimensions[d]] = r.values[d];
    out["ratings"].push_back(std::move(entry));
  }
  for (const Preference& p : set.preferences) out["preferences"].push_back({{"item", p.item}, {"rater", p.rater}, {"model_a", p.model_a}, {"model_b", p.model_b}, {"winner", p.winner}});
  return out.dump(1) + "\n";
}

std::string ratings_csv(const std::vector<Rating>& ratings) {
  std::string out = "item,model,rater,relevance,fluency,professionalism\n";
  for (const Rating& r : ratings) {
    out += csv_field(r.item) + "," + csv_field(r.model) + "," + csv_field(r.rater);
    for (const int value : r.values) out += value ? fmt::format(",{}", value) : ",";
    out += "\n";
  }
  return out;
}

std::string preferences_csv(const std::vector<Preference>& preferences) {
  std::string out = "item,rater,model_a,model_b,winner\n";
  for (const Preference& p : preferences)
    out += fmt::format("{},{},{},{},{}\n", csv_field(p.item), csv_field(p.rater), csv_field(p.model_a), csv_field(p.model_b), csv_field(p.winner));
  return out;
}

}  // namespace hone::eval
