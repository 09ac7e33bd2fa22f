#include "serve/models/infill.h"

#include <algorithm>
#include <optional>
#include <span>

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
constexpr Names kKeys[] = {{"fim_pre", "fim_suf", "fim_mid"}, {"prefix", "suffix", "middle"}};
constexpr const char* kEndKeys[] = {"fim_pad", "fim_rep", "fim_sep"};
constexpr const char* kEnds[] = {"<|endoftext|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>",
                                 "<fim_pad>", "<file_sep>", "<repo_name>", "▁<EOT>", "<｜end▁of▁sentence｜>"};

struct Marks {
  int32_t prefix, suffix, middle;
};

// The token that a GGUF file names by this key.
std::optional<int32_t> token_of_key(const recipes::ModelFiles& files, const char* key) {
  const io::Gguf* gguf = files.source->gguf();
  const auto id = gguf ? gguf->find_int(fmt::format("tokenizer.ggml.{}_token_id", key)) : std::nullopt;
  if (!id || *id < 0 || *id >= files.source->config().vocab_size) return std::nullopt;
  return static_cast<int32_t>(*id);
}

// The first row of names whose tokens are all there.
template <class Find>
std::optional<Marks> first_complete(std::span<const Names> rows, Find token) {
  for (const Names& names : rows) {
    const auto prefix = token(names.prefix), suffix = token(names.suffix), middle = token(names.middle);
    if (prefix && suffix && middle) return Marks{*prefix, *suffix, *middle};
  }
  return std::nullopt;
}

std::optional<Marks> marks_of(const recipes::ModelFiles& files) {
  const auto named = first_complete(kKeys, [&](const char* key) { return token_of_key(files, key); });
  return named ? named : first_complete(kFamilies, [&](const char* name) { return files.tokenizer.token_id(name); });
}

std::vector<int32_t> encode_plain(const text::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special = false, .parse_special = false});
}

// Behind another token, where SentencePiece's space in front of a text has no place: encoded behind a line feed, which
// is taken off.
std::vector<int32_t> encode_behind(const text::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> alone = encode_plain(tokenizer, "\n");
  const std::vector<int32_t> whole = encode_plain(tokenizer, "\n" + std::string(text));
  if (alone.empty() || whole.size() < alone.size() || !std::equal(alone.begin(), alone.end(), whole.begin()))
    return encode_plain(tokenizer, text);
  return {whole.begin() + static_cast<std::ptrdiff_t>(alone.size()), whole.end()};
}

}  // namespace

Infill infill(const recipes::ModelFiles& files, const std::string& name, std::string_view prefix,
              std::string_view suffix, const std::string& where) {
  const text::Tokenizer& tokenizer = files.tokenizer;
  const auto marks = marks_of(files);
  if (!marks)
    throw Error(ErrorCode::kUnsupported, where,
                fmt::format("{} has no tokens for a gap in a text: it goes on with one, it does not fill gaps", name),
                "leave it out, or use a model for code such as DeepSeek-Coder or Qwen-Coder");
  Infill result;
  const std::vector<int32_t> begin = tokenizer.encode("", {});
  if (!begin.empty() && begin.front() == tokenizer.bos()) result.prompt.push_back(begin.front());
  const auto add = [&](int32_t mark, const std::vector<int32_t>& ids) {
    result.prompt.push_back(mark);
    result.prompt.insert(result.prompt.end(), ids.begin(), ids.end());
  };
  // Code Llama: the text before the gap keeps SentencePiece's space, the text behind has none of its own.
  const bool pieces = tokenizer.token_id("▁<PRE>") == marks->prefix;
  add(marks->prefix, encode_plain(tokenizer, prefix));
  add(marks->suffix, pieces ? encode_behind(tokenizer, suffix) : encode_plain(tokenizer, suffix));
  add(marks->middle, {});
  result.stop_ids = files.stop_ids;
  for (const int32_t mark : {marks->prefix, marks->suffix, marks->middle}) result.stop_ids.push_back(mark);
  for (const char* end : kEnds)
    if (const auto id = tokenizer.token_id(end)) result.stop_ids.push_back(*id);
  for (const char* end : kEndKeys)
    if (const auto id = token_of_key(files, end)) result.stop_ids.push_back(*id);
  return result;
}

}  // namespace hone::serve
