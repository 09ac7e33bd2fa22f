// The hone command.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <unistd.h>

#include "apps/verb.h"
#include "base/error.h"

namespace hone::apps {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

void on_signal(int number) {
  if (asked_to_stop) std::_Exit(128 + number);
  asked_to_stop = 1;
}

int report(const Error& error) {
  std::fprintf(stderr, "hone: %s: %s\n", error.where().c_str(), error.message().c_str());
  if (!error.hint().empty()) std::fprintf(stderr, "  hint: %s\n", error.hint().c_str());
  return error.exit_code();
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return asked_to_stop != 0; }

bool colours() { return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

}  // namespace hone::apps

int main(int argc, char** argv) {
  CLI::App app{"hone: fine-tune language models on your own machine"};
  app.set_version_flag("--version", HONE_VERSION);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.");
  hone::apps::Action action;
  hone::apps::add_train(app, action);
  hone::apps::add_eval(app, action);
  hone::apps::add_run(app, action);
  hone::apps::add_export(app, action);
  hone::apps::add_runs(app, action);
  hone::apps::add_bench(app, action);
  hone::apps::add_config(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return action();
  } catch (const hone::Error& error) {
    return hone::apps::report(error);
  } catch (const std::bad_alloc&) {
    return hone::apps::report(hone::Error(hone::ErrorCode::kOutOfMemory, "memory", "the system refused an allocation", "see hone train --dry-run for what a run needs"));
  } catch (const std::exception& error) {
    return hone::apps::report(hone::Error(hone::ErrorCode::kInternal, "hone", error.what(), "this is a bug: please report it with the command that led here"));
  }
}
