// The training benchmark, top to bottom: shape and mode, random model, one step, timed steps, recorded steps.
#include "recipes/bench_train.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/peak.h"
#include "kernels/table.h"
#include "models/source_random.h"
#include "recipes/bench_shapes.h"
#include "recipes/tuned_model.h"
#include "train/preflight.h"
#include "train/step.h"

namespace hone::recipes {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_from(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// How a model is stored, held and computed with. A new mode is a new row.
struct Mode {
  const char* name;
  DType stored;              // in the file that a real run would read
  const char* quantization;  // model.quantization of the configuration
  const char* precision;     // training.precision
  kernels::Precision peak;   // of the products: which peak they are measured against
  int64_t held_bits;         // per value of a linear layer when the loader converts it; 0: as stored
};

constexpr Mode kModes[] = {
    {"f32", DType::kF32, "auto", "f32", kernels::Precision::kF32, 0},
    {"bf16", DType::kBF16, "auto", "bf16", kernels::Precision::kBF16, 0},
    {"nf4", DType::kBF16, "nf4", "bf16", kernels::Precision::kBF16, 4},
    {"int8", DType::kBF16, "int8", "bf16", kernels::Precision::kInt8, 8},
    {"q4_1", DType::kQ4_1, "auto", "bf16", kernels::Precision::kBF16, 0},
    {"q4_k", DType::kQ4_K, "auto", "bf16", kernels::Precision::kBF16, 0},
};

const Mode& mode_named(const std::string& name) {
  for (const Mode& mode : kModes)
    if (name == mode.name) return mode;
  const std::vector<std::string> names = bench_mode_names();
  const std::string near = nearest(name, names);
  throw Error(ErrorCode::kInvalidInput, "--mode", fmt::format("\"{}\" is not known", name),
              near.empty() ? fmt::format("known are {}", fmt::join(names, ", ")) : fmt::format("did you mean \"{}\"?", near));
}

void check_counts(const BenchTrainOptions& o) {
  const auto want = [](const char* option, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      throw Error(ErrorCode::kInvalidInput, option, fmt::format("expected {} to {}, found {}", low, high, value),
                  fmt::format("for example {} {}", option, std::clamp(value, low, high)));
  };
  want("--batch", o.batch, 1, 65536);
  want("--seq", o.seq, 2, 1 << 20);
  want("--steps", o.steps, 1, 1000000);
  want("--profile-steps", o.profile_steps, 0, 1000000);
  want("--rank", o.rank, 1, 4096);
  want("--batch times --seq", o.batch * o.seq, 2, 1 << 24);
}

Config config_of(const BenchTrainOptions& o, const Mode& mode) {
  Config config;
  config.model.quantization = mode.quantization;
  config.training.precision = mode.precision;
  config.training.gradient_checkpointing = o.checkpointing;
  config.training.learning_rate = 1e-4;
  config.training.seed = static_cast<int64_t>(o.seed);
  config.lora.r = o.rank;
  config.lora.alpha = 2 * static_cast<double>(o.rank);
  config.data.cutoff_length = o.seq;
  return config;
}

// B segments of T random tokens; every token but each segment's first is to be predicted.
data::StepBatch random_batch(const BenchTrainOptions& o, int64_t vocabulary, int64_t step) {
  const Rng rng{o.seed, Rng::kSample, static_cast<uint32_t>(step)};
  data::MicroBatch micro;
  for (int64_t b = 0; b < o.batch; ++b) {
    data::Sample sample;
    for (int64_t t = 0; t < o.seq; ++t) {
      sample.ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(b * o.seq + t), static_cast<uint64_t>(vocabulary))));
      sample.loss_mask.push_back(t > 0);
    }
    micro.append(sample);
  }
  micro.rows = o.batch;
  data::StepBatch batch;
  batch.supervised = micro.supervised;
  batch.tokens = micro.tokens();
  batch.micro_batches.push_back(std::move(micro));
  return batch;
}

class TrainBench {
 public:
  TrainBench(const BenchTrainOptions& options, const Mode& mode, const models::RandomSource& source)
      : options_(options), config_(config_of(options, mode)), model_(load_trainable(config_, source)), parameters_(model_.parameters()),
        optimizer_(optimizer_of(config_, parameters_)) {}

  models::CausalLm& model() { return model_; }
  const train::Parameters& parameters() const { return parameters_; }
  const Config& config() const { return config_; }

  // What Training::take_step does between two reports. Returns the mean loss.
  double step() {
    if (options_.interrupted && options_.interrupted()) throw Error(ErrorCode::kInterrupted, "hone bench", "stopped");
    const data::StepBatch batch = random_batch(options_, model_.config().vocab_size, done_);
    train::clear_gradients(model_);
    train::StepOptions step;
    step.seed = options_.seed;
    step.step = static_cast<uint32_t>(done_++);
    step.checkpointing = options_.checkpointing;
    const train::LossSum loss = train::accumulate_gradients(model_, batch, step);
    const profile::Scope scope("adamw", profile::Phase::kUpdate);
    std::vector<Tensor> gradients;
    for (const auto& leaf : parameters_) gradients.push_back(leaf->grad);
    const double norm = optim::global_norm(gradients), limit = config_.optimizer.max_grad_norm;
    if (!std::isfinite(loss.mean()) || !std::isfinite(norm))
      throw Error(ErrorCode::kInternal, "hone bench", fmt::format("loss {} and gradient norm {} are not both finite", loss.mean(), norm));
    optimizer_.step(gradients, static_cast<float>(config_.training.learning_rate), static_cast<float>(norm > limit ? limit / norm : 1));
    return loss.mean();
  }

 private:
  const BenchTrainOptions& options_;
  Config config_;
  models::CausalLm model_;
  train::Parameters parameters_;
  optim::AdamW optimizer_;
  int64_t done_ = 0;
};

void refuse_if_too_large(uint64_t needed, const char* what, const char* hint) {
  const uint64_t available = train::available_memory() + train::resident_memory();
  if (available <= train::resident_memory() || needed <= available) return;
  throw Error(ErrorCode::kOutOfMemory, "memory", fmt::format("{} about {:.1f} GiB; {:.1f} GiB are available", what, static_cast<double>(needed) / (1 << 30),
                                                             static_cast<double>(available) / (1 << 30)), hint);
}

// Bytes of the weights once they are held as the mode wants them.
uint64_t held_bytes(const Mode& mode, const models::RandomSource& source) {
  if (mode.held_bits == 0) return source.bytes();
  const models::ModelConfig& c = source.config();
  const int64_t tables = c.vocab_size * c.hidden_size * (c.tied_head ? 1 : 2);
  return static_cast<uint64_t>(tables * 2 + (source.values() - tables) * mode.held_bits / 8);
}

double median_step(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double flops_of(const std::vector<profile::Entry>& entries) {
  double sum = 0;
  for (const profile::Entry& entry : entries)
    if (entry.kernel.empty()) sum += entry.cost.flops;
  return sum;
}

double measured_peak(const Mode& mode) {
  const Isa isa = kernels::kernels().isa;
  const double peak = kernels::peak_gflops(isa, mode.peak, ThreadPool::global());
  return 1e9 * (peak > 0 ? peak : kernels::peak_gflops(isa, kernels::Precision::kF32, ThreadPool::global()));
}

}  // namespace

std::vector<std::string> bench_mode_names() {
  std::vector<std::string> names;
  for (const Mode& mode : kModes) names.emplace_back(mode.name);
  return names;
}

BenchTrainResult bench_train(const BenchTrainOptions& options) {
  check_counts(options);
  const Mode& mode = mode_named(options.mode);
  const models::ModelConfig config = bench_shape(options.shape);

  BenchTrainResult r;
  r.cpu = cpu_model();
  r.isa = name(kernels::kernels().isa);
  r.threads = ThreadPool::global().size();
  r.shape = options.shape;
  r.mode = options.mode;
  r.batch = options.batch;
  r.seq = options.seq;
  r.rank = options.rank;
  r.checkpointing = options.checkpointing;
  r.peak_flops = measured_peak(mode);

  const auto begun = Clock::now();
  const models::RandomSource source(config, mode.stored, options.seed, options.shape);
  r.architecture = fmt::format("{}, {} layers, width {}, {} heads, vocabulary {}", models::name(config.family), config.layers, config.hidden_size,
                               config.heads, config.vocab_size);
  r.frozen_values = source.values();
  r.weight_bytes = held_bytes(mode, source);
  refuse_if_too_large(r.weight_bytes, "the weights alone take", "choose a smaller --shape, or --mode nf4");
  TrainBench bench(options, mode, source);
  for (const auto& leaf : bench.parameters()) r.trainable_values += leaf->value.elements();
  train::MemoryQuestion question;
  question.tokens = question.supervised = options.batch * options.seq;
  question.longest = options.seq;
  question.checkpointing = options.checkpointing;
  const train::MemoryPlan plan = train::plan_memory(bench.model(), question);
  refuse_if_too_large(r.weight_bytes + plan.parameters + plan.optimizer + plan.activations + plan.working, "training takes",
                      "try --checkpointing, or a smaller --seq");
  r.model_seconds = seconds_from(begun);

  profile::start();  // for the count of operations; what recording costs is far below what a first step is known to
  r.first_loss = bench.step();
  r.step_flops = flops_of(profile::stop());
  r.first_step_seconds = seconds_from(begun);

  for (int64_t i = 0; i < options.steps; ++i) {
    const auto start = Clock::now();
    r.last_loss = bench.step();
    r.step_seconds.push_back(seconds_from(start));
  }
  r.median_seconds = median_step(r.step_seconds);
  r.tokens_per_second = static_cast<double>(options.batch * options.seq) / r.median_seconds;
  if (r.peak_flops > 0) r.peak_share = r.step_flops / r.median_seconds / r.peak_flops;

  if (options.profile_steps > 0) {
    profile::start();
    const auto start = Clock::now();
    for (int64_t i = 0; i < options.profile_steps; ++i) r.last_loss = bench.step();
    r.profiled_seconds = seconds_from(start);
    r.profile = profile::stop();
    r.profiled_steps = options.profile_steps;
  }
  r.peak_memory = train::peak_resident_memory();
  return r;
}

}  // namespace hone::recipes
