#include "serve/ollama/answer.h"

#include "serve/api/errors.h"
#include "serve/api/logprobs.h"

namespace hone::serve::ollama {

Json frame(const AnswerShape& shape, bool done) {
  Json json = {{"model", shape.model}, {"created_at", timestamp_now()}};
  if (shape.chat) json["message"] = {{"role", "assistant"}, {"content", ""}};
  else json["response"] = "";
  json["done"] = done;
  return json;
}

void Collected::take(const infer::TokenEvent& token, const Part& part) {
  if (!token.of_prompt && token.id >= 0) ids_.push_back(token.id);
  since_.content += part.content;
  if (!shape_.hide_thinking) since_.thinking += part.thinking;
  since_.calls.insert(since_.calls.end(), part.calls.begin(), part.calls.end());
  if (shape_.logprobs && !token.of_prompt && token.id >= 0) logprobs_.push_back(token_logprob(tokenizer_, token));
}

void Collected::fill(Json& json) {
  Json& place = shape_.chat ? json["message"] : json;
  place[shape_.chat ? "content" : "response"] = since_.content;
  if (!since_.thinking.empty()) place["thinking"] = since_.thinking;
  for (const ToolCall& call : since_.calls) place["tool_calls"].push_back({{"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  if (!logprobs_.empty()) json["logprobs"] = std::exchange(logprobs_, Json::array());
  since_ = {};
}

Json Collected::line() {
  if (since_.empty() && logprobs_.empty()) return nullptr;
  Json json = frame(shape_, /*done=*/false);
  fill(json);
  return json;
}

Json Collected::last(const infer::Outcome& outcome) {
  Json json = frame(shape_, /*done=*/true);
  fill(json);
  json["done_reason"] = outcome.finish == infer::Finish::kLength ? "length" : "stop";
  if (!shape_.chat) {
    json["context"] = shape_.prompt;
    for (const int32_t id : ids_) json["context"].push_back(id);
  }
  json["total_duration"] = nanoseconds(seconds_since(shape_.started));
  json["load_duration"] = nanoseconds(shape_.load_seconds);
  json["prompt_eval_count"] = outcome.prompt_tokens;
  json["prompt_eval_duration"] = nanoseconds(outcome.prefill_seconds);
  json["eval_count"] = outcome.answer_tokens;
  json["eval_duration"] = nanoseconds(outcome.decode_seconds);
  return json;
}

bool Sink::on_token(const infer::TokenEvent& token, const Part& part) {
  collected_.take(token, part);
  if (!collected_.shape().stream) return !stream_.gone();
  const Json line = collected_.line();
  return line.is_null() ? !stream_.gone() : stream_.send(line);
}

void Sink::on_end(const Part& rest, const infer::Outcome& outcome) {
  infer::TokenEvent none;
  none.id = -1;
  collected_.take(none, rest);
  const auto failure = failure_of(outcome);
  if (!collected_.shape().stream || (failure && !stream_.begun())) {
    const Exchange& exchange = stream_.exchange();
    exchange->send(failure ? error_response(exchange->request(), *failure) : json_response(collected_.last(outcome)));
    return;
  }
  if (failure) {
    stream_.send(ollama_error(in_words(*failure)));
  } else {
    if (const Json line = collected_.line(); !line.is_null()) stream_.send(line);
    stream_.send(collected_.last(outcome));
  }
  stream_.end();
}

}  // namespace hone::serve::ollama
