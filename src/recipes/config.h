// What a YAML file (and key=value words after it) tells hone to do. docs/config.md lists every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/config.h"
#include "eval/one_score.h"

namespace hone::recipes {

struct ModelSettings {
  std::string base;                   // a GGUF file, a Hugging Face folder, or a name under $HONE_MODELS
  std::string adapter = "lora";       // lora, full
  std::string quantization = "auto";  // auto (as stored), bf16, f32, nf4
  std::string chat_template;          // a file or a known name; empty: the model's own
};

struct LoraSettings {
  int64_t r = 16;
  double alpha = 32;
  double dropout = 0;
  std::vector<std::string> target;  // empty: every linear layer
  std::vector<std::pair<std::string, int64_t>> rank_pattern;  // of single modules, in the order of the file
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> modules_to_save;  // trained whole
  bool dora = false;
  std::string init = "default";  // default, gaussian, pissa, olora
  bool rslora = false;
  double plus_ratio = 1;  // LoRA+: learning rate of B over that of A
};

struct TrainingSettings {
  std::string method = "sft";  // sft, pretrain
  int64_t batch_size = 1;
  int64_t gradient_accumulation = 1;
  double learning_rate = 0;  // 0: 1e-4 for LoRA, 2e-5 for full fine-tuning
  double epochs = 1;
  int64_t max_steps = 0;     // > 0 overrides the epochs; 0: as many as they take
  bool gradient_checkpointing = false;
  std::string precision = "bf16";  // of activations: bf16, f32
  int64_t seed = 42;
  int64_t eval_steps = 0;  // validate every N steps; 0: once per epoch
  int64_t save_steps = 100;
  int64_t keep_checkpoints = 2;
  std::string output_dir;  // empty: runs/<name of the YAML file>
  std::vector<std::string> sample_prompts;  // answered at every checkpoint
  int64_t sample_rows = 0;     // so many rows of the validation files too
  int64_t sample_tokens = 64;  // of an answer at most
};

struct OptimizerSettings {
  std::string type = "adamw";
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double max_grad_norm = 1;  // 0: no clipping
};

struct ScheduleSettings {
  std::string type = "cosine";  // cosine, linear, constant
  double warmup_ratio = 0.03;
  int64_t warmup_steps = 0;  // > 0 overrides the ratio
  double min_ratio = 0;
};

struct QuantizationSettings {
  std::string type;  // empty, nf4, none
  std::string weight_dtype, activate_dtype;
  bool double_quant = true;
};

struct EvaluationSettings {
  std::vector<std::string> metrics = {"bleu", "chrf", "rouge", "exact_match"};
  std::string bleu_tokenizer = "zh", rouge_tokenizer = "han";
  std::string class_field;  // of answers that are JSON objects: the key whose value is the class; empty: the whole answer
  eval::ScoreSettings score = eval::ScoreSettings::standard();
  int64_t bootstrap_samples = 1000;  // 0: no intervals
  double confidence = 0.95;
  int64_t seed = 12345;
  std::string perplexity = "sliding";    // sliding, chunks
  int64_t window = 512, stride = 256;  // tokens, of the perplexity of a text
  bool reasoning = false;  // is compared too, not only what a client gets as content
};

/// What counts as normal; values outside raise an alarm.
struct Bands {
  double grad_norm_min = 0.1, grad_norm_max = 5;
  double volatility_max = 0.05;
  int64_t volatility_window = 10;             // steps whose losses one volatility is made of
  double memory_min = 0.7, memory_max = 0.9;  // shares of the memory that the run may use
};

struct AlarmSettings {
  Bands bands;
  std::string webhook;  // address that is told of each new alarm; empty: none
};

struct PanelSettings {
  std::string address;  // where `hone train` shows the run; empty: only with --panel
  std::string keys;     // file with keys, for addresses that other machines reach
};

struct Config {
  ModelSettings model;
  LoraSettings lora;
  TrainingSettings training;
  OptimizerSettings optimizer;
  ScheduleSettings schedule;
  QuantizationSettings quantization;
  EvaluationSettings eval;
  std::string attention = "flash_attn";
  double dropout_rate = 0;
  bool early_stop = false;
  int64_t patience = 10;
  AlarmSettings alarms;
  PanelSettings panel;
  std::vector<std::string> report_to;  // tensorboard
  data::DataConfig data;
  std::string dataset_dir;         // of a dataset_info.json that names data.datasets
  std::vector<std::string> notes;  // on how the file was read: keys without effect, defaults of its own dialect
};

/// The largest peak learning rate that settings and the panel accept.
inline constexpr double kMaxLearningRate = 1000;

/// Reads a YAML file and applies `overrides` ("training.epochs=1") after it. Files of LLaMA-Factory, Axolotl and TRL are read as they
/// are (docs/neighbours.md). Throws Error{kInvalidInput} naming file, line and every unknown key with the nearest known one;
/// Error{kUnsupported} for settings that hone does not offer.
Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides);
/// The same from text; `where` names it.
Config parse_config(const std::string& yaml, const std::string& where, const std::vector<std::string>& overrides);

/// Every key with its value, as YAML that load_config reads back to the same Config.
std::string to_yaml(const Config& config);

/// The first key whose value matters to resuming and differs ("training.seed: 42 → 43"); empty when a run started with
/// `before` may go on with `after`.
std::string resume_difference(const Config& before, const Config& after);

/// Key, aliases, default and meaning of every setting, for `hone config`.
struct KeyHelp {
  std::string key, aliases, standard, meaning;
};
std::vector<KeyHelp> config_keys();

}  // namespace hone::recipes
