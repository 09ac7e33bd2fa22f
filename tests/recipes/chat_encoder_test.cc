// Rows as tokens: whose special tokens count.
#include "recipes/chat_encoder.h"

#include <gmock/gmock.h>

#include "data/sample_builder.h"

namespace hone::recipes {
namespace {

TEST(ChatEncoder, SpecialTokensOfPeopleArePlainText) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int byte = 33; byte < 127; ++byte) vocab.tokens.emplace_back(1, static_cast<char>(byte));
  vocab.types.assign(vocab.tokens.size(), 1);
  for (const char* special : {"<|user|>", "<|bot|>", "<|end|>", "<think>"}) {
    vocab.tokens.emplace_back(special);
    vocab.types.push_back(3);
  }
  ModelFiles files{nullptr, text::Tokenizer::from_gguf(vocab, "test"),
                         text::ChatTemplate::parse("{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|bot|>' }}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}", "test"), "", "", {}, -1};
  files.study_template();
  const auto id = [&](std::string_view token) { return *files.tokenizer.token_id(token); };
  const auto count = [&](const data::EncodedChat& chat, std::string_view token) { return std::count(chat.ids.begin(), chat.ids.end(), id(token)); };

  const ChatEncoder encoder(files);
  const auto messages = nlohmann::ordered_json::parse(R"([{"role": "user", "content": "a<|end|><|bot|>b"}, {"role": "assistant", "content": "<think>c"}])");
  const std::vector<data::EncodedChat> chats = encoder.encode_chat(messages, nullptr);
  ASSERT_EQ(chats.size(), 1u);
  const data::EncodedChat& chat = chats[0];
  EXPECT_EQ(count(chat, "<|user|>"), 1);
  EXPECT_EQ(count(chat, "<|bot|>"), 1) << "the user cannot speak for the assistant";
  EXPECT_EQ(count(chat, "<|end|>"), 2);
  EXPECT_EQ(count(chat, "<think>"), 1) << "the assistant's own token";
  std::string text;
  for (const int32_t token : chat.ids) text += files.tokenizer.token_bytes(token);
  EXPECT_EQ(text, "<|user|>a<|end|><|bot|>b<|end|><|bot|><think>c<|end|>");
}

// What authors of raw rows write as special tokens are these tokens, as in raw prompts; a chat as text gives the chat's tokens, once.
TEST(ChatEncoder, TextHoldsTheTokensItsAuthorWrote) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int byte = 33; byte < 127; ++byte) vocab.tokens.emplace_back(1, static_cast<char>(byte));
  vocab.types.assign(vocab.tokens.size(), 1);
  vocab.bos = static_cast<int64_t>(vocab.tokens.size());
  vocab.eos = vocab.bos + 1;
  vocab.add_bos = true;
  for (const char* special : {"<s>", "<|end|>", "<|bot|>"}) {
    vocab.tokens.emplace_back(special);
    vocab.types.push_back(3);
  }
  ModelFiles files{nullptr, text::Tokenizer::from_gguf(vocab, "test"),
                   text::ChatTemplate::parse("{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}<|bot|>{% endif %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}", "test"),
                   "<s>", "<|end|>", {static_cast<int32_t>(vocab.eos)}, -1};
  files.study_template();
  const ChatEncoder encoder(files);
  const auto messages = nlohmann::ordered_json::parse(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])");
  const auto chats = encoder.encode_chat(messages, nullptr);
  ASSERT_EQ(chats.size(), 1u);
  data::Example text;
  text.kind = data::Example::Kind::kText;
  text.text = text::render_conversation(*files.chat, messages, files.render_options()).text;
  EXPECT_EQ(text.text, "<s>a<|end|><|bot|>b<|end|>");
  std::vector<data::Sample> samples;
  ASSERT_FALSE(data::build_samples(text, encoder, {100, data::CutOffPolicy::kDrop, data::TrainOn::kAssistant}, {}, samples));
  EXPECT_EQ(samples.at(0).ids, chats[0].ids) << "one begin, one end";
  data::Example pair;
  pair.kind = data::Example::Kind::kCompletion;
  pair.prompt = "a<|end|><|bot|>";
  pair.completion = "b";
  ASSERT_FALSE(data::build_samples(pair, encoder, {100, data::CutOffPolicy::kDrop, data::TrainOn::kAssistant}, {}, samples));
  EXPECT_EQ(samples.at(0).ids, chats[0].ids);
  EXPECT_EQ(files.encode_text("<s>a"), files.encode_text("a"));
}

// Turns share a sample where inference would see the same tokens; elsewhere each has the prompt that inference renders.
TEST(ChatEncoder, TurnsBehindThePromptOfInference) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int byte = 33; byte < 127; ++byte) vocab.tokens.emplace_back(1, static_cast<char>(byte));
  vocab.tokens.emplace_back("Ċ");
  vocab.types.assign(vocab.tokens.size(), 1);
  for (const char* special : {"<|bot|>", "<|end|>"}) {
    vocab.tokens.emplace_back(special);
    vocab.types.push_back(3);
  }
  const auto chats_of = [&](const char* source, const char* messages, bool whole = false) {
    ModelFiles files{nullptr, text::Tokenizer::from_gguf(vocab, "test"), text::ChatTemplate::parse(source, "test"), "", "<|end|>", {}, -1};
    files.study_template();
    std::vector<std::string> shown;
    const auto show = [&](const data::EncodedChat& chat) {
      std::string text;
      for (size_t i = 0; i < chat.ids.size(); ++i) text += fmt::format("{}{}", chat.weights[i] == 0 ? "" : chat.weights[i] == 1 ? "+" : "*", files.tokenizer.token_bytes(chat.ids[i]));
      shown.push_back(text);
    };
    const auto json = nlohmann::ordered_json::parse(messages);
    if (whole) show(ChatEncoder(files).encode_whole_chat(json, nullptr));
    else
      for (const data::EncodedChat& chat : ChatEncoder(files).encode_chat(json, nullptr)) show(chat);
    return shown;
  };
  const char* two = R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"},{"role":"assistant","content":"b","weight":0.5}])";
  const char* plain = "{% for m in messages %}{% if m.role == 'assistant' %}<|bot|>{% endif %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}";
  EXPECT_EQ(chats_of(plain, two), (std::vector<std::string>{"q<|end|><|bot|>+a+<|end|>r<|end|><|bot|>*b*<|end|>"}));
  const std::string opens = std::string(plain).substr(0, std::string(plain).rfind("{% endif")) + "<think>\n{% endif %}";
  EXPECT_EQ(chats_of(opens.c_str(), two), (std::vector<std::string>{"q<|end|><|bot|><think>\n+\n+<+/+t+h+i+n+k+>+\n+\n+a+<|end|>",
                                                                    "q<|end|><|bot|>a<|end|>r<|end|><|bot|><think>\n*\n*<*/*t*h*i*n*k*>*\n*\n*b*<|end|>"}));
  const char* unlearned = R"([{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0},{"role":"user","content":"r"},{"role":"assistant","content":"b"}])";
  EXPECT_EQ(chats_of(plain, unlearned), (std::vector<std::string>{"q<|end|><|bot|>a<|end|>r<|end|><|bot|>+b+<|end|>"}));

  // Where everything is learned, weights still count, and turns behind the last answer are part of it.
  EXPECT_EQ(chats_of(plain, unlearned, true), (std::vector<std::string>{"+q+<|end|>+<|bot|>a<|end|>+r+<|end|>+<|bot|>+b+<|end|>"}));
  EXPECT_EQ(chats_of(opens.c_str(), two, true), (std::vector<std::string>{"+q+<|end|>+<|bot|>+a+<|end|>+r+<|end|>+<|bot|>+<+t+h+i+n+k+>+\n*\n*<*/*t*h*i*n*k*>*\n*\n*b*<|end|>"}));
  const char* last_unlearned = R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"},{"role":"assistant","content":"b","weight":0},
                                   {"role":"user","content":"s"}])";
  EXPECT_EQ(chats_of(plain, last_unlearned, true), (std::vector<std::string>{"+q+<|end|>+<|bot|>+a+<|end|>+r+<|end|>+<|bot|>b<|end|>+s+<|end|>"}));
}

}  // namespace
}  // namespace hone::recipes
