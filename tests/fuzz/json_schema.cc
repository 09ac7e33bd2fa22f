// A JSON schema; then a blind writer whom its filter holds to it: some token may always come next, and what is complete is JSON.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "fuzz/target.h"
#include "serve/schema/json_filter.h"

namespace hone::fuzz {
namespace {

using serve::Json;

constexpr int kSteps = 48;

void write(const text::Tokenizer& words, const std::shared_ptr<const serve::TokenTable>& table, const std::shared_ptr<const serve::Schema>& schema, uint64_t seed) {
  serve::JsonFilter filter(table, schema, {});
  serve::JsonReader reader(schema->root());
  const Rng rng{seed, Rng::kSample, 0};
  std::vector<float> logits(static_cast<size_t>(words.vocab_size()));
  std::string text;
  for (uint64_t step = 0; step < kSteps; ++step) {
    std::fill(logits.begin(), logits.end(), 0.0f);
    filter.apply(logits);
    std::vector<int32_t> allowed;
    for (size_t id = 0; id < logits.size(); ++id)
      if (std::isfinite(logits[id])) allowed.push_back(static_cast<int32_t>(id));
    if (allowed.empty()) break;
    const int32_t id = allowed[rng.below(step, allowed.size())];
    filter.accept(id);
    const std::string bytes = words.token_bytes(id);
    text += bytes;
    for (const char c : bytes) hold(reader.push(static_cast<unsigned char>(c)), "the filter lets through what the reader reads");
  }
  if (reader.complete()) hold(!Json::parse(text, nullptr, /*allow_exceptions=*/false).is_discarded() || text.find_first_not_of("\t\n\r -~") != std::string::npos, "a complete document is JSON");
}

void run_json_schema(const uint8_t* data, size_t size) {
  static const text::Tokenizer words = text::Tokenizer::from_json(golden("tokenizers/smollm.json"), "tokenizer.json");
  static const auto table = std::make_shared<serve::TokenTable>(words);
  const std::string_view text = text_of(data, size);
  const auto schema = serve::Schema::parse(serve::parse_body(text), "format");
  serve::JsonReader reader(schema->root());
  for (const char c : text)
    if (!reader.push(static_cast<unsigned char>(c))) break;
  for (uint64_t seed = 0; seed < 2; ++seed) write(words, table, schema, size + seed);
}

const Registered registered_json_schema({"json_schema", run_json_schema, 800,
                             {"\"type\"", "\"object\"", "\"array\"", "\"string\"", "\"number\"", "\"integer\"", "\"boolean\"", "\"null\"", "\"properties\"", "\"required\"", "\"additionalProperties\"", "\"items\"", "\"minItems\"", "\"maxItems\"",
                              "\"enum\"", "\"const\"", "\"anyOf\"", "\"oneOf\"", "\"$ref\"", "\"#\"", "\"#/$defs/a\"", "\"#/properties/a\"", "\"$defs\"", "\"definitions\"", "\"allOf\"", "\"prefixItems\"", "\"uniqueItems\"", "\"pattern\"", "\"format\"", "\"date\"", "\"minLength\"", "\"maxLength\"", "\"minimum\"", "\"exclusiveMaximum\"", "\"multipleOf\"", "\"patternProperties\"",
                              "\"propertyNames\"", "\"minProperties\"", "\"maxProperties\"", "\"nullable\"", "\"^[a-z]{2,5}$\"", "\"(?!a)b|c*\"", "0.5", "1e9", "{}", "[]", "true", "false", "{\"$ref\":\"#\"}", "\"~0~1\"", "\"#/%7E\""},
                             {}});

}  // namespace
}  // namespace hone::fuzz
