// One file per verb; each adds its subcommand and what it does.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace hone::apps {

/// The verb that was chosen sets `action`; main() runs it and returns its exit code.
using Action = std::function<int()>;

void add_train(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_runs(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_panel(CLI::App& app, Action& action);
void add_config(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_pull(CLI::App& app, Action& action);
void add_push(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_ps(CLI::App& app, Action& action);
void add_stop(CLI::App& app, Action& action);
void add_show(CLI::App& app, Action& action);
void add_create(CLI::App& app, Action& action);
void add_cp(CLI::App& app, Action& action);
void add_rm(CLI::App& app, Action& action);

/// Makes Ctrl-C and SIGTERM ask politely: interrupted() turns true, and a second Ctrl-C ends the process at once.
void watch_signals();
bool interrupted();

/// Whether standard output is a terminal that takes colours (NO_COLOR respected).
bool colours();

}  // namespace hone::apps
