#include "recipes/answers.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "base/file.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::path(testing::TempDir()) / ("answers_test-" + std::to_string(::getpid()));  // tests run side by side
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path file(const std::string& name, const std::string& content) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << content;
    return path / name;
  }
};

TEST(AnswerKey, HoldsWhatAnswersComeFrom) {
  const Folder folder;
  AnswerOrigin origin;
  origin.base = folder.file("model.gguf", "weights");
  origin.adapters = {folder.file("blobs/sha256-1", "adapter")};
  folder.file("best/adapter_config.json", "{}");
  origin.tuned = folder.file("best/adapter_model.safetensors", "tuned").parent_path();
  const std::string key = answer_key(origin);
  EXPECT_EQ(answer_key(origin), key);
  std::set<std::string> keys = {key};
  const auto differs = [&](const char* what, auto change) {
    AnswerOrigin other = origin;
    change(other);
    EXPECT_TRUE(keys.insert(answer_key(other)).second) << what;
  };
  differs("program", [](AnswerOrigin& o) { o.program += "x"; });
  differs("instruction set", [](AnswerOrigin& o) { o.isa += "x"; });
  differs("precision", [](AnswerOrigin& o) { o.load.activation = DType::kF32; });
  differs("quantization", [](AnswerOrigin& o) { o.load.base = models::BaseFormat::kNF4; });
  differs("full fine-tuning", [](AnswerOrigin& o) { o.load.train_all = true; });
  differs("temperature", [](AnswerOrigin& o) { o.generate.sampler.temperature = 0; });
  differs("seed", [](AnswerOrigin& o) { o.generate.sampler.seed = 1; });
  differs("max_tokens", [](AnswerOrigin& o) { o.generate.max_tokens = 7; });
  differs("stop_ids", [](AnswerOrigin& o) { o.generate.stop_ids = {7}; });
  differs("stop", [](AnswerOrigin& o) { o.generate.stop = {"7"}; });
  differs("no tuned model", [](AnswerOrigin& o) { o.tuned.clear(); });
  differs("no adapter", [](AnswerOrigin& o) { o.adapters.clear(); });
  differs("another base", [&](AnswerOrigin& o) { o.base = folder.file("other.gguf", "weights"); });

  // Trained files count by their bytes: the same size and the same time hide nothing, and a copy is the same model.
  const fs::path weights = origin.tuned / "adapter_model.safetensors";
  const auto time = fs::last_write_time(weights);
  folder.file("best/adapter_model.safetensors", "tuneD");
  fs::last_write_time(weights, time);
  differs("other bytes", [](AnswerOrigin&) {});
  folder.file("best/adapter_model.safetensors", "tuned");
  fs::last_write_time(weights, time + std::chrono::hours(1));
  EXPECT_EQ(answer_key(origin), key);
  fs::last_write_time(origin.base, fs::last_write_time(origin.base) + std::chrono::seconds(1));
  differs("a base that was written again", [](AnswerOrigin&) {});
  EXPECT_EQ(program_digest().size(), 64u);
}

TEST(AnswerFile, FindsAnswersOfItsKeyAlone) {
  const Folder folder;
  const fs::path path = folder.path / "answers.jsonl";
  const Question first{"a:1", "one", "1", {1, 2}}, second{"a:2", "two", "2", {1, 3}};
  {
    AnswerFile file(path, "k1");
    EXPECT_EQ(file.find(first), nullptr);
    file.add(first, "eins");
    ASSERT_NE(file.find(first), nullptr);
  }
  std::ofstream(path, std::ios::app) << "[]\n{\"key\":3}\nnot json\n{\"torn\":";
  AnswerFile same(path, "k1"), other(path, "k2");
  ASSERT_NE(same.find(first), nullptr);
  EXPECT_EQ(*same.find(first), "eins");
  EXPECT_EQ(same.find(second), nullptr);
  EXPECT_EQ(other.find(first), nullptr);
  other.add(first, "uno");
  EXPECT_EQ(*AnswerFile(path, "k1").find(first), "eins") << "answers of other keys stay";
  EXPECT_EQ(*AnswerFile(path, "k2").find(first), "uno");
  EXPECT_EQ(read_file(path).find("torn"), std::string::npos);
}

}  // namespace
}  // namespace hone::recipes
