// hone push NAME
#include "apps/terminal.h"
#include "apps/verb.h"
#include "store/transfer.h"

namespace hone::apps {

void add_push(CLI::App& app, Action& action) {
  struct Arguments {
    std::string name;
    bool insecure = false, json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("push", "Publish a model to the registry that its name says");
  verb->add_option("name", a->name, "of a model that is there: host:5000/namespace/model:tag")->required();
  verb->add_flag("--insecure", a->insecure, "http instead of https, for a server of your own");
  verb->add_flag("--json", a->json, "one JSON object per line");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      ProgressPrinter progress(a->json);
      store::push(store::Library(), store::parse_name(a->name), a->insecure, progress.watch());
      progress.line("success");
      return 0;
    };
  });
}

}  // namespace hone::apps
