// hone cp FROM TO
#include <fmt/format.h>

#include "apps/verb.h"
#include "store/library.h"

namespace hone::apps {

void add_cp(CLI::App& app, Action& action) {
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  CLI::App* verb = app.add_subcommand("cp", "Give a model another name");
  verb->add_option("from", names->first, "a model that is there")->required();
  verb->add_option("to", names->second, "its further name")->required();
  verb->callback([names, &action] {
    action = [names] {
      const store::ModelName from = store::parse_name(names->first), to = store::parse_name(names->second);
      store::Library library;
      store::copy_model(library, from, to, {{}, interrupted});
      fmt::print("copied '{}' to '{}'\n", from.shortest(), to.shortest());
      return 0;
    };
  });
}

}  // namespace hone::apps
