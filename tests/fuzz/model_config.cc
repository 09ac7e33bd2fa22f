// A config.json of a model.
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "fuzz/target.h"
#include "models/config.h"

namespace hone::fuzz {
namespace {

void run_model_config(const uint8_t* data, size_t size) {
  const models::ModelConfig config = models::config_from_json(parse_json(text_of(data, size), "config.json"), "config.json");
  hold(config.heads > 0 && config.kv_heads > 0 && config.heads % config.kv_heads == 0 && config.hidden_size > 0 && config.vocab_size > 0, "the numbers of a configuration fit each other");
  models::attention_scale(config);
}

const Registered registered_model_config({"model_config", run_model_config, 3000,
                             {"\"architectures\"", "\"model_type\"", "\"hidden_size\"", "\"num_hidden_layers\"", "\"num_attention_heads\"", "\"num_key_value_heads\"", "\"head_dim\"", "\"vocab_size\"", "\"rope_scaling\"", "\"rope_type\"", "\"yarn\"", "\"llama3\"", "\"linear\"",
                              "\"factor\"", "\"eos_token_id\"", "\"hidden_act\"", "\"sliding_window\"", "\"kv_lora_rank\"", "\"n_routed_experts\"", "\"num_experts_per_tok\"", "\"topk_group\"", "\"n_group\"", "\"quantization_config\"", "null", "true", "[]", "{}", "-1", "1e999"},
                             {"models/llama/config.json", "models/llama3_rope/config.json", "models/qwen2_yarn/config.json", "models/qwen3/config.json", "models/deepseek_v2/config.json", "models/deepseek_v3/config.json"}});

}  // namespace
}  // namespace hone::fuzz
