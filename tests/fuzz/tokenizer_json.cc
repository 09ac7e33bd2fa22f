// A tokenizer.json: texts become tokens of its vocabulary, and tokens become texts.
#include "fuzz/target.h"
#include "text/tokenizer.h"
#include "text/word_piece.h"

namespace hone::fuzz {
namespace {

void run_tokenizer_json(const uint8_t* data, size_t size) {
  const std::string_view json = text_of(data, size);
  part([&] { text::WordPiece::from_json(json, "tokenizer.json").encode(json.substr(0, 300), 64); });
  const auto tokenizer = text::Tokenizer::from_json(json, "tokenizer.json");
  const std::string tail(json.substr(json.size() - std::min<size_t>(json.size(), 200)));
  for (const std::string& text : {std::string(" Hello, wor\xC3\xA9ld 1234!\n\n\t<s>  \xE2\x96\x81x\xF0\x9F\x98\x80\xFF\xED\xA0\x80"), tail, std::string()})
    part([&] {
      const auto spans = tokenizer.encode_spans(text);
      std::vector<int32_t> ids;
      for (const text::TokenSpan& span : spans) {
        hold(0 <= span.begin && span.begin <= span.end && span.end <= static_cast<int32_t>(text.size()), "the bytes of a token lie within the text");
        hold(span.id >= 0 && span.id < tokenizer.vocab_size(), "ids lie within the vocabulary");
        tokenizer.token_bytes(span.id);
        ids.push_back(span.id);
      }
      const std::string whole = tokenizer.decode(ids);
      text::StreamDecoder stream(tokenizer);
      std::string pieces;
      for (const int32_t id : ids) pieces += stream.push(id);
      pieces += stream.finish();
      hold(pieces == whole, "tokens decoded one by one are the whole text");
      tokenizer.decode(ids, /*skip_special=*/true);
    });
  part([&] { text::Tokenizer::from_gguf(tokenizer.to_gguf(tokenizer.vocab_size()), "file.gguf").encode(tail); });
}

const Registered registered_tokenizer_json({"tokenizer_json", run_tokenizer_json, 250,
                             {"\"model\"", "\"type\"", "\"BPE\"", "\"WordPiece\"", "\"Unigram\"", "\"vocab\"", "\"merges\"", "\"added_tokens\"", "\"id\"", "\"content\"", "\"special\"", "\"lstrip\"", "\"rstrip\"", "\"single_word\"", "\"normalized\"", "\"normalizer\"",
                              "\"pre_tokenizer\"", "\"post_processor\"", "\"decoder\"", "\"ByteLevel\"", "\"Split\"", "\"Sequence\"", "\"Metaspace\"", "\"Prepend\"", "\"Replace\"", "\"NFC\"", "\"NFKC\"", "\"Lowercase\"", "\"Digits\"", "\"Regex\"", "\"pattern\"",
                              "\"behavior\"", "\"Isolated\"", "\"Removed\"", "\"invert\"", "\"TemplateProcessing\"", "\"single\"", "\"pair\"", "\"SpecialToken\"", "\"unk_token\"", "\"byte_fallback\"", "\"fuse_unk\"", "\"ignore_merges\"", "\"(?i:a|b)\"",
                              "\"\\\\p{L}+\"", "\"(a*)*b\"", "\"[^\\\\s]+\"", "\"(?=x)\"", "\"\"", "null", "true", "[]", "{}", "-1", "2147483648", "\"a b\"", "[\"a\", \"b\"]"},
                             {"tokenizers/smollm.json", "tokenizers/llama2.json", "tokenizers/metaspace-split.json", "tokenizers/flags2.json", "encoders/tiny/tokenizer.json"}});

}  // namespace
}  // namespace hone::fuzz
