// Other people's files: every known key that changes the result is computed as llama.cpp and transformers compute it, or refused.
#include <gmock/gmock.h>

#include <unistd.h>

#include "models/format_keys.h"
#include "models/gguf_layout.h"
#include "models/golden_model.h"
#include "models/names.h"
#include "models/rope_table.h"
#include "models/source_random.h"

namespace hone::models::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

template <class Step>
std::string refused_because(const Step& step) {
  try {
    step();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    return error.where() + ": " + error.message();
  }
  return "nothing was refused";
}

json golden_json(const std::string& family) { return read_json(fs::path(HONE_GOLDEN_DIR) / "models" / family / "config.json"); }

class Formats : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }

  // A file with this metadata and an embedding, which is all that a configuration is read from.
  io::Gguf gguf(const io::GgufMetadata& metadata, const std::vector<io::GgufEntry>& more = {}) const {
    const fs::path path = work_ / "m.gguf";
    std::vector<io::GgufEntry> entries = {{"token_embd.weight", DType::kF32, {61, 32}}};
    entries.insert(entries.end(), more.begin(), more.end());
    io::GgufWriter writer(path, metadata, entries);
    for (const io::GgufEntry& entry : entries) {
      const std::string zeros(static_cast<size_t>(entry.shape.elements()) * 4, '\0');
      writer.write(zeros.data(), zeros.size());
    }
    writer.finish();
    return io::Gguf::open(path);
  }
  io::GgufMetadata dense(const std::string& arch, const io::GgufMetadata& more = {}) const {
    io::GgufMetadata out = {{"general.architecture", arch}};
    const std::pair<const char*, io::GgufValue> base[] = {{"context_length", int64_t{256}}, {"embedding_length", int64_t{32}}, {"block_count", int64_t{2}},
        {"feed_forward_length", int64_t{48}}, {"attention.head_count", int64_t{2}}, {"attention.layer_norm_rms_epsilon", 1e-5}};
    for (const auto& [key, value] : base) out.emplace_back(arch + "." + key, value);
    for (const auto& [key, value] : more) out.emplace_back(arch + "." + key, value);
    return out;
  }
  ModelConfig read(const std::string& arch, const io::GgufMetadata& more) const { return config_from_gguf(gguf(dense(arch, more))); }

  const fs::path work_ = fs::temp_directory_path() / ("hone-formats-" + std::to_string(::getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Formats, GgufRopeDefaultsAreThoseOfLlamaCpp) {
  const std::string kType = "rope.scaling.type", kFactor = "rope.scaling.factor", kAttention = "rope.scaling.attn_factor";
  EXPECT_EQ(read("llama", {}).rope.scaling, RopeScaling::kNone);
  // linear where no type is given
  ModelConfig c = read("llama", {{kFactor, 4.0}});
  EXPECT_EQ(c.rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(c.rope.factor, 4);
  EXPECT_EQ(read("qwen2", {{"rope.scale_linear", 2.0}}).rope.factor, 2) << "the factor's older name";
  EXPECT_EQ(read("llama", {{kFactor, 0.0}}).rope.scaling, RopeScaling::kNone) << "0 is none";
  EXPECT_EQ(read("llama", {{kType, std::string("none")}, {kFactor, 4.0}}).rope.scaling, RopeScaling::kNone);
  // the attention factor multiplies under every type
  EXPECT_EQ(rotation_factor(read("llama", {}).rope), 1);
  EXPECT_DOUBLE_EQ(rotation_factor(read("llama", {{kAttention, 2.0}}).rope), 2);
  EXPECT_DOUBLE_EQ(rotation_factor(read("qwen3", {{kFactor, 4.0}, {kAttention, 0.5}}).rope), 0.5);
  c = read("qwen2", {{kType, std::string("yarn")}, {kFactor, 4.0}, {kAttention, 2.0}});
  EXPECT_EQ(c.rope.original_max_positions, 256) << "the context, where yarn names no original length";
  EXPECT_NEAR(rotation_factor(c.rope), 2 * (1 + 0.1 * std::log(4)), 1e-12);
  EXPECT_NEAR(rotation_factor(read("qwen2", {{kType, std::string("yarn")}, {kFactor, 4.0}}).rope), 1 + 0.1 * std::log(4), 1e-12);
  EXPECT_THAT(refused_because([&] { read("llama", {{kType, std::string("longrope")}}); }), HasSubstr("\"longrope\" is not supported"));
  EXPECT_THAT(refused_because([&] { config_from_gguf(gguf(dense("llama"), {{"rope_factors_long.weight", DType::kF32, {8}}})); }), HasSubstr("longrope"));
}

// The factors reach the angles: attn_factor f makes every cosine and sine f times as large.
TEST_F(Formats, TheAttentionFactorReachesTheRotation) {
  const ModelConfig plain = read("llama", {}), doubled = read("llama", {{"rope.scaling.attn_factor", 2.0}});
  const ops::RopeTable a = rope_table(plain, 4), b = rope_table(doubled, 4);
  for (int64_t i = 0; i < a.cos.elements(); ++i) {
    EXPECT_NEAR(b.cos.data<float>()[i], 2 * a.cos.data<float>()[i], 1e-6);
    EXPECT_NEAR(b.sin.data<float>()[i], 2 * a.sin.data<float>()[i], 1e-6);
  }
}

// What is written is read back as the same rotation and the same scale of attention scores, for every kind of scaling that a
// configuration of transformers can ask for.
TEST_F(Formats, RopeGoesToGgufAndBack) {
  const json scalings[] = {json(), {{"rope_type", "linear"}, {"factor", 2.0}}, {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}},
                           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}, {"attention_factor", 1.5}},
                           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}, {"mscale", 1.0}, {"mscale_all_dim", 1.0}},
                           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}, {"mscale", 1.0}, {"mscale_all_dim", 0.5}},
                           {{"rope_type", "yarn"}, {"factor", 40.0}, {"original_max_position_embeddings", 64}, {"mscale", 0.707}, {"mscale_all_dim", 0.707}},
                           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}, {"attention_factor", 1.5}, {"mscale", 1.0}, {"mscale_all_dim", 0.5}},
                           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}, {"beta_fast", 16}, {"beta_slow", 2}}};
  for (const char* family : {"llama", "qwen2", "qwen3", "deepseek_v2_lite", "deepseek_v3"})
    for (const json& scaling : scalings) {
      json config = golden_json(family);
      config.erase("rope_scaling");
      config.erase("rope_parameters");
      if (!scaling.is_null()) config["rope_scaling"] = scaling;
      const ModelConfig expected = config_from_json(config, family);
      const ModelConfig found = config_from_gguf(gguf(gguf_architecture(expected, family)));
      const std::string what = std::string(family) + " " + scaling.dump();
      EXPECT_EQ(found.rope.scaling, expected.rope.scaling) << what;
      EXPECT_NEAR(found.rope.factor, expected.rope.factor, 1e-6) << what;
      EXPECT_NEAR(rotation_factor(found.rope), rotation_factor(expected.rope), 1e-6 * rotation_factor(expected.rope)) << what;
      EXPECT_NEAR(attention_scale(found), attention_scale(expected), 1e-6 * attention_scale(expected)) << what;
      EXPECT_EQ(found.rope.beta_fast, expected.rope.beta_fast) << what;
    }
}

TEST_F(Formats, DeepseekScoresAreScaledAsLlamaCppScalesThem) {
  const auto read_latent = [&](const io::GgufMetadata& more) {
    json config = golden_json("deepseek_v2_lite");
    config.erase("rope_scaling");
    io::GgufMetadata metadata = gguf_architecture(config_from_json(config, "deepseek"), "deepseek");
    for (const auto& [key, value] : more) metadata.emplace_back("deepseek2." + key, value);
    return config_from_gguf(gguf(metadata));
  };
  const double plain = attention_scale(read_latent({})), m = 1 + 0.1 * std::log(4);
  // yarn without a multiplier: both the rotated parts and the scores get yarn's temperature
  ModelConfig c = read_latent({{"rope.scaling.type", std::string("yarn")}, {"rope.scaling.factor", 4.0}});
  EXPECT_NEAR(rotation_factor(c.rope), m, 1e-6);
  EXPECT_NEAR(attention_scale(c), m * m * plain, 1e-6);
  c = read_latent({{"rope.scaling.type", std::string("yarn")}, {"rope.scaling.factor", 4.0}, {"rope.scaling.yarn_log_multiplier", 0.05}});
  EXPECT_NEAR(rotation_factor(c.rope), 1, 1e-6);
  EXPECT_NEAR(attention_scale(c), std::pow(1 + 0.05 * std::log(4), 2) * plain, 1e-6);
  EXPECT_THAT(refused_because([&] { read_latent({{"rope.scaling.factor", 4.0}}); }), HasSubstr("multiply the attention scores"));
}

TEST_F(Formats, GgufLayersAndGatesThatAreNotTheUsualOnes) {
  EXPECT_EQ(read("llama", {{"nextn_predict_layers", int64_t{1}}}).layers, 1) << "layers that guess further tokens are left out";
  EXPECT_EQ(read("llama", {{"attention.head_count_kv", std::vector<int64_t>{1, 1}}}).kv_heads, 1);
  EXPECT_THAT(refused_because([&] { read("llama", {{"attention.head_count_kv", std::vector<int64_t>{1, 2}}}); }), HasSubstr("differs from layer to layer"));
  EXPECT_THAT(refused_because([&] { read("llama", {{"attention.scale", 0.5}}); }), HasSubstr("attention.scale 0.5"));
  EXPECT_NO_THROW(read("llama", {{"attention.scale", 0.25}}));
  io::GgufMetadata metadata = gguf_architecture(config_from_json(golden_json("deepseek_v3"), "deepseek"), "deepseek");
  EXPECT_TRUE(config_from_gguf(gguf(metadata)).moe->sigmoid);
  for (auto& [key, value] : metadata)
    if (key == "deepseek2.expert_gating_func") value = int64_t{4};
  EXPECT_THAT(refused_because([&] { config_from_gguf(gguf(metadata)); }), HasSubstr("expert_gating_func 4"));
}

// Every row of the tables that says "refused" is refused, and every neutral value of it is not.
TEST_F(Formats, RefusedKeysAreRefused) {
  size_t seen = 0;
  const auto neutral_values = [](const KnownKey& key) {
    std::vector<json> values = {json()};
    std::istringstream words{std::string(key.neutral)};
    for (std::string word; words >> word;) values.push_back(json::parse(word));
    return values;
  };
  for (const KnownKey& key : config_keys()) {
    if (key.use != KeyUse::kRefused) continue;
    ++seen;
    json config = golden_json("llama");
    config[std::string(key.name)] = 0.123;
    EXPECT_THAT(refused_because([&] { config_from_json(config, "config.json"); }), HasSubstr(key.name)) << key.name;
    for (const json& value : neutral_values(key)) {
      config[std::string(key.name)] = value;
      EXPECT_NO_THROW(config_from_json(config, "config.json")) << key.name << " " << value;
    }
  }
  for (const KnownKey& key : rope_keys()) {
    if (key.use != KeyUse::kRefused) continue;
    ++seen;
    json config = golden_json("llama3_rope");
    config["rope_parameters"][std::string(key.name)] = 0.123;
    EXPECT_THAT(refused_because([&] { config_from_json(config, "config.json"); }), HasSubstr(key.name)) << key.name;
  }
  for (const KnownKey& key : gguf_keys()) {
    if (key.use != KeyUse::kRefused || key.name.ends_with('*')) continue;
    ++seen;
    std::string name(key.name);
    if (name.starts_with("{arch}")) name = "llama" + name.substr(6);
    io::GgufMetadata metadata = dense("llama");
    metadata.emplace_back(name, 0.123);
    EXPECT_THAT(refused_because([&] { check_gguf_keys(gguf(metadata)); }), HasSubstr(name)) << name;
    for (const json& value : neutral_values(key)) {
      if (value.is_null()) continue;
      if (value.is_boolean()) metadata.back().second = value.get<bool>();
      else if (value.is_string()) metadata.back().second = value.get<std::string>();
      else metadata.back().second = value.get<double>();
      EXPECT_NO_THROW(check_gguf_keys(gguf(metadata))) << name << " " << value;
    }
  }
  EXPECT_GT(seen, 60u);
}

TEST_F(Formats, UnknownKeysAreNamedOnceAndKnownOnesAreNot) {
  json config = golden_json("deepseek_v3");
  EXPECT_EQ(check_config_keys(config, "config.json"), std::vector<std::string>{});
  config["zeta"] = 1;
  config["alpha"] = 2;
  EXPECT_EQ(check_config_keys(config, "config.json"), std::vector<std::string>{"config.json: keys that hone does not know are passed over: alpha, zeta"});
  io::GgufMetadata metadata = dense("llama", {{"zeta", 1.0}});
  EXPECT_THAT(check_gguf_keys(gguf(metadata)), ::testing::ElementsAre(HasSubstr("passed over: llama.zeta")));
  for (const char* family : {"llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2", "deepseek_v2_lite", "deepseek_v3"}) {
    EXPECT_EQ(check_config_keys(golden_json(family), family), std::vector<std::string>{}) << family;
    EXPECT_EQ(check_gguf_keys(io::Gguf::open(fs::path(HONE_GOLDEN_DIR) / "models" / family / "model.gguf")), std::vector<std::string>{}) << family;
  }
}

TEST_F(Formats, GenerationSettingsAreReadToldOrRefused) {
  std::vector<std::string> notes;
  const json file = {{"temperature", 0.6}, {"top_p", 0.95}, {"top_k", 20}, {"repetition_penalty", 1.05}, {"eos_token_id", {7, 9}}, {"stop_strings", "END"},
                     {"do_sample", true}, {"max_new_tokens", 10}, {"num_beams", 4}, {"zeta", 1}};
  const Generation g = generation_from_json(file, "generation_config.json", notes);
  EXPECT_EQ(parameters_of(g), nlohmann::ordered_json::parse(R"({"temperature":0.6,"top_k":20,"top_p":0.95,"repeat_penalty":1.05,"stop":["END"]})"));
  EXPECT_EQ(g.eos_ids, (std::vector<int64_t>{7, 9}));
  EXPECT_THAT(notes, ::testing::ElementsAre(HasSubstr("num_beams 4 is passed over"), HasSubstr("passed over: zeta")));
  // There and back, by either format.
  EXPECT_EQ(parameters_of(generation_from_json(json::parse(generation_config(g).dump()), "", notes)), parameters_of(g));
  io::GgufMetadata metadata = dense("llama");
  for (auto& entry : generation_metadata(g)) metadata.push_back(entry);
  nlohmann::ordered_json numbers = parameters_of(g);
  numbers.erase("stop");
  EXPECT_EQ(parameters_of(generation_from_gguf(gguf(metadata))), numbers);
  EXPECT_EQ(parameters_of(generation_from_json({{"do_sample", false}, {"temperature", 0.6}}, "", notes)), (nlohmann::ordered_json{{"temperature", 0.0}}));
  EXPECT_THAT(refused_because([&] { generation_from_json({{"top_p", 3}}, "g", notes); }), HasSubstr("\"top_p\": expected 0 to 1, found 3"));
  EXPECT_THAT(refused_because([&] { generation_from_json({{"eos_token_id", "x"}}, "g", notes); }), HasSubstr("eos_token_id"));
}

TEST_F(Formats, WhatLlamaCppHasNoPlaceForIsNamed) {
  const auto obstacles = [](const std::string& family, const json& changes) {
    json config = golden_json(family);
    config.update(changes);
    return llama_cpp_obstacles(RandomSource(config_from_json(config, family), DType::kF32, 1, family));
  };
  for (const char* family : {"llama", "llama3_rope", "linear_rope", "qwen2", "qwen2_yarn", "qwen3", "deepseek_v2", "deepseek_v2_lite"}) EXPECT_THAT(obstacles(family, json::object()), ::testing::IsEmpty()) << family;
  const auto one = [&](const char* words) { return ::testing::ElementsAre(HasSubstr(words)); };
  EXPECT_THAT(obstacles("qwen3", {{"attention_bias", true}}), one("o_proj.bias"));
  EXPECT_THAT(obstacles("deepseek_v3", json::object()), one("kv_a_proj_with_mqa.bias"));
  EXPECT_THAT(obstacles("deepseek_v2", {{"mlp_bias", true}}), one("gate_proj.bias"));
  EXPECT_THAT(obstacles("deepseek_v2", {{"n_shared_experts", 0}}), one("without a shared one"));
  EXPECT_THAT(obstacles("deepseek_v2", {{"n_group", 8}, {"topk_group", 4}}), one("groups of one expert"));
  EXPECT_THAT(obstacles("deepseek_v2", {{"num_hidden_layers", 27}}), one("27 layers"));
  EXPECT_THAT(obstacles("qwen2", {{"head_dim", 16}}), one("3 heads of 16"));
  EXPECT_THAT(obstacles("qwen2_yarn", {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}, {"beta_fast", 16}}}}), one("beta_fast 16"));
  EXPECT_THAT(obstacles("qwen3", {{"rope_parameters", {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 64}}}}),
              one("llama3's rope scaling"));
  // Groups of which all are used are no groups: llama.cpp aborts unless fewer are used than there are.
  json config = golden_json("deepseek_v3");
  config["topk_group"] = config["n_group"];
  const ModelConfig found = config_from_gguf(gguf(gguf_architecture(config_from_json(config, "v3"), "v3")));
  EXPECT_EQ(found.moe->n_group, 1);
  EXPECT_EQ(found.moe->topk_group, 1);
  EXPECT_EQ(llama_cpp_notes(config_from_json(golden_json("deepseek_v2"), "v2")).size(), 1u) << "groups are ranked otherwise";
  EXPECT_TRUE(llama_cpp_notes(config_from_json(golden_json("deepseek_v3"), "v3")).empty());
}

// A copy of the golden model in `folder`, with a head beside the embedding that its configuration ties.
class TiedHead : public Formats {
 protected:
  void make(float head_factor) const {
    const fs::path from = fs::path(HONE_GOLDEN_DIR) / "models" / "llama";
    fs::copy_file(from / "config.json", work_ / "config.json");
    const io::Safetensors file = io::Safetensors::open(from / "model.safetensors");
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const std::string& name : file.names()) tensors.emplace_back(name, file.tensor(name));
    Tensor head = file.tensor("model.embed_tokens.weight").clone();
    if (head_factor != 1) {
      ASSERT_EQ(head.dtype(), DType::kBF16);
      auto* bits = static_cast<uint16_t*>(head.raw_mutable());
      for (int64_t i = 0; i < head.elements(); ++i) bits[i] = static_cast<uint16_t>(bits[i] + 0x80);  // twice the value
    }
    tensors.emplace_back("lm_head.weight", head);
    io::write_safetensors(work_ / "model.safetensors", tensors);
  }
};

TEST_F(TiedHead, IsKeptWhereItDiffers) {
  make(2);
  const auto source = ModelSource::open(work_);
  EXPECT_FALSE(source->config().tied_head);
  EXPECT_THAT(source->notes(), ::testing::ElementsAre(HasSubstr("differs from the embedding: it is kept")));
  const Golden golden("llama");
  const Tensor plain = logits(golden.load({.activation = DType::kF32}), golden.all());
  const Tensor doubled = logits(CausalLm::load(*source, {.activation = DType::kF32}), golden.all());
  for (int64_t i = 0; i < plain.elements(); ++i) ASSERT_NEAR(doubled.data<float>()[i], 2 * plain.data<float>()[i], 1e-4);
}

TEST_F(TiedHead, IsTheEmbeddingWhereItDoesNot) {
  make(1);
  const auto source = ModelSource::open(work_);
  EXPECT_TRUE(source->config().tied_head);
  EXPECT_TRUE(source->notes().empty());
}

// A weight of whole numbers and a tensor without a place are refused when the file is opened, not at the first request.
TEST_F(Formats, WeightsThatCannotBeComputedWithAreRefusedAtOnce) {
  const io::Gguf from = io::Gguf::open(fs::path(HONE_GOLDEN_DIR) / "models" / "qwen2" / "model.gguf");
  const auto write = [&](const std::string& whole_numbers, const std::string& extra) {
    io::GgufMetadata metadata;
    for (const auto& [key, value] : from.metadata()) metadata.emplace_back(key, value);
    std::vector<io::GgufEntry> entries;
    for (const std::string& name : from.tensor_names()) {
      const Tensor t = from.tensor(name);
      entries.push_back({name, name == whole_numbers ? DType::kI32 : t.dtype(), t.shape()});
    }
    if (!extra.empty()) entries.push_back({extra, DType::kF32, {42}});
    io::GgufWriter writer(work_ / "m.gguf", metadata, entries);
    for (const io::GgufEntry& entry : entries) {
      const std::string zeros(static_cast<size_t>(entry.shape.elements() / entry.shape[-1] * row_bytes(entry.type, entry.shape[-1])), '\0');
      writer.write(zeros.data(), zeros.size());
    }
    writer.finish();
    return refused_because([&] { ModelSource::open(work_ / "m.gguf"); });
  };
  EXPECT_EQ(write("", ""), "nothing was refused");
  EXPECT_THAT(write("blk.1.ffn_up.weight", ""), HasSubstr("weight \"blk.1.ffn_up.weight\" holds whole numbers (I32)"));
  EXPECT_THAT(write("output_norm.weight", ""), HasSubstr("\"output_norm.weight\" holds whole numbers"));
  EXPECT_THAT(write("", "output.bias"), HasSubstr("\"output.bias\" has no place"));
  EXPECT_THAT(write("", "blk.0.attn_sub_norm.weight"), HasSubstr("\"blk.0.attn_sub_norm.weight\" has no place"));
  EXPECT_THAT(write("", "blk.0.attn_q_norm.weight"), HasSubstr("\"blk.0.attn_q_norm.weight\" has no place"));
  EXPECT_EQ(write("", "blk.2.nextn.enorm.weight"), "nothing was refused") << "layers beyond the model's own are left out";
}

}  // namespace
}  // namespace hone::models::testing
