#include "serve/models/infill.h"

#include <algorithm>

#include "base/error.h"

namespace hone::serve {
namespace {

struct Names {
  const char *prefix, *suffix, *middle;
};
// Each family: prefix token, text before; suffix token, text behind; middle token.
constexpr Names kFamilies[] = {{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}, {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}, {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}, {"▁<PRE>", "▁<SUF>", "▁<MID>"}};
constexpr const char* kEnds[] = {"<|endoftext|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>", "<fim_pad>", "<file_sep>", "<repo_name>", "▁<EOT>", "<｜end▁of▁sentence｜>"};

// Behind another token, where SentencePiece's space in front of a text has no place: encoded behind a line feed, which is taken off.
std::vector<int32_t> encode_behind(const text::Tokenizer& tokenizer, std::string_view text) {
  const text::EncodeOptions plain{.add_special = false, .parse_special = false};
  const std::vector<int32_t> alone = tokenizer.encode("\n", plain), whole = tokenizer.encode("\n" + std::string(text), plain);
  if (!alone.empty() && whole.size() >= alone.size() && std::equal(alone.begin(), alone.end(), whole.begin())) return {whole.begin() + static_cast<std::ptrdiff_t>(alone.size()), whole.end()};
  return tokenizer.encode(text, plain);
}

}  // namespace

Infill infill(const Resident& model, std::string_view prefix, std::string_view suffix, const std::string& where) {
  const text::Tokenizer& tokenizer = model.files.tokenizer;
  for (const Names& names : kFamilies) {
    const auto before = tokenizer.token_id(names.prefix), behind = tokenizer.token_id(names.suffix), middle = tokenizer.token_id(names.middle);
    if (!before || !behind || !middle) continue;
    Infill result;
    const bool pieces = std::string_view(names.prefix).starts_with("▁");
    if (const std::vector<int32_t> begin = tokenizer.encode("", {}); !begin.empty() && begin.front() == tokenizer.bos()) result.prompt.push_back(begin.front());
    const auto add = [&](int32_t mark, std::string_view text, bool behind_mark) {
      const std::vector<int32_t> ids = behind_mark ? encode_behind(tokenizer, text) : tokenizer.encode(text, {.add_special = false, .parse_special = false});
      result.prompt.push_back(mark);
      result.prompt.insert(result.prompt.end(), ids.begin(), ids.end());
    };
    add(*before, prefix, /*behind_mark=*/false);  // Code Llama: with its space
    add(*behind, suffix, /*behind_mark=*/pieces);
    result.prompt.push_back(*middle);
    result.stop_ids = model.files.stop_ids;
    for (const int32_t mark : {*before, *behind, *middle}) result.stop_ids.push_back(mark);
    for (const char* end : kEnds)
      if (const auto id = tokenizer.token_id(end)) result.stop_ids.push_back(*id);
    return result;
  }
  throw Error(ErrorCode::kUnsupported, where, fmt::format("{} has no tokens for a gap in a text: it goes on with one, it does not fill gaps", model.entry.name), "leave it out, or use a model for code such as DeepSeek-Coder or Qwen-Coder");
}

}  // namespace hone::serve
