// hone stop MODEL …
#include <fmt/format.h>

#include <algorithm>

#include "apps/server_client.h"
#include "apps/verb.h"
#include "base/error.h"

namespace hone::apps {

void add_stop(CLI::App& app, Action& action) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("stop", "Take models out of the memory of the server at $HONE_HOST");
  verb->add_option("models", *names, "their names, as hone ps shows them")->required();
  verb->callback([names, &action] {
    action = [names] {
      watch_signals();
      const ServerClient server;
      const auto answer = server.ask("GET", "/api/ps");
      std::vector<std::string> loaded;
      for (const auto& model : answer.value("models", nlohmann::ordered_json::array())) loaded.push_back(model.value("name", ""));
      for (const std::string& name : *names) {
        if (std::find(loaded.begin(), loaded.end(), with_tag(name)) == loaded.end()) {
          const std::string near = nearest(with_tag(name), loaded);
          throw Error(ErrorCode::kNotFound, name, "is not in the server's memory", near.empty() ? "hone ps shows what is" : fmt::format("did you mean \"{}\"?", near));
        }
        server.ask("POST", "/api/generate", {{"model", name}, {"keep_alive", 0}});
        fmt::print("stopped '{}'\n", name);
      }
      return 0;
    };
  });
}

}  // namespace hone::apps
