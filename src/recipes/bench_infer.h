// `hone bench infer`: how fast this machine reads prompts and writes answers with a model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hone::recipes {

struct BenchInferOptions {
  std::string model;                           // a file, folder or name
  int64_t prompt = 512;                        // tokens, random
  int64_t tokens = 64;                         // of each answer
  std::vector<int64_t> sequences = {1, 4, 16};  // that answer at once, each its own prompt of 128 tokens
  int64_t repeat = 3;                          // the median counts
  std::function<bool()> interrupted;
};

struct BenchInferResult {
  struct Decode {
    int64_t sequences = 0;
    double tokens_per_second = 0;   // of all together, once all have begun to answer
    double first_token_seconds = 0;  // until the last of them had its first token
  };
  std::string cpu, isa, model;
  int threads = 0;
  double load_seconds = 0;
  double prompt_tokens_per_second = 0;
  std::vector<Decode> decode;
  uint64_t peak_memory = 0;
};

/// Through the same engine that serves. Throws Error for a model that cannot be opened or a context that is too short.
BenchInferResult bench_infer(const BenchInferOptions& options);

}  // namespace hone::recipes
