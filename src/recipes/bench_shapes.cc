#include "recipes/bench_shapes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_file.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

struct Named {
  const char* name;
  const char* config;  // the fields of the model's config.json that decide the arithmetic
  int layers;          // overrides num_hidden_layers where positive
};

constexpr const char* kSmolLm2 = R"({"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
  "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true, "rope_theta": 100000,
  "max_position_embeddings": 8192, "rms_norm_eps": 1e-5})";
constexpr const char* kR1Qwen = R"({"model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
  "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": false, "rope_theta": 10000,
  "max_position_embeddings": 131072, "rms_norm_eps": 1e-6})";
constexpr const char* kDeepSeekLlm = R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 30,
  "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 102400, "tie_word_embeddings": false, "rope_theta": 10000,
  "max_position_embeddings": 4096, "rms_norm_eps": 1e-6})";
constexpr const char* kV2Lite = R"({"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408,
  "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512, "q_lora_rank": null,
  "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 64, "n_shared_experts": 2,
  "num_experts_per_tok": 6, "first_k_dense_replace": 1, "routed_scaling_factor": 1.0, "topk_method": "greedy", "scoring_func": "softmax",
  "norm_topk_prob": false, "vocab_size": 102400, "tie_word_embeddings": false, "max_position_embeddings": 163840, "rope_theta": 10000,
  "rms_norm_eps": 1e-6, "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
  "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}})";

// The shapes with few layers have whole models' layers and heads at a size that a test machine holds in f32.
constexpr Named kShapes[] = {
    {"smollm2-135m", kSmolLm2, 0}, {"r1-qwen-1.5b", kR1Qwen, 0}, {"r1-qwen-1.5b-4l", kR1Qwen, 4},
    {"deepseek-llm-7b", kDeepSeekLlm, 0}, {"llama-7b-2l", kDeepSeekLlm, 2}, {"v2-lite-2l", kV2Lite, 2},
};

}  // namespace

std::vector<std::string> bench_shape_names() {
  std::vector<std::string> names;
  for (const Named& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

models::ModelConfig bench_shape(const std::string& name_or_path) {
  for (const Named& shape : kShapes)
    if (name_or_path == shape.name) {
      nlohmann::json json = nlohmann::json::parse(shape.config);
      if (shape.layers > 0) json["num_hidden_layers"] = shape.layers;
      return models::config_from_json(json, shape.name);
    }
  fs::path file = name_or_path;
  if (std::error_code ignored; fs::is_directory(file, ignored)) file /= "config.json";
  if (file.extension() == ".json") return models::config_from_json(read_json(file), file.string());
  const std::vector<std::string> names = bench_shape_names();
  const std::string near = nearest(name_or_path, names);
  throw Error(ErrorCode::kInvalidInput, "--shape", fmt::format("\"{}\" is neither a known shape nor a config.json", name_or_path),
              near.empty() ? fmt::format("known are {}; or name a model's config.json", fmt::join(names, ", ")) : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace hone::recipes
