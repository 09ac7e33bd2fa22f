#include "recipes/foreign_keys.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"

namespace hone::recipes {
namespace {

using Use = ForeignMeaning::Use;
using Settings = std::vector<ForeignSetting>;

constexpr std::string_view kPreference = "hone trains by sft and pretrain; preference training is not offered";
constexpr std::string_view kTracking = "hone shows runs itself: --panel, hone runs, and report_to: tensorboard";
constexpr std::string_view kAddedTokens = "hone trains with the model's own vocabulary";

bool is_off(std::string_view value) { return value.empty() || value == "false" || value == "False" || value == "no" || value == "0" || value == "0.0" || value == "none" || value == "None" || value == "null"; }
bool is_on(std::string_view value) { return value == "true" || value == "True" || value == "yes" || value == "1"; }

// How a row of the table reads its value.
enum class Rule {
  kIgnored,        // says nothing about the result
  kRefused,        // unless it is off
  kRefusedIfOff,   // unless it is on (or absent)
  kTurnsOn,        // the settings hold when it is on
  kTurnsOff,       // the settings hold when it is off
};

struct Row {
  std::string_view key;  // "wandb_*": every key that begins so
  Rule rule;
  std::string_view hint;
  Settings settings = {};
};

const std::vector<Row>& table() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> t;
    const auto ignored = [&](std::initializer_list<std::string_view> keys, std::string_view word = "") {
      for (const std::string_view key : keys) t.push_back({key, Rule::kIgnored, word});
    };
    const auto refused = [&](std::initializer_list<std::string_view> keys, std::string_view hint) {
      for (const std::string_view key : keys) t.push_back({key, Rule::kRefused, hint});
    };
    // ---- computed
    t.push_back({"load_in_4bit", Rule::kTurnsOn, "", {{"model.quantization", "nf4"}}});
    t.push_back({"load_in_8bit", Rule::kTurnsOn, "", {{"model.quantization", "int8"}}});
    t.push_back({"train_on_prompt", Rule::kTurnsOn, "", {{"data.train_on", "all"}}});
    t.push_back({"mask_history", Rule::kTurnsOn, "", {{"data.train_on", "last"}}});
    t.push_back({"assistant_only_loss", Rule::kTurnsOff, "", {{"data.train_on", "all"}}});
    t.push_back({"completion_only_loss", Rule::kTurnsOff, "", {{"data.train_on", "all"}}});
    t.push_back({"neat_packing", Rule::kTurnsOn, "", {{"data.packing", "true"}}});
    t.push_back({"disable_gradient_checkpointing", Rule::kTurnsOff, "", {{"training.gradient_checkpointing", "true"}}});
    t.push_back({"use_unsloth_gc", Rule::kTurnsOn, "", {{"training.gradient_checkpointing", "true"}}});
    t.push_back({"lora_target_linear", Rule::kTurnsOn, "", {{"lora.target", "[all-linear]"}}});
    t.push_back({"pissa_init", Rule::kTurnsOn, "", {{"lora.init", "pissa"}}});
    t.push_back({"full_finetuning", Rule::kTurnsOn, "", {{"model.adapter", "full"}}});
    t.push_back({"do_train", Rule::kRefusedIfOff, "hone train trains; answers are scored with hone eval"});
    // ---- refused where they are used
    refused({"adapter_name_or_path", "lora_model_dir", "peft_model_id"},
            "an adapter is not trained further: continue its run with --resume, or put it into the weights first (hone export RUN --format safetensors) and train on that folder");
    refused({"loftq_config"}, "the base is quantised as model.quantization says; lora.init names how adapters begin");
    refused({"neftune_noise_alpha", "noisy_embedding_alpha"}, "noise on embeddings (NEFTune) is not offered; lora.dropout and dropout_rate are");
    refused({"lora_layers_to_transform", "layers_to_transform", "layers_pattern", "lora_bias", "bias", "unfrozen_parameters", "peft_layers_to_transform", "relora", "relora_steps"},
            "LoRA is put on the layers that lora.target names, in every block, without biases");
    refused({"new_special_tokens", "add_tokens", "add_special_tokens", "resize_vocab", "tokens", "added_tokens_overrides", "eos_token"}, kAddedTokens);
    refused({"rope_scaling"}, "positions are scaled as the model's own configuration says");
    refused({"shift_attn", "mixture_of_depths", "use_llama_pro", "use_galore", "use_apollo", "use_badam", "use_adam_mini", "use_muon", "optim_args", "optim_target_modules"}, "hone trains with AdamW and the model's own attention");
    refused({"moe_aux_loss_coef", "router_aux_loss_coef", "label_smoothing_factor", "label_smoothing", "use_dft_loss", "use_asft_loss"}, "the loss is the mean cross-entropy of the learned tokens");
    refused({"group_by_length"}, "rows are shuffled by the seed and packed: lengths cost nothing");
    refused({"interleave_probs"}, "give each dataset a weight: data.datasets: [{path: …, weight: 2}]");
    refused({"dataset_exact_deduplication"}, "hone data check names equal rows");
    refused({"split_special_tokens"}, "special tokens that a row writes are tokens");
    refused({"default_system", "default_system_message"}, "write the system message into the rows, or into a template of your own (model.chat_template)");
    refused({"tool_format"}, "tools are rendered as the model's own template does it");
    refused({"tokenized_path", "auto_find_batch_size", "ignore_data_skip", "do_predict"}, "name the rows and training.batch_size; answers are scored with hone eval");
    refused({"rl", "ref_model", "reward_model", "reward_model_type", "simpo_gamma", "dpo_label_smoothing"}, kPreference);
    refused({"pref_*", "ppo_*", "dpo_*", "kto_*", "orpo_*", "grpo_*"}, kPreference);
    refused({"lr_scheduler_kwargs", "cosine_min_lr_ratio", "cosine_constant_lr_ratio", "lr_groups", "embedding_lr", "embedding_lr_scale"}, "schedule.min_ratio says where the rate ends");
    // ---- without effect
    ignored({"trust_remote_code", "model_type", "tokenizer_type", "tokenizer_config", "tokenizer_use_fast", "use_fast_tokenizer", "processor_type", "model_revision", "strict", "cache_dir", "hub_model_id", "hf_use_auth_token",
             "device_map", "low_cpu_mem_usage", "offload_folder", "use_cache", "use_cpu", "no_cuda", "local_rank", "debug", "plugins", "full_determinism", "data_seed"});
    ignored({"pissa_iter", "pissa_convert"}, "the decomposition is made until it stands still, and what is saved fits the base as it was");
    ignored({"do_eval", "eval_strategy", "evaluation_strategy", "eval_on_start", "eval_delay", "evals_per_epoch", "eval_table_size", "eval_max_new_tokens", "eval_sample_packing", "eval_packing", "per_device_eval_batch_size",
             "eval_batch_size", "eval_accumulation_steps", "eval_causal_lm_metrics", "do_causal_lm_eval", "compute_accuracy", "prediction_loss_only", "predict_with_generate", "load_best_model_at_end", "metric_for_best_model",
             "greater_is_better", "do_bench_eval", "max_new_tokens"},
            "validation comes every eval_steps, or once per epoch, and RUN/best is kept");
    ignored({"logging_steps", "logging_strategy", "logging_first_step", "logging_dir", "log_level", "plot_loss", "run_name", "disable_tqdm", "include_num_input_tokens_seen", "include_tokens_per_second", "use_swanlab", "use_wandb",
             "use_tensorboard", "loss_watchdog_threshold", "loss_watchdog_patience"},
            "every step is recorded");
    ignored({"wandb_*", "swanlab_*", "mlflow_*", "comet_*", "trackio_*"}, kTracking);
    ignored({"save_strategy", "save_only_model", "save_safetensors", "save_on_each_node", "saves_per_epoch", "overwrite_output_dir"}, "checkpoints come every save_steps; --overwrite starts a folder again");
    ignored({"preprocessing_num_workers", "preprocessing_batch_size", "overwrite_cache", "streaming", "buffer_size", "data_shared_file_system", "dataset_prepared_path", "dataset_processes", "dataset_num_proc", "dataset_batch_size",
             "dataset_kwargs", "remove_unused_columns", "label_names", "skip_prepare_dataset", "shuffle_merged_datasets", "pad_to_sequence_len", "pad_to_multiple_of",
             "padding_free", "packing_strategy", "ignore_pad_token_for_loss", "pad_token", "dataloader_*"});
    ignored({"xformers_attention", "flash_attention", "sdp_attention", "eager_attention", "flex_attention", "s2_attention", "use_unsloth", "enable_liger_kernel", "use_liger_kernel", "use_liger", "liger_*", "cut_cross_entropy",
             "use_kt", "unsloth_*", "use_reentrant_gc", "gradient_checkpointing_kwargs", "activation_offloading", "upcast_layernorm", "upcast_lmhead_output", "torch_compile", "torch_compile_backend", "torch_empty_cache_steps",
             "lora_fan_in_fan_out", "fan_in_fan_out", "lora_task_type", "task_type", "peft_type", "inference_mode", "create_new_adapter", "loraplus_lr_embedding", "tf32", "fp16_full_eval", "bf16_full_eval", "use_bnb", "bnb_config_kwargs",
             "bnb_4bit_quant_storage", "average_tokens_across_devices"});
    ignored({"ddp_*", "deepspeed", "deepspeed_*", "fsdp", "fsdp_*", "ray_*", "tensor_parallel_*", "context_parallel_*", "push_to_hub*", "hub_*", "hf_hub_*", "ms_hub_*", "om_hub_*", "export_*", "infer_*"});
    return t;
  }();
  return rows;
}

const Row* row_of(std::string_view key) {
  for (const Row& row : table())
    if (row.key.ends_with('*') ? key.starts_with(row.key.substr(0, row.key.size() - 1)) : row.key == key) return &row;
  return nullptr;
}

// Keys whose values are more than on and off.
constexpr std::array kSpecial = {"bf16", "fp16", "pure_bf16", "dtype", "torch_dtype", "bnb_4bit_compute_dtype", "quantization_bit", "bnb_4bit_quant_type", "use_gradient_checkpointing", "resume_from_checkpoint",
                                 "mix_strategy", "special_tokens", "roles_to_train", "train_on_eos", "loss_type", "enable_thinking", "quantization_method", "dataset_text_field", "dataset_train_split", "dataset_test_split", "use_peft", "excess_length_strategy", "truncation_mode"};

ForeignMeaning computed(Settings settings = {}) { return {Use::kComputed, std::move(settings), ""}; }
ForeignMeaning declined(std::string_view hint) { return {Use::kRefused, {}, std::string(hint)}; }
ForeignMeaning ignore(std::string_view hint = "") { return {Use::kWithoutEffect, {}, std::string(hint)}; }

std::optional<ForeignMeaning> special(std::string_view key, std::string_view value) {
  if (std::find(kSpecial.begin(), kSpecial.end(), key) == kSpecial.end()) return std::nullopt;
  const bool off = is_off(value);
  if (key == "bf16" || key == "pure_bf16") return off && !value.empty() && key == "bf16" ? ignore("training.precision says what activations are: bf16 or f32") : computed(off ? Settings{} : Settings{{"training.precision", "bf16"}});
  if (key == "excess_length_strategy") return value == "truncate" || value == "raise" ? computed({{"data.cut_off", value == "raise" ? "refuse" : "truncate_prompt_start"}}) : computed({{"data.cut_off", "drop"}});
  if (key == "truncation_mode") return off || value == "keep_start" ? ignore("of a row that is too long the prompt's start is left out, never the answer") : declined("data.cut_off says what becomes of long rows");
  if (key == "use_peft") return computed({{"model.adapter", off ? "full" : "lora"}});
  if (key == "fp16") return off || value == "auto" ? computed() : ForeignMeaning{Use::kComputed, {{"training.precision", "bf16"}}, ""};
  if (key == "dtype" || key == "torch_dtype" || key == "bnb_4bit_compute_dtype") {
    if (value == "float32" || value == "fp32") return computed({{"training.precision", "f32"}});
    if (value == "bfloat16" || value == "bf16" || value == "float16" || value == "fp16") return computed({{"training.precision", "bf16"}});
    return off || value == "auto" ? computed() : declined("training.precision is bf16 or f32");
  }
  if (key == "quantization_bit") {
    if (off) return computed();
    if (value == "4" || value == "8") return computed({{"model.quantization", value == "4" ? "nf4" : "int8"}});
    return declined("model.quantization is nf4 (4 bits), int8, bf16 or f32");
  }
  if (key == "bnb_4bit_quant_type") return off || value == "nf4" ? computed() : declined("4 bits are nf4");
  if (key == "use_gradient_checkpointing") return computed({{"training.gradient_checkpointing", off ? "false" : "true"}});
  if (key == "resume_from_checkpoint") return off ? computed() : declined("continue a run with hone train FILE --resume");
  if (key == "mix_strategy") return off || value == "concat" ? computed() : declined("give each dataset a weight: data.datasets: [{path: …, weight: 2}]");
  if (key == "special_tokens") return off || value == "{pad_token}" ? computed() : declined(kAddedTokens);
  if (key == "roles_to_train") return off || value == "assistant" || value == "[assistant]" ? computed() : declined("the assistant's words are learned; data.train_on: all learns everything");
  if (key == "train_on_eos") return off || value == "turn" ? computed() : declined("every answer is learned with the token that ends its turn");
  if (key == "loss_type") return off || value == "nll" ? computed() : declined("the loss is the mean cross-entropy of the learned tokens");
  if (key == "quantization_method") return off || value == "bnb" || value == "bitsandbytes" ? computed() : computed({{"model.quantization", std::string(value)}});
  if (key == "dataset_text_field") return off || value == "text" || value == "messages" ? computed() : declined("name the column: data.datasets: [{path: …, format: text, columns: {text: NAME}}]");
  if (key == "dataset_train_split") return off || value == "train" ? computed() : declined("name a file that holds just these rows");
  if (key == "dataset_test_split") return off || value == "test" || value == "validation" ? computed() : declined("name the file in data.validation");
  return value.empty() || is_on(value) ? computed() : declined("templates are rendered as the model's own defaults say");  // enable_thinking
}

}  // namespace

std::string_view name(Dialect dialect) {
  switch (dialect) {
    case Dialect::kOwn: return "hone";
    case Dialect::kLlamaFactory: return "LLaMA-Factory";
    case Dialect::kAxolotl: return "Axolotl";
    case Dialect::kTrl: return "TRL";
    case Dialect::kUnsloth: return "Unsloth";
  }
  return "hone";
}

Dialect dialect_of(const std::vector<std::string>& keys) {
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return std::find(keys.begin(), keys.end(), name) != keys.end(); });
  };
  // hone's own groups make a file hone's, whatever aliases stand beside them.
  for (const std::string& key : keys)
    if (key.find('.') != std::string::npos) return Dialect::kOwn;
  if (has({"model", "training", "lora", "schedule", "quantization", "data"})) return Dialect::kOwn;
  if (has({"base_model"}) && has({"micro_batch_size", "sequence_len", "val_set_size", "dataset_prepared_path", "datasets"})) return Dialect::kAxolotl;
  if (has({"model_name_or_path"}) && has({"finetuning_type", "dataset_dir", "do_train", "cutoff_len", "lora_target"}) && has({"stage", "template"})) return Dialect::kLlamaFactory;
  if (has({"model_name_or_path", "model_name"}) && has({"dataset_name", "use_peft", "dataset_text_field", "lora_target_modules", "target_modules", "load_in_4bit", "max_seq_length"}))
    return has({"model_name_or_path"}) ? Dialect::kTrl : Dialect::kUnsloth;
  return Dialect::kOwn;
}

// As their own code has them: LLaMA-Factory's finetuning_args and data_args over transformers' TrainingArguments, Axolotl's schema,
// TRL's SFTConfig and ModelConfig with PEFT's targets, Unsloth's from_pretrained and get_peft_model.
std::vector<ForeignSetting> defaults_of(Dialect dialect, const ForeignFile& file) {
  static const Settings transformers = {{"training.epochs", "3"}, {"training.batch_size", "8"}, {"schedule.type", "linear"}, {"schedule.warmup_ratio", "0"}, {"training.save_steps", "500"}};
  Settings defaults;
  const auto has = [&](std::string_view key) { return std::find(file.keys.begin(), file.keys.end(), key) != file.keys.end(); };
  const auto add = [&](const char* key, std::string yaml) {
    if (!file.settings.contains(key)) defaults.push_back({key, std::move(yaml)});
  };
  const auto is = [&](const char* key, std::string_view yaml) {
    const auto found = file.settings.find(key);
    return found != file.settings.end() && found->second == yaml;
  };
  if (dialect == Dialect::kLlamaFactory) {
    add("training.learning_rate", "5e-5");
    add("lora.r", "8");
    const auto rank = file.settings.find("lora.r");
    add("lora.alpha", rank == file.settings.end() ? "16" : fmt::format("{}", 2 * std::atof(rank->second.c_str())));
    add("data.packing", is("training.method", "pretrain") || is("training.method", "pt") ? "true" : "false");
  }
  if (dialect == Dialect::kAxolotl) {
    add("model.adapter", "full");
    add("data.packing", "false");
    add("data.cutoff_length", "512");
    add("data.cut_off", "drop");
  }
  if (dialect == Dialect::kTrl) {
    const auto adapter = std::find_if(file.settings.begin(), file.settings.end(), [](const auto& s) { return s.first.starts_with("lora."); });
    if (!file.settings.contains("model.adapter") && adapter != file.settings.end())
      throw Error(ErrorCode::kInvalidInput, "use_peft", fmt::format("is missing: without it TRL trains every weight and passes over {}", adapter->first), "say use_peft: true (LoRA) or use_peft: false (full fine-tuning)");
    add("model.adapter", "full");
    add("data.cutoff_length", "1024");
    if (is("model.adapter", "lora")) {
      add("lora.dropout", "0.05");
      add("lora.target", "[q_proj, v_proj]");
    }
  }
  if (dialect == Dialect::kUnsloth) {
    add("lora.alpha", "16");
    if (!has("load_in_4bit") && !has("load_in_8bit") && !has("full_finetuning")) add("model.quantization", "nf4");
  }
  if (dialect == Dialect::kTrl || dialect == Dialect::kUnsloth) {
    add("training.learning_rate", "2e-5");
    add("data.packing", "false");
  }
  if (dialect == Dialect::kLlamaFactory || dialect == Dialect::kTrl || dialect == Dialect::kUnsloth)
    for (const ForeignSetting& setting : transformers) add(setting.key.c_str(), setting.yaml);
  return defaults;
}

std::optional<ForeignMeaning> foreign_meaning(std::string_view key, std::string_view value) {
  if (auto found = special(key, value)) return found;
  const Row* row = row_of(key);
  if (!row) return std::nullopt;
  switch (row->rule) {
    case Rule::kIgnored: return ignore(row->hint);
    case Rule::kRefused: return is_off(value) ? computed() : declined(row->hint);
    case Rule::kRefusedIfOff: return value.empty() || is_on(value) ? computed() : declined(row->hint);
    case Rule::kTurnsOn: return computed(is_on(value) ? row->settings : Settings{});
    case Rule::kTurnsOff: return computed(!value.empty() && is_off(value) ? row->settings : Settings{});
  }
  return std::nullopt;
}

std::vector<std::string> foreign_keys() {
  std::vector<std::string> keys(kSpecial.begin(), kSpecial.end());
  for (const Row& row : table()) keys.emplace_back(row.key);
  return keys;
}

bool is_family_template(std::string_view name) {
  static constexpr std::array kFamilies = {"qwen", "qwen2", "qwen2.5", "qwen-2.5", "qwen3", "llama2", "llama-2", "llama-3", "llama-3.1", "llama-3.2", "llama-3.3", "llama3.1", "mistral", "ministral", "gemma", "gemma2", "gemma-2", "gemma3", "gemma-3",
                                           "phi", "phi-3", "phi3", "phi-4", "phi4", "deepseek3", "deepseekr1", "deepseekcoder", "yi", "zephyr", "cohere", "granite", "granite3", "internlm2", "baichuan2", "chatglm3", "glm4", "olmo", "smollm", "smollm2",
                                           "falcon", "starchat", "exaone", "hunyuan", "solar", "tokenizer_default", "tokenizer_default_fallback_chatml"};
  return std::find(kFamilies.begin(), kFamilies.end(), name) != kFamilies.end();
}

}  // namespace hone::recipes
