// Which layers receive adapters, of what kind, and how they begin.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::models {

/// How A and B begin.
enum class LoraStart {
  kZero,      // A uniform in ±1/√K, B zero (of the embedding: A zero, B normal): the model's output is unchanged
  kGaussian,  // A normal with standard deviation 1/R, B zero
  kPissa,     // the weight's R largest singular values and vectors, which the weight loses (Meng et al. 2024)
  kOlora,     // the first R columns of Q and rows of R of the weight's QR decomposition, which it loses (Büyükakyüz 2024)
};

/// Hu et al. 2021; rsLoRA: Kalajdzievski 2023; DoRA: Liu et al. 2024.
struct LoraOptions {
  int64_t rank = 16;
  double alpha = 32;
  float dropout = 0;
  bool rank_stabilized = false;          // scale alpha / √R instead of alpha / R
  std::vector<std::string> targets;      // see lora_targets in names.h; empty: every linear layer
  /// Ranks and alphas of single modules: regular expressions of the end of a name, as in PEFT. The first that matches counts.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  bool dora = false;
  LoraStart start = LoraStart::kZero;
  std::vector<std::string> whole;        // modules whose weights are trained themselves (PEFT's modules_to_save), by the ends of their names
  uint64_t seed = 0;

  int64_t rank_of(std::string_view module) const;
  double alpha_of(std::string_view module) const;
};

}  // namespace hone::models
