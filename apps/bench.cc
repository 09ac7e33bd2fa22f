// hone bench train
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/verb.h"
#include "recipes/bench_shapes.h"
#include "recipes/bench_infer.h"
#include "recipes/bench_train.h"

namespace hone::apps {
namespace {

using profile::Entry;
using recipes::BenchTrainResult;

double gib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

nlohmann::ordered_json to_json(const Entry& e, int64_t steps) {
  const auto n = static_cast<double>(steps);
  nlohmann::ordered_json json = {{"op", e.op}, {"phase", profile::name(e.phase)}};
  if (!e.kernel.empty()) json["kernel"] = e.kernel;
  json.update({{"calls", static_cast<double>(e.calls) / n}, {"seconds", e.seconds / n}, {"flops", e.cost.flops / n}, {"bytes", e.cost.bytes / n}});
  return json;
}

// Figures of the profile are per step.
nlohmann::ordered_json to_json(const BenchTrainResult& r) {
  nlohmann::ordered_json json = {{"bench", "train"}, {"shape", r.shape}, {"mode", r.mode}, {"batch", r.batch}, {"seq", r.seq}, {"rank", r.rank},
                                 {"checkpointing", r.checkpointing}, {"cpu", r.cpu}, {"isa", r.isa}, {"threads", r.threads},
                                 {"tok_s", r.tokens_per_second}, {"step_s", r.median_seconds}, {"steps", r.step_seconds},
                                 {"peak_share", r.peak_share}, {"peak_gflops", r.peak_flops * 1e-9}, {"step_gflop", r.step_flops * 1e-9},
                                 {"peak_rss_gib", gib(r.peak_memory)}, {"weights_gib", gib(r.weight_bytes)}, {"model_s", r.model_seconds},
                                 {"first_step_s", r.first_step_seconds}, {"first_loss", r.first_loss}, {"loss", r.last_loss},
                                 {"frozen", r.frozen_values}, {"trainable", r.trainable_values}};
  json["ops"] = json["kernels"] = nlohmann::ordered_json::array();
  for (const Entry& e : r.profile) json[e.kernel.empty() ? "ops" : "kernels"].push_back(to_json(e, r.profiled_steps));
  return json;
}

void print_row(const std::string& name, std::string_view phase, double calls, double seconds, double share, const profile::Cost& cost) {
  const auto rate = [&](double amount) { return amount > 0 && seconds > 0 ? fmt::format("{:.1f}", amount / seconds * 1e-9) : std::string("-"); };
  fmt::print("{:<46} {:<10}{:>8.0f}{:>10.2f}{:>7.1f}{:>11}{:>9.3f}{:>8}\n", name, phase, calls, 1e3 * seconds, 100 * share, rate(cost.flops), cost.bytes * 1e-9,
             rate(cost.bytes));
}

void print_profile(const BenchTrainResult& r, bool kernels) {
  const auto n = static_cast<double>(r.profiled_steps);
  const double total = r.profiled_seconds;
  fmt::print("\n{:<46} {:<10}{:>8}{:>10}{:>7}{:>11}{:>9}{:>8}\n", kernels ? "kernel" : "op", "pass", "calls", "ms", "%", "GFLOP/s", "GB", "GB/s");
  double seconds = 0;
  profile::Cost cost;
  for (const Entry& e : r.profile) {
    if (e.kernel.empty() == kernels) continue;
    seconds += e.seconds;
    cost.flops += e.cost.flops;
    cost.bytes += e.cost.bytes;
    print_row(kernels ? fmt::format("{}: {}", e.op, e.kernel) : e.op, profile::name(e.phase), static_cast<double>(e.calls) / n, e.seconds / n, e.seconds / total,
              {e.cost.flops / n, e.cost.bytes / n});
  }
  print_row("between them", "", 0, (total - seconds) / n, (total - seconds) / total, {});
  print_row("one step", "", 0, total / n, 1, {cost.flops / n, cost.bytes / n});
}

void print(const BenchTrainResult& r, bool kernels) {
  fmt::print("{}, {} threads, {}\n", r.cpu, r.threads, r.isa);
  fmt::print("{} {}: {}\n", r.shape, r.mode, r.architecture);
  fmt::print("{} × {} tokens, LoRA rank {}{}; {:.1f} M frozen values in {:.2f} GiB, {:.2f} M trained\n\n", r.batch, r.seq, r.rank,
             r.checkpointing ? ", checkpointing" : "", static_cast<double>(r.frozen_values) * 1e-6, gib(r.weight_bytes), static_cast<double>(r.trainable_values) * 1e-6);
  const auto [best, worst] = std::minmax_element(r.step_seconds.begin(), r.step_seconds.end());
  fmt::print("{:.1f} tok/s   step {:.3f} s median of {} ({:.3f}–{:.3f})\n", r.tokens_per_second, r.median_seconds, r.step_seconds.size(), *best, *worst);
  if (r.peak_flops > 0)
    fmt::print("{:.1f} % of the peak of {:.0f} GFLOP/s: {:.1f} GFLOP per step\n", 100 * r.peak_share, r.peak_flops * 1e-9, r.step_flops * 1e-9);
  fmt::print("peak memory {:.2f} GiB   first step after {:.2f} s, of which {:.2f} s made the model\n", gib(r.peak_memory), r.first_step_seconds, r.model_seconds);
  fmt::print("loss {:.4f} → {:.4f}\n", r.first_loss, r.last_loss);
  if (r.profiled_steps == 0) return;
  print_profile(r, false);
  if (kernels) print_profile(r, true);
}

}  // namespace

namespace {

nlohmann::ordered_json to_json(const recipes::BenchInferResult& r) {
  nlohmann::ordered_json json = {{"bench", "infer"}, {"model", r.model}, {"cpu", r.cpu}, {"isa", r.isa}, {"threads", r.threads}, {"load_s", r.load_seconds},
                                 {"prompt_tok_s", r.prompt_tokens_per_second}, {"peak_rss_gib", static_cast<double>(r.peak_memory) / (1 << 30)}};
  for (const auto& d : r.decode) json["decode"].push_back({{"sequences", d.sequences}, {"tok_s", d.tokens_per_second}, {"first_token_s", d.first_token_seconds}});
  return json;
}

void print(const recipes::BenchInferResult& r, int64_t prompt) {
  fmt::print("{}, {} threads, {}\n{}: loaded in {:.2f} s, peak memory {:.2f} GiB\n\n", r.cpu, r.threads, r.isa, r.model, r.load_seconds, static_cast<double>(r.peak_memory) / (1 << 30));
  fmt::print("prompt of {} tokens     {:8.1f} tok/s\n", prompt, r.prompt_tokens_per_second);
  for (const auto& d : r.decode)
    fmt::print("{:3} answering at once   {:8.1f} tok/s together, {:6.1f} each; first tokens after {:.3f} s\n", d.sequences, d.tokens_per_second,
               d.tokens_per_second / static_cast<double>(d.sequences), d.first_token_seconds);
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  struct Arguments {
    recipes::BenchTrainOptions train;
    recipes::BenchInferOptions infer;
    bool json = false, kernels = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("bench", "How fast this machine trains a model of a given shape, and answers with a given model");
  verb->require_subcommand(1);
  CLI::App* train = verb->add_subcommand("train", "LoRA steps on random tokens with random weights: speed, memory, and time by operation");
  auto& o = a->train;
  train->add_option("--shape", o.shape, fmt::format("{}, or a Hugging Face config.json", fmt::join(recipes::bench_shape_names(), ", ")))->capture_default_str();
  train->add_option("--mode", o.mode, fmt::format("how the weights are held: {}", fmt::join(recipes::bench_mode_names(), ", ")))->capture_default_str();
  train->add_option("--batch", o.batch, "segments per step, packed into one row")->capture_default_str();
  train->add_option("--seq", o.seq, "tokens of each segment")->capture_default_str();
  train->add_option("--steps", o.steps, "timed steps, after one that is not")->capture_default_str();
  train->add_option("--rank", o.rank, "of LoRA, on every linear layer")->capture_default_str();
  train->add_option("--profile-steps", o.profile_steps, "further steps whose operations are recorded; 0: no table")->capture_default_str();
  train->add_option("--seed", o.seed, "of weights and tokens")->capture_default_str();
  train->add_flag("--checkpointing", o.checkpointing, "keep only the blocks' inputs, compute the rest again");
  train->add_flag("--kernels", a->kernels, "a second table, by kernel and size");
  train->add_flag("--json", a->json, "one JSON object");
  train->footer("tok/s is the median of the timed steps. The peak is measured first, with multiply-adds that touch registers alone.\n"
                "For example: hone bench train --shape r1-qwen-1.5b-4l --mode nf4 --steps 10 --kernels");
  train->callback([a, &action] {
    action = [a] {
      watch_signals();
      a->train.interrupted = interrupted;
      const BenchTrainResult r = recipes::bench_train(a->train);
      if (a->json) fmt::print("{}\n", to_json(r).dump());
      else print(r, a->kernels);
      return 0;
    };
  });
  CLI::App* infer = verb->add_subcommand("infer", "Tokens per second of reading a prompt, and of answering one and several at once");
  infer->add_option("model", a->infer.model, "GGUF file, Hugging Face folder, or a name")->required();
  infer->add_option("--prompt", a->infer.prompt, "tokens of the prompt that is read")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  infer->add_option("--tokens", a->infer.tokens, "of each answer")->check(CLI::Range(2, 1 << 20))->capture_default_str();
  infer->add_option("--sequences", a->infer.sequences, "how many answer at once")->delimiter(',')->check(CLI::Range(1, 1024))->capture_default_str();
  infer->add_option("--repeat", a->infer.repeat, "the median of so many counts")->check(CLI::Range(1, 1000))->capture_default_str();
  infer->add_flag("--json", a->json, "one JSON object");
  infer->callback([a, &action] {
    action = [a] {
      watch_signals();
      a->infer.interrupted = interrupted;
      const recipes::BenchInferResult r = recipes::bench_infer(a->infer);
      if (a->json) fmt::print("{}\n", to_json(r).dump());
      else print(r, a->infer.prompt);
      return 0;
    };
  });
}

}  // namespace hone::apps
