// Guessed tokens: which ones, and that an answer is the same with and without them, to the last bit of its likelihoods.
#include "infer/draft.h"

#include "infer/engine_fixture.h"

namespace hone::infer {
namespace {

TEST(Draft, GoesOnAsTheLatestPlaceAlike) {
  Draft draft;
  //                        here: 1 2 3 → 4 5        later: 1 2 3 → 6 7      and now
  const Ids ids{9, 1, 2, 3, 4, 5, 8, 9, 1, 2, 3, 6, 7, 8, 5, 1, 2, 3};
  const Ids guessed = draft.guess(ids, 1, 2);
  ASSERT_GE(guessed.size(), 1u);
  EXPECT_EQ(guessed[0], 6);
  // 9 1 2 3 stands earlier, and is alike for longer than what came last.
  EXPECT_EQ(draft.guess(Ids{9, 1, 2, 3, 4, 5, 8, 1, 2, 3, 6, 9, 1, 2, 3}, 1, 1), (Ids{4}));
}

TEST(Draft, LoopsGoOnBeyondWhatIsThere) {
  Draft draft;
  Ids ids;
  for (int i = 0; i < 9; ++i) ids.push_back(i % 3);
  for (int i = 0; i < 20; ++i) draft.guess(ids, 1, 7), draft.judge(7, 7);  // learns that it may guess far
  EXPECT_EQ(draft.guess(ids, 1, 7), (Ids{0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(draft.guess(Ids{4, 5, 5}, 1, 3), Ids(draft.guess(Ids{4, 5, 5}, 1, 3).size(), 5));
}

TEST(Draft, GuessesNothingWhereNothingWasAlike) {
  Draft draft;
  EXPECT_TRUE(draft.guess({}, 1, 7).empty());
  EXPECT_TRUE(draft.guess(Ids{1}, 1, 7).empty());
  EXPECT_TRUE(draft.guess(Ids{1, 2, 3}, 1, 7).empty());
  const Ids alike{1, 2, 3, 4, 1, 2, 3};
  EXPECT_FALSE(draft.guess(alike, 1, 7).empty());
  EXPECT_TRUE(draft.guess(alike, 1, 0).empty());
  EXPECT_TRUE(draft.guess(alike, 1, -5).empty());
}

TEST(Draft, FollowsAPrediction) {
  const Ids prediction{50, 51, 52, 53, 54, 55, 56, 57};
  const auto next = [&](const Ids& ids) {
    Draft draft(prediction, 3);  // the prompt: 1 2 3
    const Ids guessed = draft.guess(ids, 1, 3);
    return guessed.empty() ? -1 : guessed[0];
  };
  EXPECT_EQ(next({1, 2, 3, 50}), 51);
  EXPECT_EQ(next({1, 2, 3, 50, 51, 52}), 53);
  EXPECT_EQ(next({1, 2, 3, 9, 54, 55}), 56) << "after something else";
  EXPECT_EQ(next({1, 2, 3, 50, 51, 52, 53, 54, 55, 56, 57}), -1) << "nothing behind its end";
  EXPECT_EQ(next({1, 2, 3, 8}), -1);
  EXPECT_EQ(next({1, 2, 3}), -1);
  EXPECT_EQ(Draft(prediction, 3).guess(Ids{1, 2, 3, 50}, 1, 3).size(), 3u) << "all of the answer is alike, if it is but one token";
}

TEST(Draft, GoesOnAsAnswersBefore) {
  RecentAnswers recent;
  EXPECT_TRUE(recent.of(0).empty());
  recent.add(0, Ids{5, 6, 7, 8, 9}, 2);
  recent.add(3, Ids{5, 6, 1, 2}, 2);
  const auto next = [&](uint64_t adapter, const Ids& ids) {
    const Ids guessed = Draft().guess(ids, 1, 2, recent.of(adapter));
    return guessed.empty() ? -1 : guessed[0];
  };
  EXPECT_EQ(next(0, {4, 5, 6, 7}), 8);
  EXPECT_EQ(next(0, {4, 4, 6}), 7) << "the end of the prompt counts";
  EXPECT_EQ(next(3, {4, 5, 6, 1}), 2) << "each adapter its own";
  EXPECT_EQ(next(3, {4, 5, 6, 7}), -1);
  EXPECT_EQ(next(0, {1, 7, 3, 4, 7}), 3) << "of as many alike, those of the answer itself";
  for (int32_t i = 0; i < 1000; ++i) recent.add(0, Ids{i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, i + 9}, 1);
  EXPECT_EQ(recent.of(0).size(), RecentAnswers::kTokens);
  EXPECT_EQ(recent.of(0).back(), 1008);
  for (uint64_t adapter = 100; adapter < 100 + RecentAnswers::kAdapters - 1; ++adapter) recent.add(adapter, Ids{1, 2}, 1);
  EXPECT_FALSE(recent.of(0).empty());
  recent.add(7, Ids{1, 2}, 1);
  EXPECT_TRUE(recent.of(0).empty()) << "the adapter that answered longest ago";
}

TEST(Draft, RowsOfAllSequencesAreFew) {
  const Ids alike{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4};
  for (int64_t sequences = 1; sequences <= 40; ++sequences) {
    Draft draft;
    for (int i = 0; i < 30; ++i) draft.guess(alike, sequences, 100), draft.judge(7, 7);
    const auto guessed = static_cast<int64_t>(draft.guess(alike, sequences, 100).size());
    if (guessed > 0) { EXPECT_LE(sequences * (1 + guessed), Draft::kMostRows); }
    if (sequences <= Draft::kMostRows / 2) { EXPECT_GT(guessed, 0) << sequences; }
  }
}

TEST(Draft, LearnsWhetherGuessesHoldAndTriesAgain) {
  const Ids alike{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4};
  Draft draft;
  const auto length = [&](bool costly = false) { return draft.guess(alike, 1, 100, {}, costly).size(); };
  const size_t at_first = length();
  for (int i = 0; i < 30; ++i) length(), draft.judge(1, 0);
  EXPECT_GT(at_first, 0u);
  EXPECT_EQ(length(), 0u) << "never right";
  int until = 0;
  while (length() == 0 && until < 1000) ++until;
  EXPECT_LT(until, 100) << "tries again";
  for (int i = 0; i < 30; ++i) length(), draft.judge(7, 7);
  EXPECT_EQ(length(), 7u) << "always right";
  EXPECT_GT(length(true), 0u);
  for (int i = 0; i < 3; ++i) draft.judge(2, 1);
  EXPECT_LT(length(true), length()) << "rows that cost more want surer guesses";
}

// Makes the answer a given text, whatever the model thinks of it.
class Dictated : public TokenFilter {
 public:
  explicit Dictated(Ids ids) : ids_(std::move(ids)) {}
  void apply(std::span<float> logits) override {
    for (size_t i = 0; i < logits.size(); ++i)
      if (static_cast<int32_t>(i) != ids_[at_]) logits[i] = -INFINITY;
  }
  void accept(int32_t id) override {
    EXPECT_EQ(id, ids_[at_]);
    ++at_;
  }

 private:
  const Ids ids_;
  size_t at_ = 0;
};

// A text that repeats itself, never for long.
Ids repeating(int64_t vocab, int64_t tokens, uint32_t stream) {
  Ids ids;
  const Rng rng{7, stream, 0};
  for (uint64_t i = 0; static_cast<int64_t>(ids.size()) < tokens; ++i) {
    const bool back = ids.size() > 12 && rng.bits(i) % 3 != 0;
    const size_t n = 2 + rng.bits(i) / 8 % (back ? 20 : 4), from = back ? rng.bits(i) / 1024 % (ids.size() - 11) : 0;
    for (size_t j = 0; j < n; ++j) ids.push_back(back ? ids[from + j] : static_cast<int32_t>(rng.bits(1000 + 16 * i + j) % static_cast<uint64_t>(vocab)));
  }
  ids.resize(static_cast<size_t>(tokens));
  return ids;
}

class DraftTest : public EngineFixture {
 protected:
  // All requests at once.
  static std::vector<std::shared_ptr<Kept>> ask_all(Engine& engine, const std::vector<Request>& requests) {
    std::vector<std::shared_ptr<Kept>> all;
    for (const Request& r : requests) engine.submit(r, all.emplace_back(std::make_shared<Kept>()));
    for (const auto& kept : all) EXPECT_FALSE(kept->wait().error) << kept->outcome->error->message();
    return all;
  }
};

TEST_P(DraftTest, ChangesNothing) {
  for (const DType activation : {DType::kF32, DType::kBF16}) {
    const auto model = load(activation);
    const int64_t vocab = model->config().vocab_size, tokens = std::min<int64_t>(110, model->max_positions() - 10);
    const text::Tokenizer tokenizer = numbers(vocab);
    for (const bool q8 : {false, true})
      for (const uint32_t sequences : {1u, 3u, 6u}) {
        std::vector<std::shared_ptr<Kept>> answers[2];
        EngineMetrics metrics[2];
        for (const bool draft : {false, true}) {
          std::vector<Request> requests;
          for (uint32_t s = 0; s < sequences; ++s) {
            requests.push_back(request(prompt(vocab, 3 + s, s), tokens));
            requests.back().filter = std::make_shared<Dictated>(repeating(vocab, tokens, s));
            requests.back().top_logprobs = 1;
          }
          Engine engine(model, tokenizer, {.cache_q8 = q8, .draft = draft});
          answers[draft] = ask_all(engine, requests);
          metrics[draft] = engine.metrics();
        }
        for (uint32_t s = 0; s < sequences; ++s) {
          const auto &plain = answers[0][s]->answer, &guessed = answers[1][s]->answer;
          ASSERT_EQ(plain.size(), static_cast<size_t>(tokens));
          ASSERT_EQ(guessed.size(), plain.size());
          for (size_t t = 0; t < plain.size(); ++t) {
            ASSERT_EQ(guessed[t].id, plain[t].id);
            ASSERT_EQ(guessed[t].logprob, plain[t].logprob) << "token " << t << " of sequence " << s << " of " << sequences << (q8 ? ", bytes" : "");
            ASSERT_EQ(guessed[t].top[0].id, plain[t].top[0].id);
          }
        }
        EXPECT_EQ(metrics[0].guessed_tokens, 0);
        if (sequences > (model->config().moe ? 1 : 4)) continue;
        EXPECT_GT(metrics[1].taken_tokens, 10) << "a test without right guesses proves nothing";
        EXPECT_GT(metrics[1].guessed_tokens, metrics[1].taken_tokens + 3) << "nor one without wrong ones";
        // Several sequences begin at different steps when the machine is busy.
        if (sequences == 1) {
          EXPECT_LT(metrics[1].steps, metrics[0].steps);
        }
      }
  }
}

// Sampled answers too: the i-th draw belongs to the i-th token.
TEST_P(DraftTest, SampledAnswersAreTheSame) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  int64_t taken = 0;
  for (const float temperature : {0.0f, 0.3f, 1.0f}) {
    Ids answers[2];
    for (const bool draft : {false, true}) {
      Request r = request(repeating(vocab, 60, 1), std::min<int64_t>(100, model->max_positions() - 61));
      r.options.sampler.temperature = temperature;
      r.options.sampler.top_k = 3;
      r.options.sampler.seed = 5;
      r.options.sampler.repeat_penalty = 1.05f;
      Engine engine(model, tokenizer, {.draft = draft});
      answers[draft] = ask(engine, r);
      taken += engine.metrics().taken_tokens;
    }
    EXPECT_EQ(answers[0], answers[1]) << "temperature " << temperature;
  }
  if (!model->config().moe) { EXPECT_GT(taken, 0); }  // experts cost more and want surer guesses
}

// What was answered before is answered in fewer passes, and the same.
TEST_P(DraftTest, AnswersBeforeMakeTheNextFaster) {
  const auto model = load(DType::kBF16);
  const int64_t vocab = model->config().vocab_size, tokens = std::min<int64_t>(60, model->max_positions() - 10);
  const text::Tokenizer tokenizer = numbers(vocab);
  Engine engine(model, tokenizer, {});
  std::vector<TokenEvent> answers[2];
  int64_t steps[2];
  for (const int again : {0, 1}) {
    Request r = request({1, 2, 3}, tokens);
    r.filter = std::make_shared<Dictated>(prompt(vocab, tokens, 9));
    r.top_logprobs = 0;
    const int64_t before = engine.metrics().steps;
    answers[again] = ask_all(engine, {r})[0]->answer;
    steps[again] = engine.metrics().steps - before;
  }
  ASSERT_EQ(answers[0].size(), answers[1].size());
  for (size_t t = 0; t < answers[0].size(); ++t) ASSERT_EQ(answers[0][t].logprob, answers[1][t].logprob) << t;
  EXPECT_LT(steps[1], steps[0] * (model->config().moe ? 3 : 2) / 4);
}

// A prediction that is right but for one place costs few passes, and one that is wrong changes nothing.
TEST_P(DraftTest, PredictionsMakeAnswersFaster) {
  const auto model = load(DType::kBF16);
  const int64_t vocab = model->config().vocab_size, tokens = std::min<int64_t>(100, model->max_positions() - 10);
  const text::Tokenizer tokenizer = numbers(vocab);
  const Ids text = prompt(vocab, tokens, 9);
  std::vector<TokenEvent> plain;
  int64_t steps[3];
  for (const int which : {0, 1, 2}) {  // none, nearly right, wrong
    Request r = request({1, 2, 3}, tokens);
    r.filter = std::make_shared<Dictated>(text);
    r.top_logprobs = 0;
    if (which == 1) {
      r.prediction = text;
      r.prediction[50] = (r.prediction[50] + 1) % static_cast<int32_t>(vocab);
    }
    if (which == 2) r.prediction = prompt(vocab, 80, 5);
    Engine engine(model, tokenizer, {});
    const auto kept = ask_all(engine, {r})[0];
    if (which == 0) plain = kept->answer;
    ASSERT_EQ(kept->answer.size(), plain.size());
    for (size_t t = 0; t < plain.size(); ++t) ASSERT_EQ(kept->answer[t].logprob, plain[t].logprob) << t;
    steps[which] = engine.metrics().steps;
  }
  EXPECT_LT(steps[1], steps[0] / 2 + (model->config().moe ? steps[0] / 8 : 0));
  EXPECT_LE(steps[2], steps[0]);
  Engine engine(model, tokenizer, {});
  Request outside = request({1}, 3);
  outside.prediction = {static_cast<int32_t>(vocab)};
  EXPECT_THROW(engine.submit(outside, std::make_shared<Kept>()), Error);
}

INSTANTIATE_TEST_SUITE_P(Families, DraftTest, ::testing::Values("llama", "qwen2", "qwen3", "deepseek_v2_lite", "deepseek_v3"), [](const auto& which) { return std::string(which.param); });

class DraftEnds : public DraftTest {};

// An answer ends where it would have, also in the middle of tokens that were guessed.
TEST_P(DraftEnds, WhereItWouldHave) {
  const auto model = load(DType::kF32);
  const int64_t vocab = model->config().vocab_size;
  const text::Tokenizer tokenizer = numbers(vocab);
  Ids loop;
  for (int32_t i = 0; i < 400; ++i) loop.push_back(20 + i % 5);
  const auto dictated = [&](int64_t tokens) {
    Request r = request({1, 2, 3}, tokens);
    r.filter = std::make_shared<Dictated>(loop);
    return r;
  };
  Engine engine(model, tokenizer, {});
  for (int64_t tokens = 40; tokens < 56; ++tokens) EXPECT_EQ(ask(engine, dictated(tokens)).size(), static_cast<size_t>(tokens));
  const int64_t room = model->max_positions() - 3;
  EXPECT_EQ(ask(engine, dictated(room + 50)).size(), static_cast<size_t>(room)) << "the end of the context";
  EXPECT_GT(engine.metrics().taken_tokens, 500);
  // A stop token behind so many loops; a client that leaves within one.
  loop[62] = 9;
  Request stops = dictated(200);
  stops.options.stop_ids = {9};
  EXPECT_EQ(ask(engine, stops), Ids(loop.begin(), loop.begin() + 62));
  const auto early = std::make_shared<Kept>();
  early->cancel_after = 48;
  engine.submit(dictated(200), early);
  EXPECT_EQ(early->wait().finish, Finish::kCancelled);
  EXPECT_EQ(early->answer.size(), 48u);
}

INSTANTIATE_TEST_SUITE_P(Llama, DraftEnds, ::testing::Values("llama"), [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace hone::infer
