// hone config [FILE.yaml]: every key, or a file as hone understands it.
#include <fmt/format.h>

#include "apps/verb.h"
#include "recipes/config.h"

namespace hone::apps {

void add_config(CLI::App& app, Action& action) {
  struct Arguments {
    std::string file;
    std::vector<std::string> overrides;
    bool markdown = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("config", "List every setting, or show a file with all defaults filled in");
  verb->add_option("file", a->file, "a YAML file to resolve");
  verb->add_option("overrides", a->overrides, "key=value settings that override the file");
  verb->add_flag("--markdown", a->markdown, "the list as a table for documents");
  verb->callback([a, &action] {
    action = [a] {
      if (!a->file.empty()) {
        fmt::print("{}", recipes::to_yaml(recipes::load_config(a->file, a->overrides)));
        return 0;
      }
      if (a->markdown) fmt::print("| key | default | meaning | also accepted as |\n|---|---|---|---|\n");
      for (const recipes::KeyHelp& key : recipes::config_keys()) {
        if (a->markdown) fmt::print("| `{}` | {} | {} | {} |\n", key.key, key.standard, key.meaning, key.aliases);
        else fmt::print("{:<34} {:<24} {}\n", key.key, key.standard, key.meaning);
      }
      return 0;
    };
  });
}

}  // namespace hone::apps
