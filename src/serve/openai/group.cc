#include "serve/openai/group.h"

#include <algorithm>

#include "serve/api/errors.h"
#include "serve/api/logprobs.h"

namespace hone::serve::openai {
namespace {

// Of UTF-8, which a token may begin or end in the middle of.
bool goes_on(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

class Group::ChoiceSink : public AnswerSink {
 public:
  ChoiceSink(std::shared_ptr<Group> group, size_t index, bool first) : group_(std::move(group)), index_(index), first_(first) {}
  bool on_token(const infer::TokenEvent& token, const Part& part) override { return group_->on_token(index_, token, part); }
  void on_end(const Part& rest, const infer::Outcome& outcome) override { group_->on_end(index_, first_, rest, outcome); }

 private:
  std::shared_ptr<Group> group_;
  size_t index_;
  bool first_;
};

std::shared_ptr<AnswerSink> Group::sink(size_t index, bool first_of_prompt) {
  if (shape_.echo) choices_[index].part.content = shape_.echoed[index];
  return std::make_shared<ChoiceSink>(shared_from_this(), index, first_of_prompt);
}

void Group::take(Choice& choice, const Part& part) {
  choice.part.content += part.content;
  if (!shape_.hide_thinking) choice.part.thinking += part.thinking;
  choice.part.calls.insert(choice.part.calls.end(), part.calls.begin(), part.calls.end());
}

void Group::add_logprob(Choice& choice, const infer::TokenEvent& token) {
  if (shape_.chat) {
    if (choice.logprobs.is_null()) choice.logprobs = {{"content", Json::array()}, {"refusal", nullptr}};
    choice.logprobs["content"].push_back(token_logprob(tokenizer_, token));
    return;
  }
  if (choice.logprobs.is_null()) choice.logprobs = {{"tokens", Json::array()}, {"token_logprobs", Json::array()}, {"top_logprobs", Json::array()}, {"text_offset", Json::array()}};
  const Json one = token_logprob(tokenizer_, token);
  const bool first = token.of_prompt && !choice.scored;  // nothing comes before it that could foretell it
  Json top = Json::object();
  for (const Json& other : one["top_logprobs"]) top[other["token"].get<std::string>()] = other["logprob"];
  choice.logprobs["tokens"].push_back(one["token"]);
  choice.logprobs["token_logprobs"].push_back(first ? Json() : one["logprob"]);
  choice.logprobs["top_logprobs"].push_back(first || top.empty() ? Json() : std::move(top));
  const std::string bytes = tokenizer_.token_bytes(token.id);
  const bool within = !bytes.empty() && goes_on(bytes[0]) && choice.characters > 0;
  choice.logprobs["text_offset"].push_back(choice.characters - (within ? 1 : 0));
  choice.characters += static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char byte) { return !goes_on(byte); }));
  choice.scored = true;
}

bool Group::on_token(size_t index, const infer::TokenEvent& token, const Part& part) {
  const std::lock_guard lock(mutex_);
  if (over_) return false;
  Choice& choice = choices_[index];
  if (shape_.logprobs && (!token.of_prompt || shape_.echo)) add_logprob(choice, token);
  take(choice, part);
  return shape_.stream ? send_pending(index, /*last=*/false) : !stream_.gone();
}

void Group::on_end(size_t index, bool first_of_prompt, const Part& rest, const infer::Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  if (const auto failure = failure_of(outcome)) return fail_locked(*failure);
  Choice& choice = choices_[index];
  take(choice, rest);
  choice.finish = outcome.finish == infer::Finish::kLength ? "length" : "stop";
  if (choice.finish == "stop" && choice.calls + choice.part.calls.size() > 0) choice.finish = "tool_calls";
  if (first_of_prompt) {
    prompt_tokens_ += outcome.prompt_tokens;
    reused_tokens_ += outcome.reused_tokens;
  }
  answer_tokens_ += outcome.answer_tokens;
  guessed_tokens_ += outcome.guessed_tokens;
  taken_tokens_ += outcome.taken_tokens;
  --open_;
  if (shape_.stream) send_pending(index, /*last=*/true);
  if (open_ > 0) return;
  over_ = true;
  if (!shape_.stream) {
    Json json = {{"id", shape_.id}, {"object", shape_.chat ? "chat.completion" : "text_completion"}, {"created", shape_.created}, {"model", shape_.model},
                 {"choices", Json::array()}, {"usage", usage()}};
    for (size_t i = 0; i < choices_.size(); ++i) json["choices"].push_back(whole(i));
    stream_.exchange()->send(json_response(json));
    return;
  }
  if (shape_.include_usage) {
    Json json = chunk();
    json["choices"] = Json::array();
    json["usage"] = usage();
    stream_.send(json);
  }
  stream_.write("data: [DONE]\n\n");
  stream_.end();
}

void Group::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!over_) fail_locked(error);
}

void Group::fail_locked(const Error& error) {
  over_ = true;
  if (!stream_.begun()) return stream_.exchange()->send(error_response(stream_.exchange()->request(), error));
  stream_.send(openai_error(error));
  stream_.end();
}

Json Group::usage() const {
  Json usage = {{"prompt_tokens", prompt_tokens_}, {"completion_tokens", answer_tokens_}, {"total_tokens", prompt_tokens_ + answer_tokens_},
                {"prompt_tokens_details", {{"cached_tokens", reused_tokens_}}}};
  if (shape_.predicted) usage["completion_tokens_details"] = {{"accepted_prediction_tokens", taken_tokens_}, {"rejected_prediction_tokens", guessed_tokens_ - taken_tokens_}};
  return usage;
}

Json Group::chunk() const {
  Json json = {{"id", shape_.id}, {"object", shape_.chat ? "chat.completion.chunk" : "text_completion"}, {"created", shape_.created}, {"model", shape_.model}};
  return json;
}

Json Group::tool_calls(Choice& choice, bool streamed) {
  Json list = Json::array();
  for (const ToolCall& call : choice.part.calls) {
    Json one = {{"id", random_id("call_")}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", dump(call.arguments)}}}};
    if (streamed) one["index"] = choice.calls;
    ++choice.calls;
    list.push_back(std::move(one));
  }
  choice.part.calls.clear();
  return list;
}

Json Group::whole(size_t index) {
  Choice& choice = choices_[index];
  Json json = {{"index", index}};
  if (shape_.chat) {
    Json message = {{"role", "assistant"}, {"content", choice.part.content}, {"refusal", nullptr}};
    if (!choice.part.thinking.empty()) message["reasoning_content"] = choice.part.thinking;
    if (Json calls = tool_calls(choice, /*streamed=*/false); !calls.empty()) {
      message["tool_calls"] = std::move(calls);
      if (choice.part.content.empty()) message["content"] = nullptr;
    }
    json["message"] = std::move(message);
  } else {
    json["text"] = choice.part.content;
  }
  json["logprobs"] = choice.logprobs;
  json["finish_reason"] = choice.finish;
  return json;
}

// Sends what is new of a choice; the last chunk of a choice says how it ended.
bool Group::send_pending(size_t index, bool last) {
  Choice& choice = choices_[index];
  const auto send = [&](Json delta, const std::string& finish) {
    Json json = chunk();
    Json one = {{"index", index}};
    if (shape_.chat) one["delta"] = std::move(delta);
    else one["text"] = std::move(delta);
    one["logprobs"] = std::exchange(choice.logprobs, nullptr);
    one["finish_reason"] = finish.empty() ? Json() : Json(finish);
    json["choices"] = Json::array({std::move(one)});
    if (shape_.include_usage) json["usage"] = nullptr;
    return stream_.send(json);
  };
  bool read = true;
  if (shape_.chat && !choice.begun) {
    choice.begun = true;
    Json logprobs = std::exchange(choice.logprobs, nullptr);
    read = send({{"role", "assistant"}, {"content", ""}}, "");
    choice.logprobs = std::move(logprobs);
  }
  if (!choice.part.empty() || (!choice.logprobs.is_null() && !last)) {
    Json delta = Json::object();
    if (shape_.chat) {
      if (!choice.part.thinking.empty()) delta["reasoning_content"] = choice.part.thinking;
      if (!choice.part.content.empty() || choice.part.empty()) delta["content"] = choice.part.content;
      if (Json calls = tool_calls(choice, /*streamed=*/true); !calls.empty()) delta["tool_calls"] = std::move(calls);
    } else {
      delta = choice.part.content;
    }
    choice.part = {};
    read = send(std::move(delta), "") && read;
  }
  if (last) read = send(shape_.chat ? Json::object() : Json(""), choice.finish) && read;
  return read && !stream_.gone();
}

}  // namespace hone::serve::openai
