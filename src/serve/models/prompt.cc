#include "serve/models/prompt.h"

#include <algorithm>

#include "base/error.h"

namespace hone::serve {
namespace {

size_t system_messages(const Json& messages) {
  size_t count = 0;
  while (count < messages.size() && messages[count]["role"] == "system") ++count;
  return count;
}

recipes::ModelFiles::TurnPrompt rendered(const Resident& model, const Json& messages, const ChatRequest& request) {
  text::RenderOptions options = model.files.render_options();
  options.tools = request.tools;
  options.extra = request.extra;
  const bool untaught = request.think_if_taught && request.think == true && model.files.taught.reasoning == recipes::Reasoning::kNone;
  if (!model.files.chat || messages.back()["role"] != "assistant" || !request.continue_final)
    return model.files.turn_prompt(messages, options, untaught ? std::nullopt : request.think);
  options.continue_final = true;  // the model goes on with the message
  const text::RenderedPrompt prompt = text::render_conversation(*model.files.chat, messages, options);
  return {model.files.encode_pieces(prompt.text, prompt.words, {}), false};
}

}  // namespace

Json tools_of(const Fields& fields) {
  const Json* tools = fields.array("tools", kMaxTools);
  return tools ? data::read_tools(*tools, fields.path("tools"), kMaxTools) : nullptr;
}

std::vector<int32_t> raw_prompt(const Resident& model, std::string_view text, bool special) {
  return special ? model.files.encode_text(text) : model.files.tokenizer.encode(text, {.parse_special = false});
}

void check_ids(const Resident& model, const std::vector<int32_t>& ids, const std::string& where) {
  const int64_t size = model.files.tokenizer.vocab_size();
  for (const int32_t id : ids)
    if (id < 0 || id >= size) throw Error(ErrorCode::kInvalidInput, where, fmt::format("the model has no token {}", id), fmt::format("ids go up to {}", size - 1));
}

Prompt chat_prompt(const Resident& model, const ChatRequest& request, int64_t context) {
  Json messages = request.messages;
  if (messages.empty()) throw Error(ErrorCode::kInvalidInput, "messages", "expected at least one message");
  if (!request.tools.is_null() && !model.tools)
    throw Error(ErrorCode::kUnsupported, "tools", fmt::format("{} does not support tools", model.entry.name), "its chat template does not show them");
  const bool system = !model.entry.system.empty() && system_messages(messages) == 0;
  if (system || !model.entry.messages.empty()) {
    // System messages, the model's examples, the conversation.
    const auto own = messages.begin() + static_cast<Json::difference_type>(system_messages(messages));
    Json with = Json::array();
    if (system) with.push_back({{"role", "system"}, {"content", model.entry.system}});
    with.insert(with.end(), messages.begin(), own);
    with.insert(with.end(), model.entry.messages.begin(), model.entry.messages.end());
    with.insert(with.end(), own, messages.end());
    messages = std::move(with);
  }
  const size_t kept = system_messages(messages);
  for (;;) {
    auto [ids, inside] = rendered(model, messages, request);
    const Prompt prompt{std::move(ids), model.files.split_options(inside, /*tools=*/!request.tools.is_null())};
    if (static_cast<int64_t>(prompt.ids.size()) < context) return prompt;
    if (messages.size() <= kept + 1)
      throw Error(ErrorCode::kInvalidInput, "messages", fmt::format("{} tokens leave no room in a context of {}", prompt.ids.size(), context), "shorten them");
    // An answer goes with its question; half of what is too much at a time keeps this quick for long conversations.
    const size_t over = (messages.size() - kept) * static_cast<size_t>(static_cast<int64_t>(prompt.ids.size()) - context + 1) / prompt.ids.size() / 2;
    size_t drop = std::clamp<size_t>(over, 1, messages.size() - kept - 1);
    while (kept + drop < messages.size() - 1 && messages[kept + drop]["role"] != "user") ++drop;
    messages.erase(messages.begin() + static_cast<Json::difference_type>(kept), messages.begin() + static_cast<Json::difference_type>(kept + drop));
  }
}

}  // namespace hone::serve
