// hone panel: the runs of the history in a browser
#include <fmt/format.h>

#include <cstdio>

#include "apps/verb.h"
#include "recipes/health.h"
#include "serve/panel/panel_server.h"

namespace hone::apps {

void add_panel(CLI::App& app, Action& action) {
  struct Arguments {
    std::string address, bands;
    serve::panel::PanelOptions options;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("panel", "The curves of past runs on a page in the browser");
  verb->add_option("address", a->address, "HOST:PORT, HOST or PORT (0: any free one); else 127.0.0.1:6060");
  verb->add_option("--panel-keys", a->options.key_file, "file with lines \"infer KEY\" and \"admin KEY\", for addresses that other machines reach");
  verb->add_option("--panel-bands", a->bands, "what is normal, above the settings of each run: grad_norm=0.1:5,volatility=0.05,memory=0.7:0.9");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      recipes::parse_bands(a->bands);  // what is wrong with them is said now
      a->options.bands = a->bands;
      serve::panel::parse_address(a->address, a->options.server);
      serve::panel::run_panel(a->options, [](const std::string& address) {
        fmt::print("hone panel shows the runs on http://{}\n", address);
        std::fflush(stdout);
      }, [] { return interrupted(); });
      return 0;
    };
  });
}

}  // namespace hone::apps
