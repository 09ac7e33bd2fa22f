// hone rm MODEL …
#include <fmt/format.h>

#include "apps/verb.h"
#include "store/library.h"

namespace hone::apps {

void add_rm(CLI::App& app, Action& action) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("rm", "Remove models, and the files that no other model needs");
  verb->add_option("models", *names, "their names")->required();
  verb->callback([names, &action] {
    action = [names] {
      store::Library library;
      std::vector<store::ModelName> parsed;
      for (const std::string& name : *names) parsed.push_back(store::parse_name(name));
      for (const store::ModelName& name : parsed) {
        store::remove_model(library, name);
        fmt::print("deleted '{}'\n", name.shortest());
      }
      const store::Pruned pruned = library.own().prune();
      if (!pruned.skipped.empty()) fmt::print(stderr, "note: files that are no longer needed stay until the next time: {}\n", pruned.skipped);
      return 0;
    };
  });
}

}  // namespace hone::apps
