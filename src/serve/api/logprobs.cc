#include "serve/api/logprobs.h"

#include <algorithm>

namespace hone::serve {
namespace {

// JSON has no −∞; clients know −9999 for "as good as impossible".
double finite(float logprob) { return std::max(static_cast<double>(logprob), -9999.0); }

Json one(const text::Tokenizer& tokenizer, int32_t id, float logprob) {
  Json bytes = Json::array();
  const std::string text = tokenizer.token_bytes(id);
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(tokenizer, id)}, {"logprob", finite(logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

std::string token_text(const text::Tokenizer& tokenizer, int32_t id) {
  const std::string bytes = tokenizer.token_bytes(id);
  // Through JSON, whose writer replaces what is not UTF-8.
  return Json::parse(dump(bytes)).get<std::string>();
}

Json token_logprob(const text::Tokenizer& tokenizer, const infer::TokenEvent& token) {
  Json json = one(tokenizer, token.id, token.logprob);
  json["top_logprobs"] = Json::array();
  for (const auto& other : token.top) json["top_logprobs"].push_back(one(tokenizer, other.id, other.logprob));
  return json;
}

}  // namespace hone::serve
