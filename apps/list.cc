// hone list
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/terminal.h"
#include "apps/verb.h"
#include "store/library.h"

namespace hone::apps {

void add_list(CLI::App& app, Action& action) {
  struct Arguments {
    std::string filter;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("list", "The models that are there");
  verb->alias("ls");
  verb->add_option("filter", a->filter, "only names that begin with this");
  verb->add_flag("--json", a->json, "one JSON array");
  verb->callback([a, &action] {
    action = [a] {
      const store::Library library;
      std::vector<store::Listed> all = library.list();
      std::erase_if(all, [&](const store::Listed& m) { return !m.name.shortest().starts_with(a->filter); });
      if (a->json) {
        nlohmann::ordered_json out = nlohmann::ordered_json::array();
        for (const store::Listed& m : all) {
          out.push_back({{"name", m.name.shortest()}, {"digest", m.id}, {"size", m.size}, {"modified", m.modified}, {"read_only", m.read_only}, {"details", m.facts}});
          if (!m.damage.empty()) out.back()["damage"] = m.damage;
        }
        fmt::print("{}\n", out.dump());
        return 0;
      }
      size_t width = 4;
      for (const store::Listed& m : all) width = std::max(width, m.name.shortest().size());
      fmt::print("{:<{}}    {:<12}    {:<6}    {}\n", "NAME", width, "ID", "SIZE", "MODIFIED");
      for (const store::Listed& m : all)
        fmt::print("{:<{}}    {:<12}    {:<6}    {}{}\n", m.name.shortest(), width, m.id.substr(0, 12), decimal_size(m.size), time_ago(m.modified), m.damage.empty() ? "" : "    damaged: " + m.damage);
      return 0;
    };
  });
}

}  // namespace hone::apps
