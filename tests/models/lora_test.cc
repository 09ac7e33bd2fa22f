// Kinds of LoRA against PEFT (tests/golden/lora/make.py): what its adapters compute, their gradients, ten AdamW steps, and the way back.
#include <unistd.h>

#include "models/adapter_start.h"
#include "models/golden_model.h"

namespace hone::models::testing {
namespace {

namespace fs = std::filesystem;

constexpr double kLoraTolerance = 1e-4;

class LoraKind : public ::testing::TestWithParam<const char*> {
 protected:
  LoraKind()
      : folder_(fs::path(HONE_GOLDEN_DIR) / "lora" / GetParam()), numbers_(read_json(folder_ / "expected.json")), expected_(io::Safetensors::open(folder_ / "expected.safetensors")),
        base_(numbers_.at("base").get<std::string>()), model_folder_(fs::path(HONE_GOLDEN_DIR) / "models" / numbers_.at("base").get<std::string>()) {}
  void TearDown() override { fs::remove_all(work_); }

  std::shared_ptr<const ModelSource> source(From from) const { return ModelSource::open(from == From::kGguf ? model_folder_ / "model.gguf" : model_folder_); }
  double number(const char* key) const { return numbers_.at(key).get<double>(); }

  // As an adapter is loaded to answer.
  CausalLm tuned(const io::LoraAdapter& adapter, From from = From::kDirectory, LoadOptions options = {.activation = DType::kF32}) const {
    options.replaced = replaced_weights(*source(from), adapter, "test");
    CausalLm model = CausalLm::load(*source(from), options);
    attach_adapter(model, adapter, "test", /*trainable=*/false);
    return model;
  }
  // As a run trains it.
  CausalLm trainable(const io::LoraAdapter& adapter) const {
    LoadOptions options{.activation = DType::kF32};
    std::map<std::string, Tensor> values = replaced_weights(*source(From::kDirectory), adapter, "test");
    for (const auto& [name, value] : values) options.whole.push_back(name.substr(0, name.rfind('.')));
    CausalLm model = CausalLm::load(*source(From::kDirectory), options);
    attach_adapter(model, adapter, "test", /*trainable=*/true);
    for (const auto& leaf : model.parameters())
      if (const auto it = values.find(leaf->name); it != values.end()) std::copy_n(it->second.data<float>(), it->second.elements(), leaf->value.data_mutable<float>());
    return model;
  }
  void expect_losses(const std::vector<double>& found) const {
    const auto losses = numbers_.at("losses").get<std::vector<double>>();
    ASSERT_EQ(losses.size(), found.size());
    for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(found[i], losses[i], kLoraTolerance * losses[i]) << "after " << i << " steps";
    EXPECT_LT(losses.back(), 0.9 * losses.front()) << "the steps must matter";
  }
  // The adapter through a folder of PEFT's.
  io::LoraAdapter saved(const io::LoraAdapter& adapter) const {
    fs::create_directories(work_);
    io::write_peft(work_, adapter);
    return io::read_peft(work_);
  }

  const fs::path folder_;
  const nlohmann::json numbers_;
  const io::Safetensors expected_;
  const Golden base_;
  const fs::path model_folder_;
  const fs::path work_ = fs::temp_directory_path() / ("hone-lora-" + std::string(GetParam()) + "-" + std::to_string(::getpid()));
};

TEST_P(LoraKind, LogitsAgreeOverBothFormats) {
  const io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
  for (const From from : {From::kDirectory, From::kGguf}) {
    const CausalLm model = tuned(adapter, from);
    EXPECT_LT(relative_error(expected_.tensor("logits"), logits(model, base_.all())), kLoraTolerance);
    EXPECT_GT(relative_error(expected_.tensor("logits"), base_.tensor("base_logits")), 0.03) << "the adapter must matter";
  }
  const CausalLm again = tuned(saved(adapter));
  EXPECT_LT(relative_error(expected_.tensor("logits"), logits(again, base_.all())), kLoraTolerance) << "written and read";
}

TEST_P(LoraKind, LossGradientsAndStepsAgree) {
  const io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
  if (std::string_view(GetParam()) == "bias") return;  // biases alone are read, not trained
  CausalLm model = trainable(adapter);
  EXPECT_NEAR(loss_and_gradients(model, base_.all(), base_.scale()), number("loss"), kLoraTolerance * number("loss"));
  double largest = 0;
  for (const std::string& name : expected_.names())
    if (name.starts_with("grad.")) largest = std::max(largest, largest_of(expected_.tensor(name)));
  size_t compared = 0;
  for (const auto& leaf : model.parameters()) {
    Tensor gradient = leaf->grad.defined() ? leaf->grad : Tensor::zeros(leaf->value.shape(), DType::kF32);
    if (leaf->name.ends_with("lora_embedding_A")) {  // PEFT's is transposed
      Tensor turned = Tensor::empty({gradient.size(1), gradient.size(0)}, DType::kF32);
      for (int64_t r = 0; r < gradient.size(0); ++r)
        for (int64_t c = 0; c < gradient.size(1); ++c) turned.data_mutable<float>()[c * gradient.size(0) + r] = gradient.data<float>()[r * gradient.size(1) + c];
      gradient = turned;
    }
    ASSERT_TRUE(expected_.has("grad." + leaf->name)) << leaf->name << " is not trained in PEFT";
    EXPECT_LT(relative_error(expected_.tensor("grad." + leaf->name), gradient, 1e-3 * largest), kLoraTolerance) << leaf->name;
    ++compared;
    leaf->grad = {};
  }
  EXPECT_EQ(compared + 1, expected_.names().size()) << "a gradient of PEFT's has no parameter here";
  expect_losses(train(model, base_, 10));
}

TEST_P(LoraKind, WhatWasTrainedIsWhatIsSaved) {
  const io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
  if (std::string_view(GetParam()) == "bias") return;
  CausalLm model = trainable(adapter);
  train(model, base_, 10);
  LoraOptions options;
  options.rank = adapter.rank;
  options.alpha = adapter.alpha;
  options.rank_stabilized = adapter.rank_stabilized;
  for (const io::LoraPair& pair : adapter.pairs) options.alpha_pattern.emplace_back(pair.module, pair.alpha);
  const CausalLm again = tuned(saved(to_adapter(model, options, "base")));
  EXPECT_LT(relative_error(logits(model, base_.all()), logits(again, base_.all())), 1e-5);
}

// The engine's adapters hold what rows of one batch can have for themselves; the rest is refused for a base of its own.
TEST_P(LoraKind, RowsOfABatchHavePlainPairsOnly) {
  const io::LoraAdapter adapter = io::read_peft(folder_ / "adapter");
  const CausalLm model = CausalLm::load(*source(From::kDirectory), {.activation = DType::kF32});
  if (std::string_view(GetParam()) == "patterns") {
    EXPECT_NO_THROW(adapter_layers(model, adapter, "test"));
  } else {
    EXPECT_THROW(adapter_layers(model, adapter, "test"), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LoraKind, ::testing::Values("patterns", "dora", "dora_llama", "vocabulary", "tied_vocabulary", "whole", "tied_whole", "bias"),
                         [](const auto& kind) { return std::string(kind.param); });

// Starts that take over a part of the weights.
class LoraBeginning : public LoraKind {
 protected:
  LoraOptions options() const {
    LoraOptions o;
    o.rank = 4;
    o.alpha = 6;
    o.targets = {"q_proj", "down_proj"};
    o.start = std::string_view(GetParam()) == "pissa" ? LoraStart::kPissa : LoraStart::kOlora;
    o.rank_stabilized = o.start == LoraStart::kOlora;
    return o;
  }
};

TEST_P(LoraBeginning, TrainsAsPeftAndIsSavedForTheBaseAsItIs) {
  CausalLm model = CausalLm::load(*source(From::kDirectory), {.activation = DType::kF32, .base = BaseFormat::kF32});
  EXPECT_EQ(add_lora(model, options()), 4);
  EXPECT_LT(relative_error(base_.tensor("base_logits"), logits(model, base_.all())), kLoraTolerance) << "the start changes nothing";
  expect_losses(train(model, base_, 10));
  EXPECT_LT(relative_error(expected_.tensor("trained_logits"), logits(model, base_.all())), 1e-3);
  const io::LoraAdapter adapter = saved(to_adapter(model, options(), "base"));
  EXPECT_EQ(adapter.rank, 8);
  EXPECT_LT(relative_error(logits(model, base_.all()), logits(tuned(adapter), base_.all())), kLoraTolerance);
  // What PEFT saves for the base without the start, and what it converts to a plain adapter, patterns and doubled rank
  // included.
  for (const From from : {From::kDirectory, From::kGguf}) {
    const io::LoraAdapter imported = read_adapter(*source(from), folder_ / "adapter");
    EXPECT_EQ(imported.rank, 8);
    EXPECT_LT(relative_error(expected_.tensor("trained_logits"), logits(tuned(saved(imported), from), base_.all())),
              kLoraTolerance);
  }
  const CausalLm converted = tuned(io::read_peft(folder_ / "converted"));
  EXPECT_LT(relative_error(expected_.tensor("trained_logits"), logits(converted, base_.all())), kLoraTolerance);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LoraBeginning, ::testing::Values("pissa", "olora"), [](const auto& kind) { return std::string(kind.param); });

// PEFT saves an adapted head's own weight beside its pair, without the start: there is nothing to take off it again.
class HeadBeginning : public LoraKind {};

TEST_P(HeadBeginning, TheSavedWeightHasLostItsStart) {
  for (const From from : {From::kDirectory, From::kGguf}) {
    const io::LoraAdapter imported = read_adapter(*source(from), folder_ / "adapter");
    for (const io::LoraAdapter& adapter : {imported, saved(imported), io::read_peft(folder_ / "converted")})
      EXPECT_LT(relative_error(expected_.tensor("trained_logits"), logits(tuned(adapter, from), base_.all())),
                kLoraTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeadBeginning, ::testing::Values("pissa_head", "olora_head"),
                         [](const auto& kind) { return std::string(kind.param); });

CausalLm small_model() { return CausalLm::load(*ModelSource::open(fs::path(HONE_GOLDEN_DIR) / "models" / "qwen2"), {.activation = DType::kF32}); }

TEST(AddLora, PatternsAndTargetsAreChecked) {
  const auto refused = [](auto change) {
    CausalLm model = small_model();
    LoraOptions options;
    options.targets = {"q_proj", "embed_tokens"};
    change(options);
    try {
      add_lora(model, options);
    } catch (const Error& error) {
      return error.where();
    }
    return std::string();
  };
  EXPECT_EQ(refused([](LoraOptions&) {}), "");
  EXPECT_EQ(refused([](LoraOptions& o) { o.rank_pattern = {{"v_proj", 4}}; }), "lora.rank_pattern");
  EXPECT_EQ(refused([](LoraOptions& o) { o.alpha_pattern = {{"(", 4}}; }), "lora.alpha_pattern");
  EXPECT_EQ(refused([](LoraOptions& o) { o.targets = {"q_prj"}; }), "lora.target");
  EXPECT_EQ(refused([](LoraOptions& o) { o.targets = {R"(.*\.qq_proj)"}; }), "lora.target");
  EXPECT_EQ(refused([](LoraOptions& o) { o.dora = true; }), "lora.dora") << "of the embedding";
  EXPECT_EQ(refused([](LoraOptions& o) { o.dora = true, o.dropout = 0.1f, o.targets = {"q_proj"}; }), "lora.dora");
  EXPECT_EQ(refused([](LoraOptions& o) { o.start = LoraStart::kPissa; }), "lora.init");
  CausalLm model = small_model();
  LoraOptions options;
  options.targets = {R"(model\.layers\.1\..*\.(q|v)_proj)", "lm_head"};
  options.rank_pattern = {{"q_proj", 2}};
  EXPECT_EQ(add_lora(model, options), 3);
  model.each_linear([](nn::Linear& linear) {
    if (!linear.has_lora()) return;
    EXPECT_EQ(linear.lora_a.size(0), linear.name.ends_with("q_proj") ? 2 : 16) << linear.name;
  });
  EXPECT_THROW(CausalLm::load(*ModelSource::open(fs::path(HONE_GOLDEN_DIR) / "models" / "qwen2"), {.whole = {"no_such_module"}}), Error);
}

// PEFT finds these layers of deepseek2 only by their weights (transformers fuses the experts beside them).
TEST(ToAdapter, NamesDeepseeksDenseAndSharedLayersByTheirWeights) {
  CausalLm model = CausalLm::load(*ModelSource::open(fs::path(HONE_GOLDEN_DIR) / "models" / "deepseek_v3"), {.activation = DType::kF32});
  LoraOptions options;
  options.rank = 2;
  options.dropout = 0.1f;
  add_lora(model, options);
  const io::LoraAdapter adapter = to_adapter(model, options, "base");
  EXPECT_EQ(adapter.target_parameters.size(), 6u) << "three of the dense layer, three of the shared experts";
  for (const std::string& name : adapter.target_parameters) EXPECT_TRUE(name.ends_with("_proj.weight") && name.find(".mlp.experts.") == std::string::npos) << name;
  const fs::path folder = fs::temp_directory_path() / ("hone-deepseek-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  io::write_peft(folder, adapter);
  const nlohmann::json config = read_json(folder / "adapter_config.json");
  EXPECT_EQ(config.at("lora_dropout"), 0) << "PEFT refuses another beside target_parameters";
  for (const auto& name : config.at("target_modules")) EXPECT_EQ(name.get<std::string>().find("shared"), std::string::npos);
  const io::LoraAdapter back = io::read_peft(folder);
  EXPECT_EQ(back.pairs.size(), adapter.pairs.size());
  EXPECT_EQ(back.target_parameters, adapter.target_parameters);
  fs::remove_all(folder);
  options.rank_pattern = {{"shared_experts.up_proj", 4}};
  EXPECT_THROW(add_lora(model, options), Error);
}

}  // namespace
}  // namespace hone::models::testing
