#include "serve/models/infill.h"

#include <algorithm>

#include "base/error.h"

namespace hone::serve {
namespace {

struct Names {
  const char *prefix, *suffix, *middle;
};
// Each family: prefix token, text before; suffix token, text behind; middle token.
constexpr Names kFamilies[] = {{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
                               {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
                               {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
                               {"▁<PRE>", "▁<SUF>", "▁<MID>"}};
// What GGUF files call them, llama.cpp's newer names first.
constexpr Names kGguf[] = {{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.fim_mid_token_id"},
                           {"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.suffix_token_id", "tokenizer.ggml.middle_token_id"}};
constexpr const char* kGgufEnds[] = {"tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id"};

struct Marks {
  int32_t prefix, suffix, middle;
  bool pieces = false;  // of SentencePiece: the text behind has no space of its own
};

std::optional<int32_t> named_token(const recipes::ModelFiles& files, const char* key) {
  const auto id = files.source->gguf()->find_int(key);
  if (!id || *id < 0 || *id >= files.source->config().vocab_size) return std::nullopt;
  return static_cast<int32_t>(*id);
}

std::optional<Marks> marks_of(const recipes::ModelFiles& files) {
  if (files.source->gguf())
    for (const Names& keys : kGguf) {
      const auto prefix = named_token(files, keys.prefix), suffix = named_token(files, keys.suffix), middle = named_token(files, keys.middle);
      if (prefix && suffix && middle) return Marks{*prefix, *suffix, *middle, files.tokenizer.token_bytes(*prefix).starts_with("▁")};
    }
  for (const Names& names : kFamilies) {
    const auto token = [&](const char* name) { return files.tokenizer.token_id(name); };
    const auto prefix = token(names.prefix), suffix = token(names.suffix), middle = token(names.middle);
    if (prefix && suffix && middle) return Marks{*prefix, *suffix, *middle, std::string_view(names.prefix).starts_with("▁")};
  }
  return std::nullopt;
}

constexpr const char* kEnds[] = {"<|endoftext|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>", "<fim_pad>", "<file_sep>", "<repo_name>", "▁<EOT>", "<｜end▁of▁sentence｜>"};

// Behind another token, where SentencePiece's space in front of a text has no place: encoded behind a line feed, which is taken off.
std::vector<int32_t> encode_behind(const text::Tokenizer& tokenizer, std::string_view text) {
  const text::EncodeOptions plain{.add_special = false, .parse_special = false};
  const std::vector<int32_t> alone = tokenizer.encode("\n", plain), whole = tokenizer.encode("\n" + std::string(text), plain);
  if (!alone.empty() && whole.size() >= alone.size() && std::equal(alone.begin(), alone.end(), whole.begin())) return {whole.begin() + static_cast<std::ptrdiff_t>(alone.size()), whole.end()};
  return tokenizer.encode(text, plain);
}

}  // namespace

Infill infill(const recipes::ModelFiles& files, const std::string& name, std::string_view prefix, std::string_view suffix, const std::string& where) {
  const text::Tokenizer& tokenizer = files.tokenizer;
  const auto marks = marks_of(files);
  if (!marks)
    throw Error(ErrorCode::kUnsupported, where, fmt::format("{} has no tokens for a gap in a text: it goes on with one, it does not fill gaps", name),
                "leave it out, or use a model for code such as DeepSeek-Coder or Qwen-Coder");
  Infill result;
  if (const std::vector<int32_t> begin = tokenizer.encode("", {}); !begin.empty() && begin.front() == tokenizer.bos()) result.prompt.push_back(begin.front());
  const auto add = [&](int32_t mark, std::string_view text, bool behind_mark) {
    const std::vector<int32_t> ids = behind_mark ? encode_behind(tokenizer, text) : tokenizer.encode(text, {.add_special = false, .parse_special = false});
    result.prompt.push_back(mark);
    result.prompt.insert(result.prompt.end(), ids.begin(), ids.end());
  };
  add(marks->prefix, prefix, /*behind_mark=*/false);  // Code Llama: with its space
  add(marks->suffix, suffix, /*behind_mark=*/marks->pieces);
  result.prompt.push_back(marks->middle);
  result.stop_ids = files.stop_ids;
  for (const int32_t mark : {marks->prefix, marks->suffix, marks->middle}) result.stop_ids.push_back(mark);
  for (const char* end : kEnds)
    if (const auto id = tokenizer.token_id(end)) result.stop_ids.push_back(*id);
  if (files.source->gguf())
    for (const char* end : kGgufEnds)
      if (const auto id = named_token(files, end)) result.stop_ids.push_back(*id);
  return result;
}

}  // namespace hone::serve
