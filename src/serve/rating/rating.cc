#include "serve/rating/rating.h"

#include <set>

#include "base/error.h"
#include "io/atomic_file.h"

namespace hone::serve {
namespace {

constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS ratings (
  id INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL, model TEXT NOT NULL, rater TEXT NOT NULL, content TEXT NOT NULL,
  relevance INTEGER NOT NULL, fluency INTEGER NOT NULL, professionalism INTEGER NOT NULL, time TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS preferences (
  id INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL, rater TEXT NOT NULL, model_a TEXT NOT NULL, model_b TEXT NOT NULL,
  content TEXT NOT NULL, winner TEXT NOT NULL, time TEXT NOT NULL);
)sql";

std::string key_of(const std::string& item, const std::string& first, const std::string& second = {}) { return item + '\n' + first + '\n' + second; }
Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

}  // namespace

RatingDesk::RatingDesk(const RatingTask& task, const std::filesystem::path& state, std::filesystem::path output, uint64_t seed, bool show_expected)
    : task_(task), output_(std::move(output)), seed_(seed), show_expected_(show_expected), database_(state, "the state of the rating", "with --state", runs::Database::Durability::kFull) {
  database_.execute(kSchema);
  for (const bool pairwise : {false, true})
    for (const RatingUnit& unit : task.units(pairwise))
      contents_[key_of(std::to_string(unit.item + 1), model(unit, unit.first), pairwise ? model(unit, unit.second) : "")] = task.content(unit);
  write();  // what an interrupted sitting had decided and not written yet
}

const std::string& RatingDesk::model(const RatingUnit& unit, int answer) const {
  return task_.models[static_cast<size_t>(task_.items[unit.item].answers[static_cast<size_t>(answer)].model)];
}

// The latest of every rater about every unit whose texts are still the same; mutex_ is held or not needed yet.
eval::RatingSet RatingDesk::read() const {
  eval::RatingSet set;
  const auto counts = [&](const std::string& key, const std::string& content) {
    const auto it = contents_.find(key);
    return it != contents_.end() && it->second == content;
  };
  runs::Query ratings(database_, "SELECT item, model, rater, content, relevance, fluency, professionalism FROM ratings WHERE id IN (SELECT MAX(id) FROM ratings GROUP BY item, model, rater) ORDER BY id");
  while (ratings.next()) {
    eval::Rating r{ratings.text(0), ratings.text(1), ratings.text(2), {}};
    for (int d = 0; d < 3; ++d) r.values[static_cast<size_t>(d)] = static_cast<int>(ratings.integer(4 + d));
    if (counts(key_of(r.item, r.model), ratings.text(3))) set.ratings.push_back(std::move(r));
  }
  runs::Query preferences(database_, "SELECT item, rater, model_a, model_b, winner, content FROM preferences WHERE id IN (SELECT MAX(id) FROM preferences GROUP BY item, model_a, model_b, rater) ORDER BY id");
  while (preferences.next()) {
    eval::Preference p{preferences.text(0), preferences.text(1), preferences.text(2), preferences.text(3), preferences.text(4)};
    if (counts(key_of(p.item, p.model_a, p.model_b), preferences.text(5))) set.preferences.push_back(std::move(p));
  }
  return set;
}

void RatingDesk::write() const {
  const eval::RatingSet set = read();
  if (!set.ratings.empty() || !set.preferences.empty()) io::write_file(output_, eval::ratings_json(set));
}

eval::RatingSet RatingDesk::ratings() const {
  const std::lock_guard lock(mutex_);
  return read();
}

RatingDesk::Place RatingDesk::place(const std::string& rater, bool pairwise, uint64_t position) const {
  const auto& units = task_.units(pairwise);
  if (position >= units.size()) throw Error(ErrorCode::kInvalidInput, "position", fmt::format("there is no place {}", position), fmt::format("there are {}", units.size()));
  const Presentation shown = present(seed_, rater, pairwise, units.size(), position);
  return {&units[shown.unit], shown.swapped};
}

RatingDesk::Place RatingDesk::checked_place(const std::string& rater, bool pairwise, uint64_t position, const std::string& content) const {
  const Place at = place(rater, pairwise, position);
  if (task_.content(*at.unit) != content) throw Error(ErrorCode::kInvalidInput, "content", "the rating is about other texts than are here now", "load the page again");
  return at;
}

Json RatingDesk::next(const std::string& rater, bool pairwise, uint64_t from) const {
  const eval::RatingSet set = ratings();
  std::set<std::string> done;
  for (const auto& r : set.ratings)
    if (!pairwise && r.rater == rater) done.insert(key_of(r.item, r.model));
  for (const auto& p : set.preferences)
    if (pairwise && p.rater == rater) done.insert(key_of(p.item, p.model_a, p.model_b));
  const uint64_t units = task_.units(pairwise).size();
  uint64_t found = units;
  for (uint64_t i = 0; i < units && found == units; ++i) {
    const uint64_t position = (from % units + i) % units;
    const RatingUnit& unit = *place(rater, pairwise, position).unit;
    if (!done.contains(key_of(std::to_string(unit.item + 1), model(unit, unit.first), pairwise ? model(unit, unit.second) : ""))) found = position;
  }
  return {{"position", found}, {"of", units}, {"rated", done.size()}};
}

Json RatingDesk::unit(const std::string& rater, bool pairwise, uint64_t position) const {
  const Place at = place(rater, pairwise, position);
  const RatedItem& item = task_.items[at.unit->item];
  Json out = {{"position", position}, {"of", task_.units(pairwise).size()}, {"prompt", item.prompt}, {"expected", show_expected_ ? Json(item.expected) : Json()}, {"answers", Json::array()}, {"content", task_.content(*at.unit)}, {"own", nullptr}};
  int first = at.unit->first, second = at.unit->second;
  if (at.swapped) std::swap(first, second);
  out["answers"].push_back(item.answers[static_cast<size_t>(first)].text);
  if (pairwise) out["answers"].push_back(item.answers[static_cast<size_t>(second)].text);
  const std::string name = std::to_string(at.unit->item + 1);
  const eval::RatingSet set = ratings();
  for (const auto& r : set.ratings)
    if (!pairwise && r.rater == rater && r.item == name && r.model == model(*at.unit, at.unit->first)) out["own"] = r.values;
  for (const auto& p : set.preferences)
    if (pairwise && p.rater == rater && p.item == name && p.model_a == model(*at.unit, at.unit->first) && p.model_b == model(*at.unit, at.unit->second)) out["own"] = p.winner == "tie" ? -1 : p.winner == model(*at.unit, first) ? 0 : 1;
  return out;
}

void RatingDesk::rate(const std::string& rater, uint64_t position, const std::string& content, const std::array<int, 3>& values) {
  const Place at = checked_place(rater, /*pairwise=*/false, position, content);
  for (size_t d = 0; d < values.size(); ++d)
    if (values[d] < 1 || values[d] > 5) throw Error(ErrorCode::kInvalidInput, eval::kDimensions[d], fmt::format("expected 1 to 5, found {}", values[d]), "1 is worst, 5 is best");
  const std::lock_guard lock(mutex_);
  runs::Query(database_, "INSERT INTO ratings (item, model, rater, content, relevance, fluency, professionalism, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", std::to_string(at.unit->item + 1), model(*at.unit, at.unit->first), rater, content,
              int64_t{values[0]}, int64_t{values[1]}, int64_t{values[2]}, runs::utc_now()).next();
  write();
}

void RatingDesk::prefer(const std::string& rater, uint64_t position, const std::string& content, int winner) {
  const Place at = checked_place(rater, /*pairwise=*/true, position, content);
  const std::string &first = model(*at.unit, at.unit->first), &second = model(*at.unit, at.unit->second);
  const std::string name = winner < 0 ? "tie" : (winner == 0) != at.swapped ? first : second;
  const std::lock_guard lock(mutex_);
  runs::Query(database_, "INSERT INTO preferences (item, rater, model_a, model_b, content, winner, time) VALUES (?, ?, ?, ?, ?, ?, ?)", std::to_string(at.unit->item + 1), rater, first, second, content, name, runs::utc_now()).next();
  write();
}

Json RatingDesk::summary() const {
  const eval::RatingSet set = ratings();
  std::map<std::string, std::array<int64_t, 2>> raters;
  for (const auto& r : set.ratings) ++raters[r.rater][0];
  for (const auto& p : set.preferences) ++raters[p.rater][1];
  Json out = {{"answers", task_.single.size()}, {"pairs", task_.pairs.size()}, {"raters", Json::array()}, {"dimensions", Json::array()}, {"preferences", Json::array()}};
  for (const auto& [name, counts] : raters) out["raters"].push_back({{"name", name}, {"rated", counts[0]}, {"compared", counts[1]}});
  const eval::RatingSummary all = eval::summarize(set.ratings);
  for (size_t d = 0; d < eval::kDimensions.size(); ++d) {
    const eval::DimensionSummary& s = all.dimensions[d];
    out["dimensions"].push_back({{"name", eval::kDimensions[d]}, {"ratings", s.ratings}, {"cohen_kappa", or_null(s.cohen)}, {"cohen_kappa_quadratic", or_null(s.cohen_quadratic)}, {"fleiss_kappa", or_null(s.fleiss)}, {"krippendorff_alpha", or_null(s.alpha_ordinal)}});
  }
  for (const auto& p : eval::summarize(set.preferences)) out["preferences"].push_back({{"compared", p.first_wins + p.second_wins + p.ties}, {"fleiss_kappa", or_null(p.fleiss)}});
  return out;
}

void add_rating_routes(http::Router& router, RatingDesk& desk, const RatingTask& task) {
  constexpr int64_t kLast = int64_t{1} << 40;
  const auto pairwise_of = [&task](const Fields& fields) {
    const bool pairwise = fields.boolean("pairwise").value_or(false);
    if (pairwise && task.pairs.empty()) throw Error(ErrorCode::kInvalidInput, "pairwise", "there are no two models' answers to compare", "name the answers of two models");
    return pairwise;
  };
  const auto position_of = [](const Fields& fields) {
    const auto position = fields.integer("position", 0, kLast);
    if (!position) throw Error(ErrorCode::kInvalidInput, "position", "expected a place in the order", "places are counted from 0");
    return static_cast<uint64_t>(*position);
  };
  add_call(router, "/api/summary", [&desk](const Fields&) { return desk.summary(); });
  add_call(router, "/api/next", [&desk, pairwise_of](const Fields& fields) { return desk.next(person_of(fields, "rater"), pairwise_of(fields), static_cast<uint64_t>(fields.integer("from", 0, kLast).value_or(0))); });
  add_call(router, "/api/unit", [&desk, pairwise_of, position_of](const Fields& fields) { return desk.unit(person_of(fields, "rater"), pairwise_of(fields), position_of(fields)); });
  add_call(router, "/api/rate", [&desk, pairwise_of, position_of](const Fields& fields) {
    const std::string rater = person_of(fields, "rater"), content = fields.string("content", 64).value_or("");
    const uint64_t position = position_of(fields);
    if (pairwise_of(fields)) {
      const auto winner = fields.integer("winner", -1, 1);
      if (!winner) throw Error(ErrorCode::kInvalidInput, "winner", "expected 0, 1 or -1", "0 is the first answer shown, -1 neither");
      desk.prefer(rater, position, content, static_cast<int>(*winner));
    } else {
      std::array<int, 3> values{};
      for (size_t d = 0; d < values.size(); ++d) values[d] = static_cast<int>(fields.integer(eval::kDimensions[d], 1, 5).value_or(0));
      desk.rate(rater, position, content, values);
    }
    return Json{{"saved", true}};
  });
}

}  // namespace hone::serve
