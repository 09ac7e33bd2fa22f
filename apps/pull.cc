// hone pull NAME
#include <fmt/format.h>

#include "apps/terminal.h"
#include "apps/verb.h"
#include "recipes/create.h"
#include "store/transfer.h"

namespace hone::apps {

void add_pull(CLI::App& app, Action& action) {
  struct Arguments {
    std::string name;
    bool insecure = false, json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("pull", "Fetch a model from a registry or the Hugging Face hub");
  verb->add_option("name", a->name, "smollm2:135m, host:5000/namespace/model:tag, hf.co/org/repo[:file or quantisation]")->required();
  verb->add_flag("--insecure", a->insecure, "http instead of https, for a server of your own");
  verb->add_flag("--json", a->json, "one JSON object per line");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      const store::ModelName name = store::parse_name(a->name);
      ProgressPrinter progress(a->json);
      const store::Watch watch = progress.watch();
      store::Library library;
      store::Pulled pulled = store::pull(library, name, a->insecure, watch);
      if (name.on_hub() && !pulled.snapshot) recipes::complete_model(library, pulled.name, watch);
      progress.line("success");
      for (const std::string& note : pulled.notes) fmt::print(stderr, "note: {}\n", note);
      if (pulled.snapshot) fmt::print(stderr, "note: the model lies in {}\n", pulled.snapshot->string());
      return 0;
    };
  });
}

}  // namespace hone::apps
