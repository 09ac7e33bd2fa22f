// hone train FILE.yaml [key=value …]
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "apps/terminal.h"
#include "apps/verb.h"
#include "base/path.h"
#include "recipes/health.h"
#include "recipes/train.h"
#include "serve/panel/panel_server.h"

namespace hone::apps {
namespace {

using recipes::StepReport;
using recipes::TrainPlan;
using recipes::TrainSummary;
using recipes::ValidationReport;

double gib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }
double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

std::string thousands(int64_t value) {
  std::string digits = std::to_string(value);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), " ");
  return digits;
}

// What was printed must have gone somewhere: a closed pipe or a full disk ends the run, which saves first.
void flush() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::system_error(errno ? errno : EIO, std::generic_category(), "standard output");
}

constexpr int64_t kTextColumn = 10;  // where what a line of the plan says begins

// "name      text", on a terminal with the text's lines one under the other.
void print_line(const char* name, const std::string& text) { fmt::print("{}\n", wrapped_line(fmt::format("{:<{}}{}", name, kTextColumn, text), kTextColumn)); }

void print_plan(const TrainPlan& plan) {
  print_line("model", fmt::format("{} ({})", plan.model, plan.architecture));
  print_line("weights", plan.base_format);
  print_line("training", fmt::format("{} values in {} layers; {} frozen ({:.2f} %)", thousands(plan.trainable_values), plan.adapted_layers, thousands(plan.frozen_values),
                                     100.0 * static_cast<double>(plan.trainable_values) / static_cast<double>(plan.trainable_values + plan.frozen_values)));
  for (const auto& d : plan.data.datasets)
    print_line("data", fmt::format("{} ({}): {} rows to train on, {} to validate on, {} tokens, {} supervised", d.path, data::name(d.format), d.training_rows, d.validation_rows, thousands(d.tokens),
                                   thousands(d.supervised_tokens)));
  const auto& m = plan.memory;
  print_line("memory", fmt::format("about {:.2f} GiB at the peak ({:.1f} available): weights {:.0f} MiB, of the file {:.0f}, trained {:.0f}, optimizer {:.0f}, activations {:.0f}, working {:.0f}, program and data {:.0f}",
                                   gib(m.peak()), gib(plan.available_memory), mib(m.weights), mib(m.mapped), mib(m.parameters), mib(m.optimizer), mib(m.activations), mib(m.working), mib(m.program)));
  for (const auto& line : plan.memory_advice) print_line("", line);
  print_line("steps", fmt::format("{}{}", plan.exact_steps ? "" : "about ", plan.steps));
  for (const auto& note : plan.notes) print_line("note", note);
  if (!plan.run_id.empty()) print_line("run", fmt::format("{} in {}{}", plan.run_id, plan.run_folder, plan.resumed_from > 0 ? fmt::format(", continued after step {}", plan.resumed_from) : ""));
  flush();
}

void print_dry_run(const TrainPlan& plan) {
  fmt::print("# resolved configuration\n{}\n# plan\n", plan.resolved);
  print_plan(plan);
  if (!plan.sample) return;
  const bool colour = colours();
  fmt::print("\n# first sample ({}), what is learned {}\n", plan.sample->where, colour ? "\x1b[32min green\x1b[0m" : "between ⟦ and ⟧");
  bool open = false;
  for (const auto& token : plan.sample->tokens) {
    if (token.supervised != open) fmt::print("{}", token.supervised ? (colour ? "\x1b[32m" : "⟦") : (colour ? "\x1b[0m" : "⟧"));
    open = token.supervised;
    fmt::print("{}", token.text);
  }
  fmt::print("{}\n", open ? (colour ? "\x1b[0m" : "⟧") : "");
}

// For people: one line that rewrites itself on a terminal, one line per report otherwise.
class Console : public recipes::TrainObserver {
 public:
  explicit Console(bool dry_run) : dry_run_(dry_run) {}
  void on_plan(const TrainPlan& plan) override {
    if (dry_run_) print_dry_run(plan);
    else print_plan(plan);
  }
  void on_step(const StepReport& r) override {
    std::vector<text::LineField> fields = {{0, fmt::format("step {}/{}", r.step, r.steps)}, {0, fmt::format("loss {:.4f}", r.loss)}, {1, fmt::format("smoothed {:.4f}", r.smoothed)},
                                       {3, fmt::format("grad {:.3f}", r.grad_norm)}, {4, fmt::format("lr {:.2e}", r.learning_rate)}, {2, fmt::format("{:.0f} tok/s", r.tokens_per_second)},
                                       {5, fmt::format("{:.2f} GiB", gib(r.memory))}, {0, duration(r.seconds_left) + " left"}};
    if (live_) line_.draw(std::move(fields));
    else fmt::print("{}\n", text::fitted(fields, 0));
    flush();
  }
  void on_validation(const ValidationReport& r) override {
    at_step(r.step, fmt::format("validation loss {:.4f}  accuracy {:.1f} %{}", r.loss, 100 * r.accuracy, r.best ? "  (best so far)" : ""));
  }
  void on_event(int64_t step, const std::string& kind, const std::string& text) override { at_step(step, fmt::format("{}: {}", kind, text)); }
  void panel(const std::string& address) {
    print_line("panel", address);
    flush();
  }
  // Between two steps and within one: the terminal may have another width.
  void refresh() { line_.refresh(); }

 private:
  void at_step(int64_t step, const std::string& text) {
    line_.end();
    const std::string begin = fmt::format("step {}  ", step);
    fmt::print("{}\n", wrapped_line(begin + text, static_cast<int64_t>(begin.size())));
    flush();
  }

  bool dry_run_, live_ = ::isatty(STDOUT_FILENO) != 0;
  LiveLine line_;
};

nlohmann::ordered_json memory_parts(const train::MemoryPlan& m) {
  return {{"mapped", m.mapped}, {"weights", m.weights}, {"parameters", m.parameters}, {"optimizer", m.optimizer}, {"activations", m.activations}, {"working", m.working}, {"program", m.program}};
}

// For scripts: one JSON object per line.
class JsonLines : public recipes::TrainObserver {
 public:
  void on_plan(const TrainPlan& p) override {
    print({{"kind", "plan"}, {"run", p.run_id}, {"folder", p.run_folder}, {"model", p.model}, {"trainable", p.trainable_values}, {"frozen", p.frozen_values},
           {"adapted_layers", p.adapted_layers}, {"steps", p.steps}, {"exact_steps", p.exact_steps}, {"resumed_from", p.resumed_from}, {"memory_peak", p.memory.peak()},
           {"memory_available", p.available_memory}, {"memory", memory_parts(p.memory)}, {"memory_advice", p.memory_advice}, {"notes", p.notes}, {"config", p.resolved}});
  }
  void on_step(const StepReport& r) override {
    print({{"kind", "step"}, {"step", r.step}, {"steps", r.steps}, {"epoch", r.epoch}, {"loss", r.loss}, {"smoothed_loss", r.smoothed}, {"grad_norm", r.grad_norm},
           {"learning_rate", r.learning_rate}, {"tokens_per_second", r.tokens_per_second}, {"memory", r.memory}, {"seconds_left", r.seconds_left}});
  }
  void on_validation(const ValidationReport& r) override {
    print({{"kind", "validation"}, {"step", r.step}, {"loss", r.loss}, {"accuracy", r.accuracy}, {"best", r.best}});
  }
  void on_event(int64_t step, const std::string& kind, const std::string& text) override {
    print({{"kind", "event"}, {"step", step}, {"event", kind}, {"text", text}});
  }
  static void print(const nlohmann::ordered_json& json) {
    fmt::print("{}\n", json.dump());
    flush();
  }
};

// What one observer sees, the panel sees too. The panel comes first: a page learns of a step even if standard output fails on it.
class WithPanel : public recipes::TrainObserver {
 public:
  WithPanel(recipes::TrainObserver& first, serve::panel::LivePanel& panel) : first_(first), panel_(panel) {}
  void on_plan(const TrainPlan& plan) override {
    panel_.on_plan(plan);
    first_.on_plan(plan);
  }
  void on_step(const StepReport& report) override {
    panel_.on_step(report);
    first_.on_step(report);
    if (panel_.pause_requested()) wait();
  }
  void on_validation(const ValidationReport& report) override {
    panel_.on_validation(report);
    first_.on_validation(report);
  }
  void on_event(int64_t step, const std::string& kind, const std::string& text) override {
    panel_.on_event(step, kind, text);
    first_.on_event(step, kind, text);
  }

 private:
  // Between two steps: until a page lets the run go on or ends it.
  void wait() {
    panel_.set_paused(true);
    while (panel_.pause_requested() && !panel_.stop_requested() && !interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    panel_.set_paused(false);
  }

  recipes::TrainObserver& first_;
  serve::panel::LivePanel& panel_;
};

// Without an address in the command, a port that is taken (another run's panel) is no reason not to train.
std::unique_ptr<serve::panel::LivePanel> open_panel(const std::string& address, const recipes::PanelSettings& settings, serve::panel::PanelOptions options) {
  serve::panel::parse_address(address.empty() ? settings.address : address, options.server);
  if (options.key_file.empty()) options.key_file = settings.keys;
  try {
    return std::make_unique<serve::panel::LivePanel>(options, train::resident_memory);
  } catch (const Error& error) {
    if (!address.empty() || error.code() != ErrorCode::kIo) throw;
    options.server.port = 0;
    return std::make_unique<serve::panel::LivePanel>(options, train::resident_memory);
  }
}

TrainSummary train_watched(const recipes::Config& config, recipes::TrainOptions options, recipes::TrainObserver& observer, serve::panel::LivePanel* panel) {
  if (!panel) return recipes::train_model(config, options, observer);
  options.interrupted = [panel, asked = options.interrupted] { return asked() || panel->stop_requested(); };
  options.save_now = [panel] { return panel->take_checkpoint_request(); };
  options.new_rate_factor = [panel] { return panel->take_rate_factor(); };
  WithPanel both(observer, *panel);
  try {
    TrainSummary summary = recipes::train_model(config, options, both);
    panel->end(summary.status);
    return summary;
  } catch (...) {
    panel->end("failed");
    throw;
  }
}

void print_summary(const TrainSummary& s, const std::string& file, const std::string& base) {
  const auto say = [](const std::string& text) { fmt::print("{}\n", wrapped_line(text, 2)); };
  fmt::print("\n");
  say(fmt::format("{} after {} steps, {} ({} tokens, {:.0f} tok/s, first step after {:.1f} s, peak {:.2f} GiB)", s.status, s.step, duration(s.seconds), thousands(s.tokens), s.tokens_per_second,
                  s.seconds_to_first_step, gib(s.peak_memory)));
  say(fmt::format("loss {:.4f} → {:.4f}{}{}", s.first_loss, s.last_loss, s.best_validation ? fmt::format(", best validation {:.4f} at step {}", *s.best_validation, s.best_step) : "",
                  s.skipped ? fmt::format(", {} updates skipped, {} rollbacks", s.skipped, s.rollbacks) : ""));
  fmt::print("curve {}\n", s.curve);
  if (s.status == "interrupted") fmt::print("continue with: hone train {} --resume\n", shell_word(file));
  else fmt::print("try it with:   hone run {} --adapter {} \"your prompt\"\n", shell_word(base), shell_word(s.best_folder));
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  struct Arguments {
    std::string file;
    std::vector<std::string> overrides;
    bool json = false;
    std::string panel, bands;
    serve::panel::PanelOptions panel_options;
    recipes::TrainOptions options;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("train", "Fine-tune a model as a YAML file says");
  verb->add_option("file", a->file, "configuration (docs/config.md)")->required();
  verb->add_option("overrides", a->overrides, "key=value settings that override the file");
  verb->add_flag("--dry-run", a->options.dry_run, "show the resolved configuration, the plan and the first sample, then stop");
  verb->add_flag("--resume", a->options.resume, "continue from the newest whole checkpoint");
  verb->add_flag("--overwrite", a->options.overwrite, "start again in a folder that holds a run");
  verb->add_flag("--json", a->json, "one JSON object per line");
  CLI::Option* panel_option = verb->add_option("--panel", a->panel, "show the run on a page in the browser: HOST:PORT, HOST or PORT; else panel.address of the file, or 127.0.0.1:6060")->expected(0, 1);
  verb->add_option("--panel-keys", a->panel_options.key_file, "file with lines \"infer KEY\" and \"admin KEY\", for addresses that other machines reach");
  verb->add_option("--panel-bands", a->bands, "what is normal, above alarms.* of the file: grad_norm=0.1:5,volatility=0.05,memory=0.7:0.9");
  verb->callback([a, panel_option, &action] {
    const bool with_panel = panel_option->count() > 0;
    if (a->panel.find('=') != std::string::npos) a->overrides.push_back(std::exchange(a->panel, {}));  // --panel key=value: a setting, not an address
    action = [a, with_panel] {
      watch_signals();
      a->options.interrupted = interrupted;
      recipes::Config config = recipes::load_config(a->file, a->overrides);
      config.alarms.bands = recipes::parse_bands(a->bands, config.alarms.bands);
      a->panel_options.bands = a->bands;
      const bool wanted = with_panel || !config.panel.address.empty();
      const auto panel = wanted && !a->options.dry_run ? open_panel(a->panel, config.panel, a->panel_options) : nullptr;
      const std::string address = panel ? fmt::format("http://{}/#token={}", panel->address(), panel->token()) : "";
      if (a->json) {
        JsonLines observer;
        if (panel) JsonLines::print({{"kind", "panel"}, {"address", address}});
        const TrainSummary s = train_watched(config, a->options, observer, panel.get());
        if (!a->options.dry_run)
          JsonLines::print({{"kind", "summary"}, {"status", s.status}, {"steps", s.step}, {"first_loss", s.first_loss}, {"last_loss", s.last_loss}, {"skipped", s.skipped},
                            {"rollbacks", s.rollbacks}, {"best_validation_loss", s.best_validation ? nlohmann::ordered_json(*s.best_validation) : nullptr}, {"tokens", s.tokens},
                            {"seconds", s.seconds}, {"tokens_per_second", s.tokens_per_second}, {"seconds_to_first_step", s.seconds_to_first_step},
                            {"peak_memory", s.peak_memory}, {"best", s.best_folder}, {"curve", s.curve}});
        return s.status == "interrupted" ? 130 : 0;
      }
      Console observer(a->options.dry_run);
      if (panel) observer.panel(address);
      a->options.interrupted = [&observer] {
        observer.refresh();
        return interrupted();
      };
      const TrainSummary s = train_watched(config, a->options, observer, panel.get());
      if (a->options.dry_run) return 0;
      print_summary(s, a->file, config.model.base);
      return s.status == "interrupted" ? 130 : 0;
    };
  });
}

}  // namespace hone::apps
