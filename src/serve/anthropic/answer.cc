#include "serve/anthropic/answer.h"

#include "serve/api/errors.h"

namespace hone::serve::anthropic {

Json Sink::message() const {
  return {{"id", shape_.id}, {"type", "message"}, {"role", "assistant"}, {"model", shape_.model}, {"content", Json::array()}, {"stop_reason", nullptr}, {"stop_sequence", nullptr},
          {"usage", {{"input_tokens", shape_.prompt_tokens}, {"output_tokens", 0}}}};
}

void Sink::event(const char* type, Json json) {
  Json named = {{"type", type}};
  named.update(json);
  stream_.send(type, named);
}

void Sink::close() {
  if (open_ == Block::kNone) return;
  const size_t index = content_.size() - 1;
  if (shape_.stream && open_ == Block::kThinking) event("content_block_delta", {{"index", index}, {"delta", {{"type", "signature_delta"}, {"signature", ""}}}});
  if (shape_.stream) event("content_block_stop", {{"index", index}});
  open_ = Block::kNone;
}

void Sink::add(Block kind, const std::string& text) {
  if (text.empty()) return;
  const char* name = kind == Block::kThinking ? "thinking" : "text";
  if (open_ != kind) {
    close();
    content_.push_back({{"type", name}, {name, ""}});
    if (kind == Block::kThinking) content_.back()["signature"] = "";
    open_ = kind;
    if (shape_.stream) event("content_block_start", {{"index", content_.size() - 1}, {"content_block", content_.back()}});
  }
  if (shape_.stream) event("content_block_delta", {{"index", content_.size() - 1}, {"delta", {{"type", std::string(name) + "_delta"}, {name, text}}}});
  else content_.back()[name].get_ref<std::string&>() += text;
}

void Sink::add(const ToolCall& call) {
  close();
  called_ = true;
  Json block = {{"type", "tool_use"}, {"id", random_id("toolu_")}, {"name", call.name}, {"input", Json::object()}};
  if (!shape_.stream) block["input"] = call.arguments;
  content_.push_back(block);
  if (!shape_.stream) return;
  const size_t index = content_.size() - 1;
  event("content_block_start", {{"index", index}, {"content_block", std::move(block)}});
  event("content_block_delta", {{"index", index}, {"delta", {{"type", "input_json_delta"}, {"partial_json", dump(call.arguments)}}}});
  event("content_block_stop", {{"index", index}});
}

void Sink::take(const Part& part) {
  if (!shape_.hide_thinking) add(Block::kThinking, part.thinking);
  add(Block::kText, part.content);
  for (const ToolCall& call : part.calls) add(call);
}

bool Sink::on_token(const infer::TokenEvent& token, const Part& part) {
  if (shape_.stream && !stream_.begun()) event("message_start", {{"message", message()}});
  if (!shape_.stops.empty() && !token.of_prompt && token.id >= 0) bytes_ += tokenizer_.token_bytes(token.id);
  take(part);
  return !stream_.gone();
}

Json Sink::ending(const infer::Outcome& outcome) const {
  if (outcome.finish == infer::Finish::kLength) return {{"stop_reason", "max_tokens"}, {"stop_sequence", nullptr}};
  if (called_) return {{"stop_reason", "tool_use"}, {"stop_sequence", nullptr}};
  size_t first = std::string::npos;
  const std::string* found = nullptr;
  for (const std::string& stop : shape_.stops)
    if (const size_t at = bytes_.find(stop); at < first) first = at, found = &stop;
  if (found) return {{"stop_reason", "stop_sequence"}, {"stop_sequence", *found}};
  return {{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}};
}

void Sink::on_end(const Part& rest, const infer::Outcome& outcome) {
  const Exchange& exchange = stream_.exchange();
  if (const auto failure = failure_of(outcome)) {
    if (!stream_.begun()) return exchange->send(error_response(exchange->request(), *failure));
    stream_.send("error", anthropic_error(*failure));
    return stream_.end();
  }
  if (shape_.stream && !stream_.begun()) event("message_start", {{"message", message()}});
  take(rest);
  close();
  if (shape_.stream) {
    event("message_delta", {{"delta", ending(outcome)}, {"usage", {{"input_tokens", outcome.prompt_tokens}, {"output_tokens", outcome.answer_tokens}}}});
    event("message_stop", Json::object());
    return stream_.end();
  }
  Json json = message();
  json["content"] = std::move(content_);
  json.update(ending(outcome));
  json["usage"] = {{"input_tokens", outcome.prompt_tokens}, {"output_tokens", outcome.answer_tokens}};
  exchange->send(json_response(json));
}

}  // namespace hone::serve::anthropic
