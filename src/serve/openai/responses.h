// /v1/responses: one request, one response; nothing is kept between them.
#pragma once

#include "serve/api/stream.h"
#include "serve/models/call_form.h"
#include "serve/models/prompt.h"

namespace hone::serve::openai {

struct ResponseRequest {
  std::string model;
  ChatRequest conversation;
  ToolChoice calls;
  Json format;            // null, "json", or a JSON schema
  bool stream = false;
  bool truncate = false;  // the oldest messages may be left out; else what is too long is an error
  std::optional<int64_t> max_output_tokens;
  std::optional<double> keep_alive;
  Json echoed;            // of the response: what the request said
};

/// Items of `input` become the messages that chat templates read. Throws Error{kInvalidInput} naming the field, Error{kUnsupported} for
/// stored responses, images, files and tools that run at OpenAI.
ResponseRequest read_response_request(const Json& body);

/// Sends one response, whole or as events.
class ResponseSink : public AnswerSink {
 public:
  ResponseSink(Exchange exchange, const ResponseRequest& request);
  bool on_token(const infer::TokenEvent& token, const Part& part) override;
  void on_end(const Part& rest, const infer::Outcome& outcome) override;

 private:
  enum class Open { kNone, kReasoning, kMessage };
  void begin();
  void event(const char* type, Json json);
  void take(const Part& part);
  void add_text(Open kind, const std::string& text);
  void add_call(const ToolCall& call);
  void close(const char* status);
  Json response(const char* status) const;

  Stream stream_;
  const bool streamed_, hide_thinking_;
  Json base_;                     // what every form of the response has
  Json output_ = Json::array();
  Open open_ = Open::kNone;
  int64_t events_ = 0;
};

void respond(Service& service, const Exchange& exchange);

}  // namespace hone::serve::openai
