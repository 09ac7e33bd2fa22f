// hone runs list|show|compare
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "apps/verb.h"
#include "runs/run_store.h"

namespace hone::apps {
namespace {

nlohmann::ordered_json to_json(const runs::Run& run) {
  return {{"id", run.id}, {"kind", run.kind}, {"status", run.status}, {"folder", run.folder}, {"started", run.started}, {"ended", run.ended}, {"summary", run.summary}};
}

int list(bool json, int64_t limit) {
  runs::RunStore store(runs::RunStore::default_path());
  const auto all = store.list(limit);
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const auto& run : all) out.push_back(to_json(run));
    fmt::print("{}\n", out.dump());
    return 0;
  }
  if (all.empty()) fmt::print("no runs yet: hone train FILE.yaml starts one\n");
  else fmt::print("{:<22} {:<6} {:<14} {:<20} {:>7} {:>10} {:>12}\n", "run", "kind", "status", "started", "steps", "loss", "validation");
  for (const auto& run : all) {
    const auto figure = [&](const char* name, const char* other) {
      auto it = run.summary.find(name);
      if (it == run.summary.end()) it = run.summary.find(other);
      return it == run.summary.end() ? std::string("-") : fmt::format("{:.4g}", it->second);
    };
    fmt::print("{:<22} {:<6} {:<14} {:<20} {:>7} {:>10} {:>12}\n", run.id, run.kind, run.status, run.started, figure("steps", "steps"), figure("last_loss", "loss"), figure("best_validation_loss", "best_validation_loss"));
  }
  return 0;
}

int show(const std::string& id, bool json) {
  runs::RunStore store(runs::RunStore::default_path());
  const runs::Run run = store.get(id);
  if (json) {
    nlohmann::ordered_json out = to_json(run);
    out["config"] = run.config;
    for (const char* name : {"loss", "validation_loss", "grad_norm", "learning_rate"})
      for (const auto& m : store.metrics(id, name)) out["metrics"][name].push_back({m.step, m.value});
    for (const auto& e : store.events(id)) out["events"].push_back({{"step", e.step}, {"kind", e.kind}, {"text", e.text}, {"time", e.time}});
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print("{}  {}  {}\nfolder   {}\nstarted  {}\nended    {}\n", run.id, run.kind, run.status, run.folder, run.started, run.ended.empty() ? "-" : run.ended);
  for (const auto& [name, value] : run.summary) fmt::print("{:<22} {:.6g}\n", name, value);
  for (const auto& e : store.events(id)) fmt::print("step {:<6} {}: {}\n", e.step, e.kind, e.text);
  fmt::print("\n{}", run.config);
  return 0;
}

int compare(const std::vector<std::string>& ids, bool json) {
  runs::RunStore store(runs::RunStore::default_path());
  std::vector<runs::Run> all;
  std::set<std::string> names;
  for (const std::string& id : ids) {
    all.push_back(store.get(id));
    for (const auto& [name, value] : all.back().summary) names.insert(name);
  }
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const auto& run : all) out.push_back(to_json(run));
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print("{:<24}", "");
  for (const auto& run : all) fmt::print("{:>18}", run.id);
  if (all.size() == 2) fmt::print("{:>18}", "difference");
  fmt::print("\n");
  for (const std::string& name : names) {
    fmt::print("{:<24}", name);
    for (const auto& run : all) fmt::print("{:>18}", run.summary.contains(name) ? fmt::format("{:.5g}", run.summary.at(name)) : "-");
    if (all.size() == 2 && all[0].summary.contains(name) && all[1].summary.contains(name)) fmt::print("{:>18}", fmt::format("{:+.4g}", all[1].summary.at(name) - all[0].summary.at(name)));
    fmt::print("\n");
  }
  return 0;
}

}  // namespace

void add_runs(CLI::App& app, Action& action) {
  struct Arguments {
    std::string id;
    std::vector<std::string> ids;
    bool json = false;
    int64_t limit = 50;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("runs", "The history of runs");
  verb->require_subcommand(1);
  const auto flag = [&](CLI::App* sub) { sub->add_flag("--json", a->json, "as JSON"); };
  CLI::App* listing = verb->add_subcommand("list", "newest first");
  listing->add_option("--limit", a->limit, "at most so many")->check(CLI::Range(1, 1 << 30));
  flag(listing);
  listing->callback([a, &action] { action = [a] { return list(a->json, a->limit); }; });
  CLI::App* showing = verb->add_subcommand("show", "one run: figures, events, configuration");
  showing->add_option("run", a->id, "its id")->required();
  flag(showing);
  showing->callback([a, &action] { action = [a] { return show(a->id, a->json); }; });
  CLI::App* comparing = verb->add_subcommand("compare", "figures of several runs side by side");
  comparing->add_option("runs", a->ids, "their ids")->required()->expected(2, 16);
  flag(comparing);
  comparing->callback([a, &action] { action = [a] { return compare(a->ids, a->json); }; });
}

}  // namespace hone::apps
