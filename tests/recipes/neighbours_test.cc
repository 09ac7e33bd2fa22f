// Settings files of LLaMA-Factory, Axolotl and TRL as they are, and what is told of keys that cannot be read.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "recipes/config.h"
#include "recipes/foreign_keys.h"

namespace hone::recipes {
namespace {

using testing::HasSubstr;
using testing::Not;

Config read_yaml(const std::string& yaml, const std::vector<std::string>& overrides = {}) { return parse_config(yaml, "n.yaml", overrides); }

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string neighbour(const char* name) { return text_of(std::filesystem::path(HONE_GOLDEN_DIR) / "neighbours" / name); }

std::string told(const std::string& yaml) {
  try {
    read_yaml(yaml);
  } catch (const Error& error) {
    return error.where() + " | " + error.message() + " | " + error.hint();
  }
  return "";
}

std::string notes(const Config& c) {
  std::string text;
  for (const std::string& note : c.notes) text += note + "\n";
  return text;
}

TEST(Neighbours, LlamaFactory) {
  const Config c = read_yaml(neighbour("llama_factory_lora_sft.yaml"));
  EXPECT_EQ(c.model.adapter, "lora");
  EXPECT_EQ(c.lora.r, 8);
  EXPECT_EQ(c.lora.alpha, 16) << "twice the rank, as LLaMA-Factory has it";
  EXPECT_EQ(c.lora.target, std::vector<std::string>{"all-linear"});
  EXPECT_FALSE(c.data.packing);
  EXPECT_EQ(c.data.max_rows, 10);
  ASSERT_EQ(c.data.datasets.size(), 2u);
  EXPECT_EQ(c.data.datasets[1].path, "support_chats");
  EXPECT_EQ(c.model.chat_template, "");
  EXPECT_EQ(c.training.batch_size, 2);
  EXPECT_EQ(c.schedule.warmup_ratio, 0.1);
  EXPECT_EQ(c.training.precision, "bf16");
  EXPECT_TRUE(c.report_to.empty());
  const std::string said = notes(c);
  for (const char* part : {"LLaMA-Factory", "lora.alpha 16", "data.packing false", "trust_remote_code", "ddp_timeout", "plot_loss", "template qwen: the model's own", "report_to wandb"}) EXPECT_THAT(said, HasSubstr(part));
  EXPECT_THAT(said, Not(HasSubstr("warmup_ratio")));
  const Config back = read_yaml(to_yaml(c));
  EXPECT_EQ(resume_difference(c, back), "");
  EXPECT_TRUE(back.notes.empty()) << notes(back);
}

TEST(Neighbours, Axolotl) {
  const Config c = read_yaml(neighbour("axolotl_lora.yaml"));
  EXPECT_EQ(c.model.adapter, "lora");
  ASSERT_EQ(c.data.datasets.size(), 1u);
  const data::DatasetConfig& d = c.data.datasets[0];
  EXPECT_EQ(d.path, "chats.jsonl");
  EXPECT_EQ(d.format, data::Format::kMessages);
  EXPECT_EQ(d.columns, (std::map<std::string, std::string>{{"messages", "conversations"}, {"role", "from"}, {"content", "value"}}));
  EXPECT_EQ(d.roles.at("customer"), "user");
  EXPECT_TRUE(c.data.packing && c.training.gradient_checkpointing);
  EXPECT_EQ(c.data.validation_share, 0.1);
  EXPECT_EQ(c.optimizer.type, "adamw");
  EXPECT_EQ(c.schedule.warmup_steps, 2);
  EXPECT_THAT(notes(c), HasSubstr("Axolotl"));
  EXPECT_EQ(read_yaml("base_model: m\nmicro_batch_size: 2\nadapter:\ndatasets: [{path: a, type: alpaca}]\n").model.adapter, "full") << "no adapter is full fine-tuning there";
}

TEST(Neighbours, TrlAndUnsloth) {
  const Config c = read_yaml(neighbour("trl_unsloth.yaml"));
  EXPECT_EQ(c.model.base, "unsloth/Llama-3.2-1B-Instruct");
  EXPECT_EQ(c.model.quantization, "nf4");
  EXPECT_EQ(c.lora.alpha, 16);
  EXPECT_EQ(c.training.max_steps, 6);
  EXPECT_EQ(c.training.seed, 3407);
  EXPECT_EQ(c.schedule.type, "linear");
  EXPECT_TRUE(c.training.gradient_checkpointing);
  EXPECT_EQ(read_yaml("training.max_steps: -1").training.max_steps, 0);
  EXPECT_EQ(read_yaml("quantization_bit: 8").model.quantization, "int8");
}

// Where a file says nothing, what its trainer does: TRL 1.16, LLaMA-Factory 0.9.5, Axolotl 0.19, Unsloth.
TEST(Neighbours, DefaultsAreTheTrainersOwn) {
  const std::string trl = "model_name_or_path: m\ndataset_name: a.jsonl\n";
  const Config full = read_yaml(trl);
  EXPECT_EQ(full.model.adapter, "full");
  EXPECT_EQ(full.data.cutoff_length, 1024);
  EXPECT_EQ(full.training.learning_rate, 2e-5);
  const Config lora = read_yaml(trl + "use_peft: true\n");
  EXPECT_EQ(lora.model.adapter, "lora");
  EXPECT_EQ(lora.lora.dropout, 0.05);
  EXPECT_EQ(lora.lora.target, (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(lora.lora.r, 16);
  EXPECT_EQ(lora.lora.alpha, 32);
  const Config said = read_yaml(trl + "use_peft: true\nlora_dropout: 0.0\nlora_target_modules: all-linear\nmax_length: 77\n");
  EXPECT_EQ(said.lora.dropout, 0);
  EXPECT_EQ(said.lora.target, std::vector<std::string>{"all-linear"});
  EXPECT_EQ(said.data.cutoff_length, 77);
  EXPECT_THAT(told(trl + "lora_r: 8\n"), HasSubstr("use_peft")) << "TRL would train every weight and say nothing";
  EXPECT_EQ(read_yaml(trl + "lora_r: 8\nuse_peft: false\n").model.adapter, "full");

  const std::string factory = "model_name_or_path: m\ntemplate: qwen\ncutoff_len: 99\n";
  EXPECT_TRUE(read_yaml(factory + "stage: pt\n").data.packing) << "packed in pre-training";
  EXPECT_FALSE(read_yaml(factory + "stage: pt\npacking: false\n").data.packing);
  EXPECT_FALSE(read_yaml(factory + "stage: sft\n").data.packing);
  EXPECT_EQ(read_yaml(factory + "stage: sft\n").lora.alpha, 16);

  const std::string axolotl = "base_model: m\nmicro_batch_size: 2\ndatasets: [{path: a, type: alpaca}]\n";
  EXPECT_EQ(read_yaml(axolotl).data.cutoff_length, 512);
  EXPECT_EQ(read_yaml(axolotl).data.cut_off, data::CutOffPolicy::kDrop);
  EXPECT_EQ(read_yaml(axolotl + "excess_length_strategy: raise\n").data.cut_off, data::CutOffPolicy::kRefuse);
  EXPECT_EQ(read_yaml(axolotl + "excess_length_strategy: truncate\n").data.cut_off, data::CutOffPolicy::kTruncatePromptStart);

  const std::string unsloth = "model_name: m\ndataset_name: a.jsonl\nmax_seq_length: 64\n";
  EXPECT_EQ(read_yaml(unsloth).model.quantization, "nf4");
  EXPECT_EQ(read_yaml(unsloth + "load_in_4bit: false\n").model.quantization, "auto");
  EXPECT_EQ(read_yaml(unsloth).lora.alpha, 16);
  EXPECT_EQ(read_yaml(unsloth + "full_finetuning: true\n").model.adapter, "full");
}

TEST(Neighbours, ConstantScheduleOfTransformersHasNoWarmUp) {
  const std::string file = "model_name_or_path: m\nstage: sft\ntemplate: qwen\ncutoff_len: 9\nwarmup_ratio: 0.1\nlr_scheduler_type: ";
  EXPECT_EQ(read_yaml(file + "constant").schedule.warmup_ratio, 0);
  EXPECT_EQ(read_yaml(file + "constant_with_warmup").schedule.warmup_ratio, 0.1);
  EXPECT_EQ(read_yaml("schedule: {type: constant, warmup_ratio: 0.1}").schedule.warmup_ratio, 0.1) << "in hone's own words it is what it says";
}

TEST(Neighbours, DatasetsByName) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("hone-info-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "dataset_info.json") << R"({"a": {"file_name": "a.json"}, "b": {"file_name": "b.json", "formatting": "sharegpt", "num_samples": 7, "columns": {"messages": "turns", "system": "sys"},
    "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "customer", "assistant_tag": "agent"}}, "d": {"file_name": "d.json", "ranking": true}, "h": {"hf_hub_url": "x/y"}, "p": {"file_name": "p.txt", "columns": {"prompt": "body"}}})";
  const std::string dir = "dataset_dir: " + folder.string() + "\n";
  const Config c = read_yaml(dir + "dataset: a, b\n");
  ASSERT_EQ(c.data.datasets.size(), 2u);
  EXPECT_EQ(c.data.datasets[0].path, (folder / "a.json").string());
  EXPECT_EQ(c.data.datasets[0].format, data::Format::kAlpaca);
  EXPECT_EQ(c.data.datasets[1].max_rows, 7);
  EXPECT_EQ(c.data.datasets[1].columns, (std::map<std::string, std::string>{{"conversations", "turns"}, {"system", "sys"}, {"from", "who"}, {"value", "says"}}));
  EXPECT_EQ(c.data.datasets[1].roles, (std::map<std::string, std::string>{{"customer", "user"}, {"agent", "assistant"}}));
  const Config text = read_yaml(dir + "stage: pt\ndataset: p\n");
  EXPECT_EQ(text.data.datasets[0].format, data::Format::kText);
  EXPECT_EQ(text.data.datasets[0].columns.at("text"), "body");
  EXPECT_THAT(told(dir + "dataset: d"), HasSubstr("preference pairs"));
  EXPECT_THAT(told(dir + "dataset: h"), HasSubstr("download the rows"));
  EXPECT_THAT(told(dir + "dataset: nothing"), HasSubstr("has no dataset of that name"));
  EXPECT_THAT(told("dataset_dir: /nowhere\ndataset: x"), HasSubstr("dataset_info.json does not exist"));
  std::filesystem::remove_all(folder);
}

TEST(Neighbours, WhatIsNotOfferedSaysWhatIs) {
  EXPECT_THAT(told("stage: dpo"), HasSubstr("preference training"));
  EXPECT_THAT(told("adapter_name_or_path: out"), HasSubstr("--resume"));
  EXPECT_THAT(told("neftune_noise_alpha: 5"), HasSubstr("NEFTune"));
  EXPECT_THAT(told("resume_from_checkpoint: true"), HasSubstr("--resume"));
  EXPECT_THAT(told("pref_beta: 0.1"), HasSubstr("preference"));
  EXPECT_THAT(told("do_train: false"), HasSubstr("hone eval"));
  EXPECT_THAT(told("data: [{path: a, shards: 3}]"), HasSubstr("unknown key \"shards\""));
  for (const char* off : {"adapter_name_or_path: null", "neftune_noise_alpha: 0", "mix_strategy: concat", "special_tokens: {pad_token: x}", "lr_scheduler_kwargs: {}", "bf16: false"}) EXPECT_EQ(told(off), "");
}

TEST(Neighbours, AllUnknownKeysInOneAnswer) {
  const std::string said = told("modle: {base: m}\nlearning_rate: 1\nlora: {rnak: 3}\nadapter_name_or_path: x\nfoo_bar_baz: 2\n");
  for (const char* part : {"4 keys", "n.yaml:1: unknown key \"modle\": did you mean \"model\"?", "n.yaml:3: unknown key \"lora.rnak\": did you mean \"lora.rank\"?", "n.yaml:4: adapter_name_or_path is not offered",
                           "n.yaml:5: unknown key \"foo_bar_baz\""})
    EXPECT_THAT(said, HasSubstr(part));
  EXPECT_THAT(told("learning_rate: 1\nlr: 2"), HasSubstr("set twice"));
}

TEST(Neighbours, MergeKeysAndAnchors) {
  const Config c = read_yaml("base: &base\n  learning_rate: 1e-3\n  epochs: 7\nrate: &epsilon 1e-6\nx-note: anything\n<<: *base\nepochs: 2\nadam_epsilon: *epsilon\n");
  EXPECT_EQ(c.training.learning_rate, 1e-3);
  EXPECT_EQ(c.training.epochs, 2) << "the file's own word wins over the merged one";
  EXPECT_EQ(c.optimizer.eps, 1e-6);
  EXPECT_EQ(read_yaml("a: &a {epochs: 3}\nb: &b {epochs: 4, seed: 5}\ntraining:\n  <<: [*a, *b]\n").training.epochs, 3) << "of several the first";
  EXPECT_THAT(told("unused: &u {epochs: 3}\n"), HasSubstr("unknown key \"unused\""));
  EXPECT_THAT(told("<<: 3"), HasSubstr("merge key"));
  std::string bomb = "a0: &a0 {epochs: 1}\n";
  for (int i = 1; i < 14; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + "\n  <<: [";
    for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(told(bomb + "<<: *a13\n"), HasSubstr("nest too deep"));
}

// docs/neighbours.md names every key of the table.
TEST(Neighbours, DocumentsEveryKey) {
  const std::string docs = text_of(HONE_SOURCE_DIR "/docs/neighbours.md");
  for (const std::string& key : foreign_keys()) EXPECT_THAT(docs, HasSubstr("`" + key + "`"));
}

}  // namespace
}  // namespace hone::recipes
