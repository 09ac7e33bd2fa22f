// How much memory a run will take, before it takes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/causal_lm.h"

namespace hone::train {

/// What decides a run's memory besides the model itself.
struct MemoryQuestion {
  int64_t tokens = 0;          // per micro-batch (batch_size × cutoff_length at most)
  int64_t longest = 0;         // tokens of the longest sample at most
  int64_t supervised = 0;      // labelled tokens per micro-batch at most
  bool checkpointing = false;
  uint64_t program_bytes = 0;  // resident now, besides weights, parameters and moments: code, tokenizer, data
};

/// Bytes.
struct MemoryPlan {
  uint64_t mapped = 0;       // weights read in the file, in memory while they are used, given back under pressure
  uint64_t weights = 0;      // in memory of their own
  uint64_t parameters = 0;   // trained values and gradients
  uint64_t optimizer = 0;    // both moments
  uint64_t activations = 0;  // kept for the backward pass
  uint64_t working = 0;      // the largest temporary set: one block's backward pass, or the head's logits chunk
  uint64_t program = 0;      // code, tokenizer, data cache
  uint64_t peak() const { return mapped + weights + parameters + optimizer + activations + working + program; }
};

MemoryPlan plan_memory(models::CausalLm& model, const MemoryQuestion& question);

/// Memory the system can still give, from /proc/meminfo (and the control group's limit); 0 when unknown.
uint64_t available_memory();
/// This process's resident memory now, and at its highest.
uint64_t resident_memory();
uint64_t peak_resident_memory();

}  // namespace hone::train
