#include "recipes/chat_encoder.h"

#include <algorithm>

#include "base/error.h"

namespace hone::recipes {
namespace {

bool begins_with(const std::vector<int32_t>& ids, const std::vector<int32_t>& beginning) {
  return beginning.size() <= ids.size() && std::equal(beginning.begin(), beginning.end(), ids.begin());
}

}  // namespace

std::vector<int32_t> ChatEncoder::encode(std::string_view text) const { return files_.tokenizer.encode(text, {.add_special = false}); }

text::RenderOptions ChatEncoder::options_of(const nlohmann::ordered_json& tools) const {
  text::RenderOptions options = files_.render_options();
  options.tools = tools;
  if (!tools.is_null() && !files_.shows_tools())
    throw Error(ErrorCode::kUnsupported, files_.chat->where(), "the chat template does not show tools, so that none can be offered when the model is asked",
                "leave `tools` out of the rows, or name a template that shows them");
  return options;
}

std::vector<data::EncodedChat> ChatEncoder::encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const {
  std::vector<data::EncodedChat> chats;
  for (const text::LearnedTurn& turn : text::learned_turns(*files_.chat, files_.reasoning, messages, options_of(tools))) {
    data::EncodedChat chat;
    chat.reasoned = turn.reasoned;
    chat.ids = files_.encode_pieces(std::string_view(turn.text).substr(0, turn.begin), turn.words, {});
    chat.weights.assign(chat.ids.size(), 0.0f);
    std::vector<size_t> cuts = turn.cuts;
    for (size_t& cut : cuts) cut -= turn.begin;
    const auto answer = files_.encode_pieces(std::string_view(turn.text).substr(turn.begin), {}, cuts);
    chat.ids.insert(chat.ids.end(), answer.begin(), answer.end());
    chat.weights.resize(chat.ids.size(), static_cast<float>(messages[turn.message].value("weight", 1.0)));
    // A turn before it needs no sample of its own where inference would see the very same tokens.
    if (!chats.empty() && begins_with(chat.ids, chats.back().ids)) {
      std::copy(chats.back().weights.begin(), chats.back().weights.end(), chat.weights.begin());
      chat.turns += chats.back().turns;
      chat.reasoned += chats.back().reasoned;
      chats.pop_back();
    }
    chats.push_back(std::move(chat));
  }
  return chats;
}

data::EncodedChat ChatEncoder::encode_whole_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const {
  const text::LearnedConversation all = text::learned_conversation(*files_.chat, files_.reasoning, messages, options_of(tools));
  data::EncodedChat chat;
  chat.turns = 0;
  const auto add = [&](size_t begin, size_t end, const text::LearnedConversation::Answer* answer) {
    if (end <= begin) return;
    std::vector<std::pair<size_t, size_t>> words;
    std::vector<size_t> cuts;
    for (const auto& [from, to] : all.words)
      if (from < end && to > begin) words.emplace_back(std::max(from, begin) - begin, std::min(to, end) - begin);
    for (const size_t cut : all.cuts)
      if (cut > begin && cut < end) cuts.push_back(cut - begin);
    const auto ids = files_.encode_pieces(std::string_view(all.text).substr(begin, end - begin), words, cuts);
    chat.ids.insert(chat.ids.end(), ids.begin(), ids.end());
    chat.weights.resize(chat.ids.size(), answer ? static_cast<float>(answer->weight) : 1.0f);
    chat.answers.resize(chat.ids.size(), answer != nullptr);
  };
  size_t at = 0;
  for (const auto& answer : all.answers) {
    add(at, answer.begin, nullptr);
    add(answer.begin, answer.end, &answer);
    at = answer.end;
    if (answer.weight == 0) continue;
    ++chat.turns;
    chat.reasoned += answer.reasoned;
  }
  add(at, all.text.size(), nullptr);
  return chat;
}

std::optional<int32_t> ChatEncoder::bos() const {
  return files_.tokenizer.adds_bos() && files_.tokenizer.bos() >= 0 ? std::optional(files_.tokenizer.bos()) : std::nullopt;
}

std::optional<int32_t> ChatEncoder::eos() const {
  return files_.tokenizer.eos() >= 0 ? std::optional(files_.tokenizer.eos()) : std::nullopt;
}

bool ChatEncoder::ends_answer(std::span<const int32_t> ids) const {
  for (size_t i = ids.size(); i-- > 0;) {
    if (std::binary_search(files_.stop_ids.begin(), files_.stop_ids.end(), ids[i])) return true;
    const std::string bytes = files_.tokenizer.token_bytes(ids[i]);
    if (bytes.find_first_not_of(" \t\r\n") != std::string::npos) return false;
  }
  return false;
}

}  // namespace hone::recipes
