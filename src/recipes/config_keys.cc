#include "recipes/config_keys.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "recipes/config_key_kinds.h"
#include "recipes/config_values.h"
#include "recipes/foreign_keys.h"
#include "store/url.h"

namespace hone::recipes {
namespace {

std::string text_list(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const std::string& text : texts) quoted.push_back(in_quotes(text));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

[[noreturn]] void later(Where where, const std::string& what, const std::string& instead) {
  throw Error(ErrorCode::kUnsupported, where, what + " arrives in a later version", instead);
}

// A list of names of modules: in quotes where YAML would read a name otherwise.
std::string name_list(const std::vector<std::string>& names) {
  std::vector<std::string> written;
  for (const std::string& name : names) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("_-.").find(c) != std::string_view::npos; });
    written.push_back(plain ? name : in_quotes(name));
  }
  return fmt::format("[{}]", fmt::join(written, ", "));
}

// A mapping from patterns to numbers, in its order.
template <class Access, class Read>
Key pattern(std::string path, std::vector<std::string> aliases, Access access, Read read, std::string meaning) {
  return {std::move(path), std::move(aliases), std::move(meaning), false,
          [=](Config& c, const YAML::Node& node, Where where) {
            access(c).clear();
            if (!node.IsMap()) bad(where, "a mapping from module names to numbers", node);
            for (const auto& entry : node) access(c).emplace_back(entry.first.Scalar(), read(entry.second, fmt::format("{}: {}", where, entry.first.Scalar())));
          },
          [=](const Config& c) {
            std::vector<std::string> entries;
            for (const auto& [name, value] : access(const_cast<Config&>(c))) entries.push_back(fmt::format("{}: {}", in_quotes(name), value));
            return fmt::format("{{{}}}", fmt::join(entries, ", "));
          }};
}

std::vector<Key> make_table() {
  constexpr int64_t kMany = int64_t{1} << 40;
  const Words quantization = {{"auto", "auto"}, {"none", "auto"}, {"gguf", "auto"}, {"bf16", "bf16"}, {"bfloat16", "bf16"},
                              {"f32", "f32"}, {"float32", "f32"}, {"nf4", "nf4"}, {"4bit", "nf4"}, {"bnb_4bit", "nf4"},
                              {"bitsandbytes_4bit", "nf4"}, {"awq", "awq"}, {"gptq", "gptq"}, {"qat", "qat"},
                              {"int8", "int8"}, {"8bit", "int8"}, {"bitsandbytes_8bit", "int8"}};
  const auto quantization_of = [quantization](const YAML::Node& node, Where where) {
    const std::string found = read_word(node, where, quantization);
    if (found == "awq" || found == "gptq" || found == "qat")
      later(where, fmt::format("quantization \"{}\"", node.Scalar()), "use nf4 (4 bits, double quantisation), int8, bf16, or a GGUF model's own blocks");
    return found;
  };
  std::vector<Key> keys;
  const auto add = [&](Key key) { keys.push_back(std::move(key)); };
  // ---- model
  add(text("model.base", {"model_name_or_path", "base_model", "model_name", "model.path", "model.name"}, FIELD(model.base), "GGUF file, Hugging Face folder, or a name under $HONE_MODELS"));
  add({"model.adapter", {"finetuning_type", "adapter"}, "lora, or full for full fine-tuning; qlora is lora on an nf4 base", false,
       [](Config& c, const YAML::Node& node, Where where) {
         c.model.adapter = read_word(node, where, {{"lora", "lora"}, {"qlora", "qlora"}, {"full", "full"}, {"none", "full"}});
         if (c.model.adapter == "qlora") {
           c.model.adapter = "lora";
           c.model.quantization = "nf4";
         }
       },
       [](const Config& c) { return c.model.adapter; }});
  add({"model.quantization", {"load_in"}, "the frozen base: auto (as stored), bf16, f32, nf4, or int8 (fastest: products in bytes)", false,
       [quantization_of](Config& c, const YAML::Node& node, Where where) { c.model.quantization = quantization_of(node, where); },
       [](const Config& c) { return c.model.quantization; }});
  add({"model.chat_template", {"template", "chat_template"}, "a Jinja file or a known name; empty, or a family's name (qwen, mistral …): the model's own", false,
       [](Config& c, const YAML::Node& node, Where where) {
         c.model.chat_template = scalar(node, where, "text");
         std::error_code ignored;
         if (!is_family_template(c.model.chat_template) || std::filesystem::exists(c.model.chat_template, ignored)) return;
         c.notes.push_back(fmt::format("template {}: the model's own chat template is used", c.model.chat_template));
         c.model.chat_template.clear();
       },
       [](const Config& c) { return in_quotes(c.model.chat_template); }});
  // ---- lora
  add(integer("lora.r", {"lora_rank", "lora_r", "lora.rank", "r"}, 1, 4096, FIELD(lora.r), "rank R of the adapter"));
  add(number("lora.alpha", {"lora_alpha"}, 0, 1e6, FIELD(lora.alpha), "the adapter is scaled by alpha / R"));
  add(number("lora.dropout", {"lora_dropout"}, 0, 0.99, FIELD(lora.dropout), "dropout on the adapter's input"));
  add({"lora.target", {"lora_target", "lora.target_modules", "target_modules", "lora_target_modules"},
       "all-linear, attention, mlp, routed_experts, shared_experts, mla, module names (embed_tokens and lm_head too), or regular expressions of whole names", false,
       [](Config& c, const YAML::Node& node, Where where) {
         c.lora.target = words_of(node, where);
         if (c.lora.target == std::vector<std::string>{"all"}) c.lora.target = {"all-linear"};
       },
       [](const Config& c) { return name_list(c.lora.target); }});
  add(pattern("lora.rank_pattern", {"rank_pattern"}, FIELD(lora.rank_pattern), [](const YAML::Node& node, Where where) { return read_integer(node, where, 1, 4096); }, "ranks of single modules: {q_proj: 8}; expressions of the end of a name, the first that matches counts"));
  add(pattern("lora.alpha_pattern", {"alpha_pattern"}, FIELD(lora.alpha_pattern), [](const YAML::Node& node, Where where) { return read_number(node, where, 0, 1e6); }, "the same for alpha"));
  add({"lora.modules_to_save", {"modules_to_save", "lora_modules_to_save", "additional_target"}, "modules that are trained whole, beside the adapter, by the ends of their names: embed_tokens, lm_head, norm", false,
       [](Config& c, const YAML::Node& node, Where where) { c.lora.modules_to_save = words_of(node, where); },
       [](const Config& c) { return name_list(c.lora.modules_to_save); }});
  add(flag("lora.dora", {"use_dora", "peft_use_dora"}, FIELD(lora.dora), "learn the lengths of the weights' rows apart from their directions (DoRA)"));
  add({"lora.init", {"init_lora_weights", "lora.init_lora_weights"}, "how A and B begin: default (B zero), gaussian, or with a part of the weight, pissa or olora", false,
       [](Config& c, const YAML::Node& node, Where where) { c.lora.init = read_word(node, where, {{"default", "default"}, {"true", "default"}, {"gaussian", "gaussian"}, {"pissa", "pissa"}, {"olora", "olora"}}); },
       [](const Config& c) { return c.lora.init; }});
  add(flag("lora.rslora", {"use_rslora"}, FIELD(lora.rslora), "scale by alpha / sqrt(R) instead"));
  add(number("lora.plus_ratio", {"loraplus_lr_ratio"}, 0.01, 1000, FIELD(lora.plus_ratio), "LoRA+: learning rate of B over that of A"));
  // ---- data
  add(datasets_key("data.datasets", {"data.path", "data.train", "dataset", "datasets", "train_file", "dataset_name", "data"}, &data::DataConfig::datasets, "files to train on: paths (a list, or between commas), names of dataset_info.json, or a list of {path, type, format, columns, roles, max_rows, weight}"));
  add(datasets_key("data.validation", {"validation_file", "eval_dataset", "test_datasets", "data.eval"}, &data::DataConfig::validation, "files to validate on"));
  add(text("data.dataset_dir", {"dataset_dir"}, FIELD(dataset_dir), "folder of the dataset_info.json that names datasets; empty: data, where it holds one"));
  add(integer("data.max_rows", {"max_samples"}, 0, kMany, FIELD(data.max_rows), "of every file only the first so many rows; 0: all"));
  add(number("data.validation_share", {"val_size", "val_set_size", "validation_split"}, 0, 0.99, FIELD(data.validation_share), "share of the rows set aside for validation"));
  add(integer("data.cutoff_length", {"cutoff_len", "max_seq_length", "max_length", "sequence_length", "sequence_len"}, 2, 1 << 20, FIELD(data.cutoff_length), "tokens per row"));
  add({"data.cut_off", {"cutoff_policy"}, "truncate_prompt_start, drop or refuse a sample that is too long", false,
       [](Config& c, const YAML::Node& node, Where where) { c.data.cut_off = data::parse_cut_off_policy(scalar(node, where, "a word"), where); },
       [](const Config& c) { return std::string(data::name(c.data.cut_off)); }});
  add({"data.train_on", {"train_on_inputs"}, "assistant (its words only), last (of a chat the last answer only) or all", false,
       [](Config& c, const YAML::Node& node, Where where) {
         const std::string found = scalar(node, where, "a word");
         if (found == "true" || found == "false") c.data.train_on = found == "true" ? data::TrainOn::kAll : data::TrainOn::kAssistant;
         else c.data.train_on = data::parse_train_on(found, where);
       },
       [](const Config& c) { return std::string(data::name(c.data.train_on)); }});
  const auto edge = [&](const char* path, data::EdgeTurns data::TurnRules::*field, const char* meaning) {
    add({path, {}, meaning, false, [field](Config& c, const YAML::Node& node, Where where) { c.data.turns.*field = data::parse_edge_turns(scalar(node, where, "a word"), where); },
         [field](const Config& c) { return std::string(data::name(c.data.turns.*field)); }});
  };
  edge("data.leading_assistant", &data::TurnRules::leading_assistant, "an assistant's turn before any user's: keep, trim (cut it off) or drop (leave the row out)");
  edge("data.trailing_turns", &data::TurnRules::trailing_turns, "turns after the last answer, which only train_on: all learns: trim, keep or drop");
  add({"data.repeated_turns", {}, "two turns of one role in a row: keep, merge (one turn, with an empty line between) or drop", false,
       [](Config& c, const YAML::Node& node, Where where) { c.data.turns.repeated_turns = data::parse_repeated_turns(scalar(node, where, "a word"), where); },
       [](const Config& c) { return std::string(data::name(c.data.turns.repeated_turns)); }});
  add(flag("data.packing", {"packing", "sample_packing"}, FIELD(data.packing), "several samples share a row, without seeing each other"));
  add(flag("data.shuffle", {"shuffle"}, FIELD(data.shuffle), "a new order in every epoch"));
  add({"data.max_bad_rows", {"max_bad_rows"}, "malformed rows allowed per file: 1%, 0.01 or 100", false,
       [](Config& c, const YAML::Node& node, Where where) { c.data.max_bad_rows = data::parse_bad_row_limit(scalar(node, where, "a limit"), where); },
       [](const Config& c) {
         const bool share = c.data.max_bad_rows.unit == data::BadRowLimit::Unit::kShare;
         return share ? fmt::format("\"{}%\"", c.data.max_bad_rows.value * 100) : fmt::format("{}", static_cast<int64_t>(c.data.max_bad_rows.value));
       }});
  // ---- training
  add({"training.method", {"stage"}, "sft, or pretrain (every token is learned)", false,
       [](Config& c, const YAML::Node& node, Where where) {
         static const std::set<std::string> others = {"rm", "ppo", "dpo", "kto", "orpo", "simpo", "grpo", "rlhf"};
         if (node.IsScalar() && others.contains(node.Scalar()))
           throw Error(ErrorCode::kUnsupported, where, fmt::format("{}: preference training is not offered", node.Scalar()), "hone trains by sft and pretrain: keep the chosen answers as an sft data set");
         c.training.method = read_word(node, where, {{"sft", "sft"}, {"pretrain", "pretrain"}, {"pt", "pretrain"}});
       },
       [](const Config& c) { return c.training.method; }});
  add(integer("training.batch_size", {"per_device_train_batch_size", "micro_batch_size"}, 1, 1 << 20, FIELD(training.batch_size), "rows per micro-batch"));
  add(integer("training.gradient_accumulation", {"gradient_accumulation_steps", "training.gradient_accumulation_steps"}, 1, 1 << 20, FIELD(training.gradient_accumulation), "micro-batches per optimizer step"));
  add(number("training.learning_rate", {"learning_rate", "lr", "training.lr"}, 0, kMaxLearningRate, FIELD(training.learning_rate), "peak learning rate; 0: 1e-4 for LoRA, 2e-5 in full"));
  add(number("training.epochs", {"num_train_epochs", "epochs", "num_epochs"}, 0, 1e6, FIELD(training.epochs), "passes over the data", true));
  add({"training.max_steps", {"max_steps"}, "so many optimizer steps, whatever epochs says, going round the data again where it takes more; 0 or -1: as epochs say", true,
       [](Config& c, const YAML::Node& node, Where where) { c.training.max_steps = std::max<int64_t>(0, read_integer(node, where, -1, kMany)); },
       [](const Config& c) { return fmt::format("{}", c.training.max_steps); }});
  add(flag("training.gradient_checkpointing", {"gradient_checkpointing"}, FIELD(training.gradient_checkpointing), "recompute blocks in the backward pass: less memory, a third more time"));
  add(word("training.precision", {"precision"}, {{"bf16", "bf16"}, {"bfloat16", "bf16"}, {"f32", "f32"}, {"float32", "f32"}}, FIELD(training.precision), "activations and products: bf16 or f32"));
  add(integer("training.seed", {"seed", "random_state"}, 0, kMany, FIELD(training.seed), "of shuffling, initial adapters and dropout"));
  add(integer("training.eval_steps", {"eval_steps"}, 0, kMany, FIELD(training.eval_steps), "validate every N steps; 0: once per epoch"));
  add(integer("training.save_steps", {"save_steps"}, 1, kMany, FIELD(training.save_steps), "checkpoint every N steps", true));
  add(integer("training.keep_checkpoints", {"save_total_limit"}, 1, 1000, FIELD(training.keep_checkpoints), "how many checkpoints to keep", true));
  add(text("training.output_dir", {"output_dir"}, FIELD(training.output_dir), "the run's folder; empty: runs/<name of the file>", true));
  add({"training.sample_prompts", {}, "what the model answers at every checkpoint, to see how it changes: a text or a list", true,
       [](Config& c, const YAML::Node& node, Where where) { c.training.sample_prompts = texts_of(node, where); },
       [](const Config& c) { return text_list(c.training.sample_prompts); }});
  add(integer("training.sample_rows", {}, 0, 1000, FIELD(training.sample_rows), "first rows of each file in data.validation that are answered too", true));
  add(integer("training.sample_tokens", {}, 1, 1 << 20, FIELD(training.sample_tokens), "tokens of such an answer at most", true));
  // ---- optimizer and schedule
  Words adamw;  // variants of storage and of kernels: the moments here are F32 in all of them
  for (const char* variant : {"adamw", "adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused", "adamw_8bit", "adamw_bnb_8bit", "adamw_torch_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "adamw_torch_4bit"}) adamw.emplace_back(variant, "adamw");
  add(word("optimizer.type", {"optim", "optimizer"}, adamw, FIELD(optimizer.type), "adamw"));
  add(number("optimizer.weight_decay", {"weight_decay"}, 0, 10, FIELD(optimizer.weight_decay), "decoupled; norms and biases are spared"));
  add(number("optimizer.beta1", {"adam_beta1"}, 0, 0.9999, FIELD(optimizer.beta1), "decay of the first moment"));
  add(number("optimizer.beta2", {"adam_beta2"}, 0, 0.99999, FIELD(optimizer.beta2), "decay of the second moment"));
  add(number("optimizer.eps", {"adam_epsilon"}, 1e-15, 1, FIELD(optimizer.eps), "added to the root of the second moment"));
  add(number("optimizer.max_grad_norm", {"max_grad_norm"}, 0, 1e9, FIELD(optimizer.max_grad_norm), "clip by global norm; 0: never"));
  add(word("schedule.type", {"lr_scheduler_type", "optimizer.schedule", "scheduler", "lr_scheduler"}, {{"cosine", "cosine"}, {"linear", "linear"}, {"constant", "constant"}, {"constant_with_warmup", "constant"}}, FIELD(schedule.type), "cosine, linear or constant"));
  add(number("schedule.warmup_ratio", {"warmup_ratio"}, 0, 1, FIELD(schedule.warmup_ratio), "share of the steps in which the rate rises: step i of w has i/w of it, so that the first one learns (transformers: (i − 1)/w)"));
  add(integer("schedule.warmup_steps", {"warmup_steps"}, 0, kMany, FIELD(schedule.warmup_steps), "the same as a number; overrides the ratio"));
  add(number("schedule.min_ratio", {"min_lr_ratio"}, 0, 1, FIELD(schedule.min_ratio), "where the rate ends, as a share of its peak"));
  // ---- quantization, attention, regularisation
  const auto dtype = [](Where where, const YAML::Node& node) {
    return read_word(node, where, {{"bfloat16", "bf16"}, {"bf16", "bf16"}, {"float16", "f16"}, {"f16", "f16"}, {"float32", "f32"}, {"f32", "f32"}});
  };
  add({"quantization.type", {}, "nf4, int8 or none, the same as model.quantization", false,
       [quantization_of](Config& c, const YAML::Node& node, Where where) { c.quantization.type = c.model.quantization = quantization_of(node, where); },
       [](const Config& c) { return c.quantization.type; }});
  add({"quantization.weight_dtype", {}, "bfloat16 or float32 weights when they are not quantised", false,
       [dtype](Config& c, const YAML::Node& node, Where where) {
         c.quantization.weight_dtype = dtype(where, node);
         if (c.quantization.weight_dtype == "f16") later(where, "float16 weights in memory", "use bfloat16");
       },
       [](const Config& c) { return c.quantization.weight_dtype; }});
  add({"quantization.activate_dtype", {}, "float32, or bfloat16 (float16 is computed in bfloat16)", false,
       [dtype](Config& c, const YAML::Node& node, Where where) {
         c.quantization.activate_dtype = dtype(where, node);
         c.training.precision = c.quantization.activate_dtype == "f32" ? "f32" : "bf16";
       },
       [](const Config& c) { return c.quantization.activate_dtype; }});
  add(flag("quantization.double_quant", {"double_quantization", "bnb_4bit_use_double_quant"}, FIELD(quantization.double_quant), "nf4 always quantises its scales again"));
  add(word("attention.type", {"flash_attn", "attn_implementation"}, {{"flash_attn", "flash_attn"}, {"flash_attention_2", "flash_attn"}, {"fa2", "flash_attn"}, {"fa3", "flash_attn"}, {"flash_attention_3", "flash_attn"}, {"disabled", "flash_attn"}, {"auto", "flash_attn"}, {"sdpa", "flash_attn"}, {"eager", "flash_attn"}, {"true", "flash_attn"}}, FIELD(attention), "flash_attn: tiled, no T×T buffer; every other word means the same"));
  add(number("dropout_rate", {"training.dropout_rate"}, 0, 0.99, FIELD(dropout_rate), "dropout on each block's two outputs"));
  add(flag("early_stop", {"early_stopping"}, FIELD(early_stop), "stop when the loss has no new best for `patience`"));
  add({"patience", {"early_stopping_patience", "training.patience"}, "evaluations (steps without validation) without a new best before stopping; turns early_stop on", false,
       [](Config& c, const YAML::Node& node, Where where) {
         c.patience = read_integer(node, where, 1, kMany);
         c.early_stop = true;
       },
       [](const Config& c) { return fmt::format("{}", c.patience); }});
  // ---- what is watched, and who is told
  add(number("alarms.grad_norm_min", {}, 0, 1e9, FIELD(alarms.bands.grad_norm_min), "gradient norm before clipping: a hint below", true));
  add(number("alarms.grad_norm_max", {}, 0, 1e9, FIELD(alarms.bands.grad_norm_max), "an alarm above", true));
  add(number("alarms.volatility_max", {}, 0, 1e9, FIELD(alarms.bands.volatility_max), "spread of the window's smoothed losses around their trend, as a share of their mean: an alarm above", true));
  add(integer("alarms.volatility_window", {}, 3, 100000, FIELD(alarms.bands.volatility_window), "steps of one window", true));
  add(number("alarms.memory_min", {}, 0, 1, FIELD(alarms.bands.memory_min), "share of the memory the run may use: a hint below", true));
  add(number("alarms.memory_max", {}, 0, 1, FIELD(alarms.bands.memory_max), "an alarm above", true));
  add({"alarms.webhook", {}, "http or https address that gets each new alarm as JSON", true,
       [](Config& c, const YAML::Node& node, Where where) {
         c.alarms.webhook = scalar(node, where, "an address");
         try {
           if (!c.alarms.webhook.empty()) store::parse_url(c.alarms.webhook);
         } catch (const Error& error) {
           throw Error(error.code(), where, error.message(), error.hint());
         }
       },
       [](const Config& c) { return in_quotes(c.alarms.webhook); }});
  add(text("panel.address", {}, FIELD(panel.address), "where hone train shows the run: HOST:PORT, HOST or PORT; empty: only with --panel", true));
  add(text("panel.keys", {}, FIELD(panel.keys), "file with lines \"infer KEY\" and \"admin KEY\", for addresses that other machines reach", true));
  add({"report_to", {"training.report_to"}, "tensorboard: event files in the run's folder too; or none; other trackers get a note only", true,
       [](Config& c, const YAML::Node& node, Where where) {
         c.report_to.clear();
         const Words known = {{"none", ""}, {"tensorboard", "tensorboard"}, {"all", "tensorboard"}, {"wandb", "other"}, {"swanlab", "other"}, {"mlflow", "other"}, {"comet_ml", "other"},
                              {"neptune", "other"}, {"clearml", "other"}, {"trackio", "other"}, {"aim", "other"}, {"codecarbon", "other"}, {"dvclive", "other"}, {"flyte", "other"}, {"azure_ml", "other"}, {"dagshub", "other"}};
         for (const std::string& name : words_of(node, where)) {
           const std::string target = read_word(YAML::Node(name), where, known);
           if (target == "other") {
             c.notes.push_back(fmt::format("report_to {}: nothing is sent there; --panel shows the run, hone runs keeps it, and report_to: tensorboard writes event files", name));
             continue;
           }
           if (!target.empty() && std::find(c.report_to.begin(), c.report_to.end(), target) == c.report_to.end()) c.report_to.push_back(target);
         }
       },
       [](const Config& c) { return fmt::format("[{}]", fmt::join(c.report_to, ", ")); }});
  for (Key& key : eval_keys()) add(std::move(key));
  // patience turns early_stop on, so what early_stop says must be written (and read) after it.
  const auto early = std::find_if(keys.begin(), keys.end(), [](const Key& key) { return key.path == "early_stop"; });
  std::rotate(early, early + 1, keys.end());
  return keys;
}

}  // namespace

const std::vector<Key>& key_table() {
  static const std::vector<Key> table = make_table();
  return table;
}

}  // namespace hone::recipes
