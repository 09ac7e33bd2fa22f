#include "serve/review/review.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "data/edit/row_writer.h"
#include "eval/agreement.h"

namespace hone::serve {
namespace {

constexpr const char* kProvenance = "review";

Json measured(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json provenance_of(const Decision& d) {
  Json out = {{"reviewer", d.reviewer}, {"verdict", name(d.verdict)}};
  if (!d.reason.empty()) out["reason"] = d.reason;
  out["time"] = d.time;
  return out;
}

// Decisions by row, in the order they were made.
using ByRow = std::unordered_map<std::string, std::vector<Decision>>;
ByRow by_row(std::vector<Decision> decisions) {
  ByRow out;
  for (Decision& d : decisions) out[d.row].push_back(std::move(d));
  return out;
}

Json agreement_of(const ByRow& decisions, const std::vector<std::string>& reviewers) {
  eval::RatingTable table;
  for (const auto& [row, list] : decisions) {
    if (list.size() < 2) continue;
    auto& unit = table.emplace_back(reviewers.size(), std::numeric_limits<double>::quiet_NaN());
    for (const Decision& d : list) unit[static_cast<size_t>(std::lower_bound(reviewers.begin(), reviewers.end(), d.reviewer) - reviewers.begin())] = static_cast<double>(d.verdict);
  }
  Json out = {{"rows", table.size()}, {"pairs", Json::array()}, {"fleiss_kappa", measured(table.empty() ? std::nullopt : eval::fleiss_kappa(table))}, {"krippendorff_alpha", measured(eval::krippendorff_alpha(table, eval::Level::kNominal))}};
  for (size_t i = 0; i < reviewers.size(); ++i)
    for (size_t j = i + 1; j < reviewers.size(); ++j) {
      std::vector<double> a, b;
      int64_t same = 0;
      for (const auto& unit : table)
        if (unit[i] == unit[i] && unit[j] == unit[j]) a.push_back(unit[i]), b.push_back(unit[j]), same += unit[i] == unit[j];
      if (!a.empty()) out["pairs"].push_back({{"first", reviewers[i]}, {"second", reviewers[j]}, {"rows", a.size()}, {"same", same}, {"cohen_kappa", measured(eval::cohen_kappa(a, b, eval::Weights::kNone))}});
    }
  return out;
}

}  // namespace

Review::Review(const data::Rows& rows, ReviewStore& store, bool force) : rows_(rows), store_(store) {
  HONE_CHECK(rows.files().size() == 1, "a review is of one file, found {}", rows.files().size());
  for (uint32_t row = 0; row < rows.size(); ++row) {
    hash_.push_back(data::row_hash(rows.raw(row), 0));
    twin_.push_back(copies_[hash_.back()]++);
  }
  const std::string ours = fmt::format("{:016x}", rows.files()[0].fingerprint()), theirs = store.fingerprint(ours);
  if (ours == theirs) return;
  if (!force) {
    int64_t kept = 0, all = 0;
    for (const Decision& d : store.all()) ++all, kept += holds(d.row);
    throw Error(ErrorCode::kInvalidInput, rows.files()[0].report().path, fmt::format("the file has changed since its review began: its fingerprint was {} and is {}", theirs, ours),
                fmt::format("--force goes on: {} of {} decisions are about rows that are still there, the others are set aside; or restore the file, or name another --state", kept, all));
  }
  store.set_fingerprint(ours);
}

std::string Review::key(uint32_t row) const { return fmt::format("{:016x}.{}", hash_[row], twin_[row]); }

// Whether a key of the store is one of the file's rows.
bool Review::holds(std::string_view key) const {
  uint64_t hash = 0;
  uint32_t twin = 0;
  const size_t dot = key.find('.');
  if (dot == std::string_view::npos || std::from_chars(key.data(), key.data() + dot, hash, 16).ec != std::errc() ||
      std::from_chars(key.data() + dot + 1, key.data() + key.size(), twin).ec != std::errc())
    return false;
  const auto it = copies_.find(hash);
  return it != copies_.end() && twin < it->second;
}

Json Review::next(const std::string& reviewer, uint32_t from) const {
  const auto decided = store_.decided_by(reviewer);
  const auto open = [&](uint32_t row) { return rows_.usable(row) && !decided.contains(key(row)); };
  uint32_t passed = 0;
  while (passed < rows_.size() && !open(static_cast<uint32_t>((uint64_t{from} + passed) % rows_.size()))) ++passed;
  const auto row = passed == rows_.size() ? uint64_t{passed} : (uint64_t{from} + passed) % rows_.size();
  return {{"row", row}, {"rows", rows_.size()}, {"decided", std::count_if(decided.begin(), decided.end(), [this](const std::string& key) { return holds(key); })}};
}

data::ReadRow Review::read(uint32_t row) const {
  if (row >= rows_.size() || !rows_.usable(row)) throw Error(ErrorCode::kInvalidInput, "row", fmt::format("there is no usable row {}", uint64_t{row} + 1), fmt::format("the file has {} rows", rows_.size()));
  if (data::row_hash(rows_.raw(row), 0) != hash_[row]) throw Error(ErrorCode::kIo, rows_.where(row), "the file was changed during the review", "stop the server and start it again");
  data::ReadRow read;
  rows_.read(row, read);
  return read;
}

Json Review::row(uint32_t number, const std::string& reviewer) const {
  const data::ReadRow row = read(number);
  const data::RowFormat& format = rows_.files()[0].format();
  Json out = {{"row", number}, {"where", rows_.where(number)}, {"key", key(number)}, {"format", data::name(format.format)}, {"fields", Json::array()}, {"own", nullptr}, {"others", Json::array()}};
  for (const RowField& f : fields_of(row.json, format)) out["fields"].push_back({{"pointer", f.pointer}, {"label", f.label}, {"text", f.text}, {"editable", f.editable}});
  Json others = Json::array();
  for (const Decision& d : store_.of_row(key(number))) {
    Json entry = provenance_of(d);
    if (!d.edits.empty()) entry["edits"] = d.edits;
    if (d.reviewer == reviewer) out["own"] = std::move(entry);
    else others.push_back(std::move(entry));
  }
  if (!out["own"].is_null()) out["others"] = std::move(others);
  return out;
}

Json Review::summary() const {
  ByRow decisions = by_row(store_.all());
  int64_t outcomes[5] = {}, malformed = 0;
  ByRow here;  // without decisions that were set aside
  for (uint32_t row = 0; row < rows_.size(); ++row) {
    if (!rows_.usable(row)) {
      ++malformed;
      continue;
    }
    const auto it = decisions.find(key(row));
    ++outcomes[static_cast<size_t>(it == decisions.end() ? Outcome::kOpen : outcome_of(it->second))];
    if (it != decisions.end()) here.insert(decisions.extract(it));
  }
  int64_t set_aside = 0;
  for (const auto& [row, list] : decisions) set_aside += static_cast<int64_t>(list.size());
  std::map<std::string, int64_t> counts;
  for (const auto& [row, list] : here)
    for (const Decision& d : list) ++counts[d.reviewer];
  Json out = {{"file", rows_.files()[0].report().path}, {"rows", rows_.size()}, {"malformed", malformed}, {"set_aside", set_aside}, {"outcomes", Json::object()}, {"reviewers", Json::array()}};
  for (size_t i = 0; i < std::size(outcomes); ++i) out["outcomes"][std::string(name(static_cast<Outcome>(i)))] = outcomes[i];
  std::vector<std::string> reviewers;
  for (const auto& [reviewer, count] : counts) reviewers.push_back(reviewer), out["reviewers"].push_back({{"name", reviewer}, {"decided", count}});
  out["agreement"] = agreement_of(here, reviewers);
  return out;
}

void Review::decide(uint32_t number, Decision decision) {
  const data::ReadRow row = read(number);
  if (decision.row != key(number)) throw Error(ErrorCode::kInvalidInput, "key", "the decision is about another content of this row", "load the page again");
  if (decision.verdict == Verdict::kReject && decision.reason.empty()) throw Error(ErrorCode::kInvalidInput, "reason", "a rejection needs a reason", "say in a few words what is wrong with the row");
  if (decision.verdict == Verdict::kEdit) {
    if (decision.edits.empty()) throw Error(ErrorCode::kInvalidInput, "edits", "nothing is edited", "change a text, or accept the row as it is");
    with_edits(row.json, decision.edits, rows_.files()[0].format());
  } else if (!decision.edits.empty()) {
    throw Error(ErrorCode::kInvalidInput, "edits", fmt::format("a row is edited by the verdict edit, found {}", name(decision.verdict)), "send verdict edit");
  }
  store_.add(decision);
}

ReviewExport Review::export_rows(const std::string& output, const std::function<bool()>& stop) const {
  ByRow decisions = by_row(store_.all());
  std::vector<std::string> columns = data::columns_of(rows_, 0);
  if (std::find(columns.begin(), columns.end(), kProvenance) == columns.end()) columns.emplace_back(kProvenance);
  data::RowWriter writer(output, columns);
  ReviewExport report;
  for (uint32_t number = 0; number < rows_.size(); ++number) {
    if (stop && stop()) throw Error(ErrorCode::kInterrupted, "review", "interrupted");
    if (!rows_.usable(number)) {
      ++report.malformed;
      continue;
    }
    const auto found = decisions.find(key(number));
    const std::vector<Decision> list = found == decisions.end() ? std::vector<Decision>() : std::move(found->second);
    if (found != decisions.end()) decisions.erase(found);
    const Outcome outcome = outcome_of(list);
    ++(outcome == Outcome::kAccepted ? report.accepted : outcome == Outcome::kEdited ? report.edited : outcome == Outcome::kRejected ? report.rejected : outcome == Outcome::kDisputed ? report.disputed : report.open);
    if (outcome != Outcome::kAccepted && outcome != Outcome::kEdited) continue;
    data::Json row = read(number).json;
    Json entries = Json::array();
    if (const auto before = row.find(kProvenance); before != row.end() && *before != "") {
      entries = before->is_string() ? Json::parse(before->get<std::string>(), nullptr, /*allow_exceptions=*/false) : *before;
      if (!entries.is_array()) throw Error(ErrorCode::kInvalidInput, rows_.where(number), "the row holds something under \"review\" already", "rename that field: who decided what is written there");
    }
    const Decision* edit = nullptr;
    for (const Decision& d : list) {
      entries.push_back(provenance_of(d));
      if (d.verdict == Verdict::kEdit) edit = &d;
    }
    if (edit) row = with_edits(std::move(row), edit->edits, rows_.files()[0].format());
    row[kProvenance] = std::move(entries);
    if (writer.container() == data::Container::kCsv)
      for (const auto& [column, value] : row.items())
        if (std::find(columns.begin(), columns.end(), column) == columns.end()) throw Error(ErrorCode::kInvalidInput, rows_.where(number), fmt::format("\"{}\" has no column: the first row lacks it", column), "write .jsonl, which takes rows of any keys");
    writer.write(row);
  }
  for (const auto& [row, list] : decisions) report.set_aside += static_cast<int64_t>(list.size());
  writer.finish();
  return report;
}

void add_review_routes(http::Router& router, Review& review) {
  constexpr int64_t kLast = (int64_t{1} << 31) - 1;
  const auto row_of = [](const Fields& fields) {
    const auto row = fields.integer("row", 0, kLast);
    if (!row) throw Error(ErrorCode::kInvalidInput, "row", "expected the number of a row", "rows are counted from 0");
    return static_cast<uint32_t>(*row);
  };
  add_call(router, "/api/summary", [&review](const Fields&) { return review.summary(); });
  add_call(router, "/api/next", [&review](const Fields& fields) {
    return review.next(person_of(fields, "reviewer"), static_cast<uint32_t>(fields.integer("from", 0, kLast).value_or(0)));
  });
  add_call(router, "/api/row", [&review, row_of](const Fields& fields) { return review.row(row_of(fields), person_of(fields, "reviewer")); });
  add_call(router, "/api/decide", [&review, row_of](const Fields& fields) {
    Decision decision;
    decision.row = fields.string("key", 64).value_or("");
    decision.reviewer = person_of(fields, "reviewer");
    const auto verdict = parse_verdict(fields.string("verdict", 16).value_or(""));
    if (!verdict) throw Error(ErrorCode::kInvalidInput, "verdict", "expected accept, edit, reject or withdraw", "say what becomes of the row");
    decision.verdict = *verdict;
    decision.reason = fields.string("reason", 4096).value_or("");
    if (const Json* edits = fields.object("edits"))
      for (const auto& [pointer, text] : edits->items()) {
        if (!text.is_string()) fields.refuse("edits", "texts");
        decision.edits[pointer] = text.get<std::string>();
      }
    review.decide(row_of(fields), std::move(decision));
    return Json{{"saved", true}};
  });
}

}  // namespace hone::serve
