// `hone bench train`: how fast a model of a given shape trains on this machine, without any model's files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/profile.h"

namespace hone::recipes {

struct BenchTrainOptions {
  std::string shape = "smollm2-135m";  // see bench_shapes.h
  std::string mode = "bf16";           // see bench_mode_names
  int64_t batch = 1, seq = 512;        // B segments of T tokens, packed into one micro-batch
  int64_t steps = 5;                   // timed, after one that is not
  int64_t profile_steps = 1;           // further ones whose ops are recorded; 0: no table
  int64_t rank = 16;                   // of LoRA on every linear layer
  bool checkpointing = false;
  uint64_t seed = 0;
  std::function<bool()> interrupted;
};

struct BenchTrainResult {
  std::string cpu, isa, shape, mode, architecture;
  int threads = 0;
  int64_t batch = 0, seq = 0, rank = 0;
  bool checkpointing = false;
  int64_t frozen_values = 0, trainable_values = 0;
  uint64_t weight_bytes = 0;  // frozen, as the mode holds them in a file

  std::vector<double> step_seconds;  // of the timed steps
  double median_seconds = 0;
  double tokens_per_second = 0;      // batch · seq / median_seconds
  double step_flops = 0;             // of the matrix products and attention of one step, as they were executed
  double peak_flops = 0;             // of all threads, measured: registers only, in the mode's arithmetic
  double peak_share = 0;             // step_flops / median_seconds / peak_flops
  uint64_t peak_memory = 0;          // resident
  double model_seconds = 0;          // to make the weights and the adapter
  double first_step_seconds = 0;     // from the call to the end of the first step, without measuring the processor's peak
  double first_loss = 0, last_loss = 0;

  int64_t profiled_steps = 0;
  double profiled_seconds = 0;                // of all of them
  std::vector<profile::Entry> profile;        // of all profiled steps, longest first
};

std::vector<std::string> bench_mode_names();

/// Trains LoRA on random tokens with random weights, step for step as train_model does. Throws Error for options that make no
/// sense and for models that do not fit.
BenchTrainResult bench_train(const BenchTrainOptions& options);

}  // namespace hone::recipes
