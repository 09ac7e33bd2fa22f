#include "text/tokenizer_config.h"

#include <charconv>

#include "base/error.h"
#include "base/json_file.h"

namespace hone::text {
namespace {

using nlohmann::json;
using enum KeyUse;

constexpr KnownKey kKeys[] = {
    {"bos_token", kRead, "for templates, and before a text where tokenizer.json says so"},
    {"eos_token", kRead, "for templates; ends an answer"},
    {"pad_token", kRead, ""},
    {"unk_token", kNoEffect, "tokenizer.json says it"},
    {"sep_token", kNoEffect, "of encoders"},
    {"cls_token", kNoEffect, "of encoders"},
    {"mask_token", kNoEffect, "of encoders"},
    {"chat_template", kRead, "a text, or a list with one called default; chat_template.jinja counts before it"},
    {"add_bos_token", kRead, "true in LlamaTokenizer classes, where tokenizer.json adds none; else tokenizer.json decides, as in transformers 5"},
    {"add_eos_token", kTold, "tokenizer.json's post-processor decides, as in transformers 5", "false"},
    {"tokenizer_class", kRead, "of add_bos_token; tokenizer.json says the rest"},
    {"added_tokens_decoder", kRead, "a token that tokenizer.json lacks is refused"},
    {"additional_special_tokens", kRead, "a token that tokenizer.json lacks is refused"},
    {"extra_special_tokens", kRead, "a token that tokenizer.json lacks is refused"},
    {"split_special_tokens", kRefused, "the text of special tokens becomes these tokens", "false"},
    {"do_lower_case", kNoEffect, "tokenizer.json's normaliser says it"},
    {"strip_accents", kNoEffect, "tokenizer.json's normaliser says it"},
    {"tokenize_chinese_chars", kNoEffect, "tokenizer.json's normaliser says it"},
    {"remove_space", kNoEffect, "tokenizer.json's normaliser says it"},
    {"keep_accents", kNoEffect, "tokenizer.json's normaliser says it"},
    {"add_prefix_space", kNoEffect, "tokenizer.json's pre-tokenizer says it"},
    {"legacy", kNoEffect, "tokenizer.json says it"},
    {"from_slow", kNoEffect, "tokenizer.json says it"},
    {"is_local", kNoEffect, ""},
    {"local_files_only", kNoEffect, ""},
    {"backend", kNoEffect, ""},
    {"vocab_file", kNoEffect, "tokenizer.json says it"},
    {"merges_file", kNoEffect, "tokenizer.json says it"},
    {"sp_model_kwargs", kNoEffect, "tokenizer.json says it"},
    {"tokenizer_file", kNoEffect, ""},
    {"errors", kNoEffect, "bytes that are no UTF-8 are replaced"},
    {"clean_up_tokenization_spaces", kNoEffect, "answers are the bytes of their tokens, as in llama.cpp and vLLM"},
    {"spaces_between_special_tokens", kNoEffect, "answers are the bytes of their tokens"},
    {"model_max_length", kNoEffect, "config.json says the context"},
    {"max_length", kNoEffect, "data.cutoff_length says it"},
    {"stride", kNoEffect, "rows are not cut into windows"},
    {"truncation*", kNoEffect, "data.cutoff_length says it"},
    {"padding*", kNoEffect, "rows are packed, not padded"},
    {"pad_to_multiple_of", kNoEffect, "rows are packed, not padded"},
    {"pad_token_type_id", kNoEffect, "rows are packed, not padded"},
    {"model_input_names", kNoEffect, ""},
    {"return_token_type_ids", kNoEffect, ""},
    {"model_specific_special_tokens", kNoEffect, "names for programs"},
    {"image_token", kNoEffect, "of images"},
    {"video_token", kNoEffect, "of images"},
    {"processor_class", kNoEffect, "of images"},
    {"use_default_system_prompt", kNoEffect, "the chat template says it"},
    {"auto_map", kNoEffect, "hone runs no code of a repository"},
    {"name_or_path", kNoEffect, ""},
    {"special_tokens_map_file", kNoEffect, ""},
    {"init_inputs", kNoEffect, ""},
    {"transformers_version", kNoEffect, ""},
    {"device_map", kNoEffect, ""},
    {"trust_remote_code", kNoEffect, "hone runs no code of a repository"},
    {"response_schema", kNoEffect, ""},
};

// A token: its text, or an object with "content".
std::string content_of(const json& token) {
  if (token.is_string()) return token.get<std::string>();
  const auto it = token.is_object() ? token.find("content") : token.end();
  return token.is_object() && it != token.end() && it->is_string() ? it->get<std::string>() : std::string();
}

[[noreturn]] void lacks(const std::string& where, const char* key, const std::string& token) {
  throw Error(ErrorCode::kUnsupported, where, fmt::format("{} names the token \"{}\", which tokenizer.json lacks", key, token),
              "save the tokenizer again with transformers' save_pretrained, which writes it into tokenizer.json");
}

}  // namespace

KeyTable tokenizer_config_keys() { return kKeys; }

std::vector<std::string> check_tokenizer_config(const std::filesystem::path& file, const Tokenizer& tokenizer) {
  if (!std::filesystem::exists(file)) return {};
  const std::string where = file.string();
  const json config = read_json(file, size_t{64} << 20);
  if (!config.is_object()) throw Error(ErrorCode::kInvalidInput, where, "is not a JSON object", "fetch the file again");
  KeyCheck check(kKeys, where);
  check.see_all(config);
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end() && decoder->is_object())
    for (const auto& [key, token] : decoder->items()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      const std::string content = content_of(token);
      if (error != std::errc() || end != key.data() + key.size() || content.empty()) continue;
      const bool there = id >= 0 && id < tokenizer.vocab_size() && (tokenizer.token_bytes(id) == content || tokenizer.token_id(content) == id);
      if (!there) lacks(where, "added_tokens_decoder", content);
    }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto list = config.find(key);
    if (list == config.end() || !(list->is_array() || list->is_object())) continue;
    for (const auto& token : *list)
      if (const std::string content = content_of(token); !content.empty() && !tokenizer.token_id(content)) lacks(where, key, content);
  }
  return check.notes();
}

}  // namespace hone::text
