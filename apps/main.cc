// The hone command.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <vector>
#include <unistd.h>

#include "apps/arguments.h"
#include "apps/verb.h"
#include "base/disk.h"
#include "io/mapped_file.h"

namespace hone::apps {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

void on_signal(int number) {
  if (asked_to_stop) std::_Exit(128 + number);
  asked_to_stop = 1;
}

// A page of a mapped file is gone. Only what a signal handler may do: say so, and end.
void on_bus_error(int number, siginfo_t* info, void*) {
  const char* path = io::mapped_path_at(info->si_addr);
  if (!path) {
    std::signal(number, SIG_DFL);
    return;  // the access is made again, and ends the process the usual way
  }
  const auto say = [](const char* text) { (void)!::write(STDERR_FILENO, text, std::strlen(text)); };
  say("hone: ");
  say(path);
  say(": the file became shorter while it was in use, or its disk failed\n"
      "  hint: put the file back as it was; a training run goes on from its last checkpoint with --resume\n");
  ::_exit(1);
}

void prepare_signals() {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), not the end
  std::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is an error of writing, too: what was done is kept, and the exit code says so
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

// A program that was started without its standard streams would give their numbers to the files that it opens, and print into those.
void hold_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // so that using it stays an error
}

int report(const Error& error) {
  std::fprintf(stderr, "hone: %s: %s\n", error.where().c_str(), error.message().c_str());
  if (!error.hint().empty()) std::fprintf(stderr, "  hint: %s\n", error.hint().c_str());
  return error.exit_code();
}

Error output_failed(int reason) {
  return {ErrorCode::kIo, "standard output", reason == 0 ? "it takes no more" : std::strerror(reason), "send the output somewhere that can take it"};
}

// What was printed has arrived, or the verb has failed, whatever it says itself.
int with_output(int code) {
  errno = 0;
  std::cout.flush();
  const bool arrived = std::fflush(stdout) == 0 && !std::ferror(stdout) && std::cout.good();
  return arrived || code != 0 ? code : report(output_failed(errno));
}

// What CLI11 says, with the nearest verb or option for a misspelt one.
int refused(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const CLI::App* verb = &app;
  std::string called = "hone", message = error.what(), word;
  std::vector<std::string> verbs;
  const auto below = [&] {
    verbs.clear();
    for (const CLI::App* sub : verb->get_subcommands(nullptr)) verbs.push_back(sub->get_name());
  };
  int next = 1;
  for (below(); next < argc && std::find(verbs.begin(), verbs.end(), argv[next]) != verbs.end(); ++next, below()) {
    verb = verb->get_subcommand(argv[next]);
    called += fmt::format(" {}", argv[next]);
  }
  std::string hint = verbs.empty()
                         ? fmt::format("{} --help lists its options", called)
                         : fmt::format("{0} --help lists its verbs, {0} VERB --help their options", called);
  std::vector<std::string> known;
  if (!verbs.empty() && next < argc && argv[next][0] != '-') {
    word = argv[next];
    message = fmt::format("{}there is no verb \"{}\"", verb == &app ? "" : called + ": ", word);
    known = verbs;
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error)) {
    for (const CLI::Option* option : verb->get_options()) known.push_back(option->get_name());
    for (int i = next; i < argc && word.empty(); ++i)
      if (message.find(argv[i]) != std::string::npos && argv[i][0] == '-') word = argv[i];
  }
  if (const std::string near = word.empty() ? "" : nearest(word, known); !near.empty()) hint = fmt::format("did you mean \"{}\"?", near);
  return report(Error(ErrorCode::kInvalidInput, "command line", message, hint));
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction before {};  // nohup and daemons ignore it: keep that
  if (sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler == SIG_DFL) sigaction(SIGHUP, &action, nullptr);
}

bool interrupted() { return asked_to_stop != 0; }

bool colours() { return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

}  // namespace hone::apps

int main(int argc, char** argv) {
  hone::apps::hold_standard_streams();
  hone::apps::prepare_signals();
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
  hone::apps::add_serve(app, action);
  hone::apps::add_ps(app, action);
  hone::apps::add_stop(app, action);
  hone::apps::add_panel(app, action);
  hone::apps::add_data(app, action);
  hone::apps::add_config(app, action);
  hone::apps::add_pull(app, action);
  hone::apps::add_push(app, action);
  hone::apps::add_list(app, action);
  hone::apps::add_show(app, action);
  hone::apps::add_create(app, action);
  hone::apps::add_cp(app, action);
  hone::apps::add_rm(app, action);
  hone::apps::expand_path_options(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? hone::apps::with_output(app.exit(error)) : hone::apps::refused(app, error, argc, argv);
  }
  try {
    return hone::apps::with_output(action());
  } catch (const hone::Error& error) {
    return hone::apps::report(error);
  } catch (const std::bad_alloc&) {
    return hone::apps::report(hone::Error(hone::ErrorCode::kOutOfMemory, "memory", "the system refused an allocation", "see hone train --dry-run for what a run needs"));
  } catch (const std::filesystem::filesystem_error& error) {
    return hone::apps::report(hone::write_error(error.path1(), "use it", error.code().value()));
  } catch (const std::system_error& error) {  // what fmt throws when standard output takes no more
    return hone::apps::report(hone::apps::output_failed(error.code().value()));
  } catch (const std::exception& error) {
    return hone::apps::report(hone::Error(hone::ErrorCode::kInternal, "hone", error.what(), "this is a bug: please report it with the command that led here"));
  }
}
