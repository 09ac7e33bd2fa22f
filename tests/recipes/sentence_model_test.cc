#include "recipes/sentence_model.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/json_file.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(HONE_GOLDEN_DIR) / "encoders", kTiny = kGolden / "tiny";

struct GoldenTexts {
  nlohmann::json rows = read_json(kGolden / "expected.json")["texts"];
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  GoldenTexts() {
    for (const auto& row : rows) texts.push_back(row["text"]);
    views.assign(texts.begin(), texts.end());
  }
};

// Largest difference to the expected rows.
double difference(const SentenceModel& model, const GoldenTexts& golden, const char* key) {
  const auto width = static_cast<size_t>(model.dimensions());
  std::vector<float> found(golden.views.size() * width);
  model.embed(golden.views, found.data());
  double worst = 0;
  for (size_t i = 0; i < golden.views.size(); ++i) {
    const auto expected = golden.rows[i][key].get<std::vector<double>>();
    EXPECT_EQ(expected.size(), width);
    for (size_t k = 0; k < width; ++k) worst = std::max(worst, std::isfinite(found[i * width + k]) ? std::abs(expected[k] - found[i * width + k]) : INFINITY);
  }
  return worst;
}

// A copy of the golden model with one file changed.
class Copy {
 public:
  Copy(const char* file, const std::string& content) {
    fs::remove_all(folder_);
    fs::copy(kTiny, folder_, fs::copy_options::recursive);
    if (content.empty()) fs::remove(folder_ / file);
    else std::ofstream(folder_ / file) << content;
  }
  ~Copy() { fs::remove_all(folder_); }
  const fs::path& path() const { return folder_; }

 private:
  fs::path folder_ = fs::path(testing::TempDir()) / ("sentence_model-" + std::to_string(::getpid()));  // tests run side by side
};

TEST(SentenceModel, EmbedsAsTheReference) {
  const GoldenTexts golden;
  EXPECT_TRUE(SentenceModel::is_encoder(kTiny));
  EXPECT_TRUE(SentenceModel::is_encoder(kTiny / "model.gguf"));
  EXPECT_FALSE(SentenceModel::is_encoder(fs::path(HONE_GOLDEN_DIR) / "models" / "llama"));
  EXPECT_FALSE(SentenceModel::is_encoder(fs::path(HONE_GOLDEN_DIR) / "models" / "llama" / "model.gguf"));
  const SentenceModel folder = SentenceModel::open(kTiny);
  EXPECT_EQ(folder.most_tokens(), 24);
  EXPECT_LT(difference(folder, golden, "mean"), 2e-5);
}

TEST(SentenceModel, TakesTheFirstTokenWhereThePoolingSaysSo) {
  const GoldenTexts golden;
  {
    const Copy cls("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
    std::ofstream(cls.path() / "modules.json") << R"([{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])";
    EXPECT_LT(difference(SentenceModel::open(cls.path()), golden, "cls"), 1e-4);
  }
  const Copy plain("modules.json", "");
  EXPECT_LT(difference(SentenceModel::open(plain.path()), golden, "mean"), 2e-5);
}

// GGUF keeps no limit of sentence-transformers: texts that are not cut must come out alike.
TEST(SentenceModel, ReadsGguf) {
  const SentenceModel folder = SentenceModel::open(kTiny), gguf = SentenceModel::open(kTiny / "model.gguf");
  EXPECT_EQ(gguf.most_tokens(), 40);
  std::vector<std::string_view> texts = {"The river crossed the old bridge.", "第二章", "café", ""};
  const auto width = static_cast<size_t>(folder.dimensions());
  std::vector<float> a(texts.size() * width), b(a.size());
  folder.embed(texts, a.data());
  gguf.embed(texts, b.data());
  EXPECT_THAT(b, testing::Pointwise(testing::FloatNear(1e-6f), a));
}

// A text's vector does not depend on what is computed beside it, however many batches there are.
TEST(SentenceModel, TextsDoNotMeet) {
  const SentenceModel model = SentenceModel::open(kTiny);
  std::vector<std::string> texts;
  for (int i = 0; i < 700; ++i) texts.push_back("text number " + std::to_string(i) + std::string(static_cast<size_t>(i % 11), '!'));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto width = static_cast<size_t>(model.dimensions());
  std::vector<float> all(views.size() * width), one(width);
  model.embed(views, all.data());
  for (const size_t i : {0, 1, 350, 699}) {
    model.embed({&views[i], 1}, one.data());
    EXPECT_THAT(std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(i * width), all.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)), testing::Pointwise(testing::FloatNear(1e-5f), one)) << i;
  }
  model.embed({}, nullptr);
}

TEST(SentenceModel, RefusesBadFolders) {
  const std::pair<const char*, const char*> cases[] = {{"model.safetensors", ""}, {"config.json", R"({"model_type": "bert", "hidden_size": 12, "num_attention_heads": 5})"},
      {"config.json", R"({"model_type": "bert", "hidden_size": 1e9})"}, {"config.json", R"({"model_type": "bert", "hidden_act": "relu"})"}, {"config.json", R"({"model_type": "bert", "position_embedding_type": "relative_key"})"},
      {"config.json", R"({"model_type": "bert", "num_hidden_layers": 0})"}, {"config.json", R"({"model_type": "bert"})"}, {"config.json", R"({"model_type": "roberta"})"}, {"config.json", "[]"},
      {"modules.json", "{}"}, {"modules.json", R"([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])"}, {"modules.json", R"([{"type": "x.Pooling", "path": "../1_Pooling"}])"},
      {"1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})"}, {"1_Pooling/config.json", R"({"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true})"}, {"1_Pooling/config.json", "[]"},
      {"tokenizer.json", "{}"}};
  for (const auto& [file, content] : cases) {
    const Copy copy(file, content);
    EXPECT_THROW(SentenceModel::open(copy.path()), Error) << file << " " << content;
  }
}

}  // namespace
}  // namespace hone::recipes
