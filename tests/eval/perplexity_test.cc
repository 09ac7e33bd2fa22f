// Perplexity against transformers.
#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json_file.h"
#include "models/source.h"

namespace hone::eval {
namespace {

models::CausalLm load(const std::string& name, int64_t max_positions = 0) {
  models::LoadOptions options;
  options.activation = DType::kF32;
  options.max_positions = max_positions;
  return models::CausalLm::load(*models::ModelSource::open(HONE_GOLDEN_DIR "/models/" + name), options);
}

TEST(Perplexity, EqualsTransformers) {
  const nlohmann::json golden = read_json(HONE_GOLDEN_DIR "/metrics/perplexity.json");
  ASSERT_EQ(golden.size(), 3u);
  for (const auto& entry : golden) {
    const models::CausalLm model = load(entry["model"]);
    const std::vector<int32_t> ids = entry["ids"];
    for (const auto& c : entry["cases"]) {
      PerplexityOptions options;
      options.method = c[0] == "chunks" ? PerplexityMethod::kChunks : PerplexityMethod::kSliding;
      options.window = c[1];
      options.stride = c[2];
      if (!c[3].is_null()) options.bos = c[3].get<int32_t>();
      const Perplexity found = perplexity(model, ids, options);
      const double expected = c[4], tokens = c[5];
      EXPECT_EQ(static_cast<double>(found.tokens), tokens) << c;
      EXPECT_NEAR(found.negative_log_likelihood / expected, 1, 1e-5) << entry["model"] << " " << c;
      EXPECT_NEAR(found.value() / std::exp(expected / tokens), 1, 1e-4);
    }
  }
}

TEST(Perplexity, RefusesWhatCannotBeRead) {
  const models::CausalLm model = load("llama", /*max_positions=*/32);
  const std::vector<int32_t> ids(40, 3);
  PerplexityOptions options;
  options.window = 16;
  options.stride = 8;
  EXPECT_THROW(perplexity(model, std::span(ids).first(1), options), Error);
  options.method = PerplexityMethod::kChunks;
  EXPECT_THROW(perplexity(model, std::span(ids).first(31), options), Error);
  options.window = 33;
  options.method = PerplexityMethod::kSliding;
  EXPECT_THROW(perplexity(model, ids, options), Error);
  options.window = 16;
  options.interrupted = [] { return true; };
  EXPECT_THROW(perplexity(model, ids, options), Error);
}

}  // namespace
}  // namespace hone::eval
