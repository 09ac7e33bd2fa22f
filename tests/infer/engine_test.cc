// Many requests at once: what each one gets must not depend on the others, on what was computed before, or on memory being short.
#include <semaphore>

#include "base/json_file.h"
#include "infer/engine_fixture.h"
#include "infer/generate.h"
#include "kernels/table.h"
#include "models/adapter.h"
#include "models/source_random.h"

namespace hone::infer {
namespace {

class EngineTest : public EngineFixture {};

TEST_P(EngineTest, GreedyAnswersAreTransformers) {
  const auto model = load(DType::kF32);
  const text::Tokenizer tokenizer = numbers(model->config().vocab_size);
  Engine engine(model, tokenizer, {});
  const nlohmann::json rows = read_json(folder_ / "greedy.json").at("rows");
  for (const auto& row : rows) {
    const auto expected = row.at("base").get<Ids>();
    EXPECT_EQ(ask(engine, request(row.at("prompt").get<Ids>(), static_cast<int64_t>(expected.size()))), expected);
  }
}

// Alone, in one batch, in small pieces, with prefixes computed earlier, and with pages for three of twelve: always the same tokens.
void expect_company_changes_nothing(const std::shared_ptr<const models::CausalLm>& model) {
  const int64_t vocab = model->config().vocab_size, context = model->max_positions();
  const text::Tokenizer tokenizer = numbers(vocab);
  std::vector<Ids> prompts;
  for (const int64_t tokens : {1, 2, 5, 33, 40, 64, 65, 70, 97, 31, 32, 80}) prompts.push_back(prompt(vocab, std::min(tokens, context - 20), tokens > 35 ? 1 : 2));
  for (const bool q8 : {false, true}) {
    std::vector<Ids> alone;
    for (const Ids& p : prompts) {
      Engine engine(model, tokenizer, {.cache_q8 = q8});
      alone.push_back(ask(engine, request(p, 12)));
      EXPECT_EQ(alone.back().size(), 12u);
    }
    for (EngineOptions options : {EngineOptions{}, EngineOptions{.prefill_chunk = 7}, EngineOptions{.max_batch = 3}, EngineOptions{.cache_tokens = 320}}) {
      if (q8 && options.cache_tokens > 0) continue;  // tokens of an answer that are read again as a prompt round otherwise, and bytes show it
      options.cache_q8 = q8;
      Engine engine(model, tokenizer, options);
      for (int round = 0; round < 2; ++round) {
        std::vector<std::shared_ptr<Kept>> all;
        for (const Ids& p : prompts) engine.submit(request(p, 12), all.emplace_back(std::make_shared<Kept>()));
        for (size_t i = 0; i < all.size(); ++i) {
          EXPECT_FALSE(all[i]->wait().error);
          EXPECT_EQ(all[i]->ids(), alone[i]) << "request " << i << ", round " << round << ", pages for " << options.cache_tokens << ", chunks of " << options.prefill_chunk << (q8 ? ", bytes" : "");
        }
      }
      if (options.cache_tokens == 0 && context > 100) { EXPECT_GT(engine.metrics().reused_tokens, 300); }
    }
  }
}

TEST_P(EngineTest, CompanyChangesNothing) {
  for (const DType activation : {DType::kF32, DType::kBF16}) expect_company_changes_nothing(load(activation));
}

// Keys and values as bytes: likelihoods are near those of the activation type, and not the same.
TEST_P(EngineTest, BytesInTheCacheChangeLittle) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  std::vector<float> logprobs[2];
  for (const bool q8 : {false, true}) {
    Engine engine(model, tokenizer, {.prefill_chunk = 16, .cache_q8 = q8});
    Request r = request(prompt(vocab, std::min<int64_t>(90, model->max_positions() - 20), 1), 0);
    r.prompt_logprobs = true;
    r.top_logprobs = 0;
    const auto kept = std::make_shared<Kept>();
    engine.submit(std::move(r), kept);
    ASSERT_FALSE(kept->wait().error);
    for (const TokenEvent& event : kept->prompt) logprobs[q8].push_back(event.logprob);
  }
  ASSERT_EQ(logprobs[0].size(), logprobs[1].size());
  std::vector<float> differences;
  for (size_t i = 0; i < logprobs[0].size(); ++i) differences.push_back(std::abs(logprobs[0][i] - logprobs[1][i]));
  std::sort(differences.begin(), differences.end());
  EXPECT_GT(differences.back(), 0);
  EXPECT_LT(differences[differences.size() / 2], 0.03) << "the median";
}

// Three adapters and the base in one batch: each answers as it does alone, also while another is replaced and unloaded.
TEST_P(EngineTest, AdaptersShareABatch) {
  const io::LoraAdapter saved = io::read_peft(folder_ / "adapter");
  for (const DType activation : {DType::kF32, DType::kBF16}) {
    const auto model = load(activation);
    const int64_t vocab = model->config().vocab_size;
    const text::Tokenizer tokenizer = numbers(vocab);
    std::vector<std::shared_ptr<const nn::AdapterLayers>> layers{nullptr};
    for (const double alpha : {4.0, -4.0, 9.0}) {
      io::LoraAdapter changed = saved;
      for (io::LoraPair& pair : changed.pairs) pair.alpha *= alpha;
      std::erase_if(changed.pairs, [](const auto& pair) { return pair.module.find(".mlp.experts.") != std::string::npos; });
      layers.push_back(std::make_shared<nn::AdapterLayers>(models::adapter_layers(*model, changed, "changed")));
    }
    const auto named = [](size_t i) { return i ? "adapter" + std::to_string(i) : std::string(); };
    std::vector<Ids> alone;
    for (size_t i = 0; i < 8; ++i) {
      Engine engine(model, tokenizer, {});
      for (size_t a = 1; a < layers.size(); ++a) engine.load_adapter(named(a), layers[a]);
      Request r = request(prompt(vocab, 40 + static_cast<int64_t>(i / 4), 1), 10);
      r.adapter = named(i % 4);
      alone.push_back(ask(engine, r));
    }
    EXPECT_NE(alone[0], alone[1]) << "an adapter that changes nothing proves nothing";
    EXPECT_NE(alone[1], alone[2]);
    Engine engine(model, tokenizer, {});
    for (int round = 0; round < 2; ++round) {  // the second finds the prefixes of the first, each adapter its own
      std::vector<std::shared_ptr<Kept>> all;
      for (size_t a = 1; a < layers.size(); ++a) engine.load_adapter(named(a), layers[a]);
      for (size_t i = 0; i < 8; ++i) {
        Request r = request(prompt(vocab, 40 + static_cast<int64_t>(i / 4), 1), 10);
        r.adapter = named(i % 4);
        engine.submit(r, all.emplace_back(std::make_shared<Kept>()));
      }
      engine.load_adapter(named(1), layers[2]);
      EXPECT_TRUE(engine.unload_adapter(named(3)));
      EXPECT_FALSE(engine.unload_adapter(named(3)));
      for (size_t i = 0; i < 8; ++i) {
        EXPECT_FALSE(all[i]->wait().error);
        EXPECT_EQ(all[i]->ids(), alone[i]) << "request " << i << ", round " << round;
      }
      Request replaced = request(prompt(vocab, 40, 1), 10);
      replaced.adapter = named(1);
      EXPECT_EQ(ask(engine, replaced), alone[2]) << "the new adapter of that name, and nothing computed with the old one";
    }
  }
}

TEST_P(EngineTest, LogprobsOfPromptAndAnswer) {
  const auto model = load(DType::kF32);
  const text::Tokenizer tokenizer = numbers(model->config().vocab_size);
  Engine engine(model, tokenizer, {.prefill_chunk = 5});
  Request r = request(prompt(model->config().vocab_size, 20, 1), 3);
  r.top_logprobs = 2;
  r.prompt_logprobs = true;
  const auto kept = std::make_shared<Kept>();
  engine.submit(r, kept);
  ASSERT_FALSE(kept->wait().error);
  ASSERT_EQ(kept->prompt.size(), 20u);
  ASSERT_EQ(kept->answer.size(), 3u);
  for (const TokenEvent& event : kept->answer) {
    ASSERT_EQ(event.top.size(), 2u);
    EXPECT_EQ(event.top[0].id, event.id) << "greedy takes the likeliest";
    EXPECT_EQ(event.top[0].logprob, event.logprob);
    EXPECT_GE(event.top[0].logprob, event.top[1].logprob);
  }
  // Σ −log p over the prompt is the model's own loss on it.
  const auto tokens = static_cast<int64_t>(r.prompt.size());
  Ids labels(r.prompt.begin() + 1, r.prompt.end()), positions;
  labels.push_back(-100);
  for (int32_t i = 0; i < tokens; ++i) positions.push_back(i);
  const int32_t segments[2] = {0, static_cast<int32_t>(tokens)};
  const autograd::NoGrad no_grad;
  const nn::Sequence sequence{Tensor::from({tokens}, std::span<const int32_t>(r.prompt)), Tensor::from({tokens}, std::span<const int32_t>(positions)), Tensor::from({2}, std::span<const int32_t>(segments))};
  const float loss = model->loss(sequence, Tensor::from({tokens}, std::span<const int32_t>(labels)), 1, {}).loss.value().data<float>()[0];
  float sum = 0;
  for (const TokenEvent& event : kept->prompt) sum -= event.logprob;
  EXPECT_NEAR(sum, loss, 1e-4 * loss);
  // The stop token that ends an answer: told when it is wanted, and no token of the answer.
  for (const bool told : {false, true}) {
    Request ends = r;
    ends.options.stop_ids = {kept->answer[0].id};
    ends.stop_logprob = told;
    const auto ended = std::make_shared<Kept>();
    engine.submit(ends, ended);
    const Outcome outcome = ended->wait();
    EXPECT_EQ(outcome.finish, Finish::kStop);
    EXPECT_EQ(outcome.answer_tokens, 0);
    ASSERT_EQ(ended->answer.size(), told ? 1u : 0u);
    if (!told) continue;
    EXPECT_EQ(ended->answer[0].id, kept->answer[0].id);
    EXPECT_EQ(ended->answer[0].text, "");
    EXPECT_NEAR(ended->answer[0].logprob, kept->answer[0].logprob, 1e-5);
    EXPECT_EQ(ended->answer[0].top.size(), 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EngineTest, ::testing::Values("llama", "qwen2", "qwen3", "deepseek_v2_lite", "deepseek_v3"), [](const auto& which) { return std::string(which.param); });

class OneEngine : public EngineTest {};

// Quantised weights laid out for generation: likelihoods are those of the file's own layout, and company changes nothing either.
TEST_P(OneEngine, WeightsInPanelsAnswerAsRowsDo) {
  models::ModelConfig config = models::config_from_json(read_json(folder_ / "config.json"), folder_.string());
  config.hidden_size = 256, config.intermediate_size = 512, config.head_dim = 64, config.heads = 4, config.kv_heads = 2;
  for (const DType type : {DType::kQ4_1, DType::kQ8_0, DType::kQ4_K}) {
    const models::RandomSource source(config, type, 5, "random");
    const auto rows = std::make_shared<const models::CausalLm>(models::CausalLm::load(source, {}));
    const auto panels = std::make_shared<const models::CausalLm>(models::CausalLm::load(source, {.panels = true}));
    const text::Tokenizer tokenizer = numbers(config.vocab_size);
    std::shared_ptr<Kept> kept[2];
    for (const auto& model : {rows, panels}) {
      Engine engine(model, tokenizer, {});
      Request r = request(prompt(config.vocab_size, 40, 1), 12);
      r.top_logprobs = 0;
      engine.submit(std::move(r), kept[model == panels] = std::make_shared<Kept>());
      ASSERT_FALSE(kept[model == panels]->wait().error);
    }
    ASSERT_EQ(kept[1]->answer.size(), 12u);
    for (size_t i = 0; i < 12 && (i == 0 || kept[0]->answer[i - 1].id == kept[1]->answer[i - 1].id); ++i)
      EXPECT_NEAR(kept[0]->answer[i].logprob, kept[1]->answer[i].logprob, 0.02) << name(type) << ", token " << i;
    if (type != DType::kQ4_K) continue;
    // Unpacked scales make panels of this type a little larger.
    if (kernels::kernels().has_int8) { EXPECT_GT(panels->owned_weight_bytes() + panels->mapped_weight_bytes(), rows->owned_weight_bytes() + rows->mapped_weight_bytes()); }
    expect_company_changes_nothing(panels);
  }
}

// Keeps the engine at its first token until it is let go.
class Held : public Kept {
 public:
  bool on_token(const TokenEvent& event) override {
    if (answer.empty()) go.acquire();
    return Kept::on_token(event);
  }
  std::binary_semaphore go{0};
};

TEST_P(OneEngine, CancelsRefusesAndEnds) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  const auto early = std::make_shared<Kept>();
  const auto last = std::make_shared<Held>(), by_number = std::make_shared<Held>();
  {
    Engine engine(model, tokenizer, {.max_batch = 1, .max_queue = 2});
    early->cancel_after = 2;
    engine.submit(request(prompt(vocab, 5, 1), 50), early);
    EXPECT_EQ(early->wait().finish, Finish::kCancelled);
    EXPECT_EQ(early->answer.size(), 2u);
    EXPECT_THROW(engine.submit(request({}, 5), last), Error);
    EXPECT_THROW(engine.submit(request({static_cast<int32_t>(vocab)}, 5), last), Error);
    EXPECT_THROW(engine.submit(request(Ids(static_cast<size_t>(model->max_positions()), 1), 5), last), Error);
    Request unknown = request({1}, 5);
    unknown.adapter = "nobody";
    EXPECT_THROW(engine.submit(unknown, last), Error);
    engine.cancel(engine.submit(request(prompt(vocab, 5, 1), 100000), by_number));
    by_number->go.release();
    EXPECT_EQ(by_number->wait().finish, Finish::kCancelled);
    engine.submit(request(prompt(vocab, 5, 1), 100000), last);
    std::vector<std::shared_ptr<Kept>> waiting;
    int refused = 0;
    for (int i = 0; i < 8; ++i) try {
        engine.submit(request({1, 2}, 100000), waiting.emplace_back(std::make_shared<Kept>()));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBusy);
        ++refused;
      }
    EXPECT_GE(refused, 5);
    last->go.release();
  }
  EXPECT_TRUE(last->outcome.has_value()) << "an ending engine ends its requests";
}

// Before the first token nothing is shown, yet whoever waits can give up: both requests would wait an hour for others to come together.
TEST_P(OneEngine, IsInterruptedBeforeTheFirstToken) {
  const auto model = load(DType::kF32);
  const text::Tokenizer tokenizer = numbers(model->config().vocab_size);
  Engine engine(model, tokenizer, {.batch_timeout = 3600});
  int asked = 0;
  EXPECT_EQ(generate(engine, request({1, 2}, 0), nullptr, [&] { return ++asked == 2; }).finish, Finish::kCancelled);
  EXPECT_EQ(asked, 2);
  int answers = 0;
  generate_all(engine, {request({1, 2}, 0), request({3}, 0)}, 2, [&](size_t, const Generation&) { return ++answers; }, [] { return true; });
  EXPECT_EQ(answers, 0);
  EXPECT_EQ(engine.metrics().cancelled, 3);
}

// A prompt that is only read gives its pages back like any other: with memory for less than it and the answer before it, both end,
// and a token of the prompt is shown once.
TEST_P(OneEngine, ReadingGivesWayWhenMemoryIsShort) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  const auto ask_both = [&](int64_t cache_tokens, bool embed) {
    Engine engine(model, tokenizer, {.prefill_chunk = 4, .cache_tokens = cache_tokens});
    const auto answer = std::make_shared<Kept>(), read = std::make_shared<Kept>();
    engine.submit(request(prompt(vocab, 8, 1), 110), answer);
    Request r = request(prompt(vocab, 100, 2), 0);
    r.embed = embed;
    r.prompt_logprobs = !embed;
    engine.submit(r, read);
    EXPECT_FALSE(answer->wait().error);
    EXPECT_FALSE(read->wait().error);
    EXPECT_EQ(answer->answer.size(), 110u);
    return read;
  };
  for (const bool embed : {true, false}) {
    const auto ample = ask_both(0, embed), scarce = ask_both(128, embed);
    EXPECT_EQ(ample->outcome->embedding, scarce->outcome->embedding);
    ASSERT_EQ(ample->prompt.size(), embed ? 0u : 100u);
    ASSERT_EQ(scarce->prompt.size(), ample->prompt.size());
    for (size_t t = 0; t < ample->prompt.size(); ++t) EXPECT_EQ(ample->prompt[t].logprob, scarce->prompt[t].logprob) << t;
  }
}

TEST_P(OneEngine, SingleShotsWaitForCompany) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  Engine engine(model, tokenizer, {.max_batch = 4, .batch_timeout = 30});
  std::vector<std::shared_ptr<Kept>> all;
  for (int i = 0; i < 4; ++i) {
    Request r = request(prompt(vocab, 5 + i, 1), 0);
    r.embed = true;
    engine.submit(r, all.emplace_back(std::make_shared<Kept>()));
  }
  for (const auto& kept : all) {
    ASSERT_FALSE(kept->wait().error);
    double square = 0;
    for (const float x : kept->outcome->embedding) square += double{x} * x;
    EXPECT_NEAR(square, 1, 1e-5);
  }
  EXPECT_EQ(engine.metrics().steps, 1) << "four together";
  Engine hasty(model, tokenizer, {.max_batch = 4, .batch_timeout = 0.01});
  const auto one = std::make_shared<Kept>();
  hasty.submit(request(prompt(vocab, 5, 1), 0), one);
  EXPECT_EQ(one->wait().finish, Finish::kLength);
}

INSTANTIATE_TEST_SUITE_P(Llama, OneEngine, ::testing::Values("llama"), [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace hone::infer
