#include "text/tokenizer_data.h"

#include <cctype>

#include "text/unicode.h"

namespace hone::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";

// GPT-2 writes each byte as a printable character: bytes that are printable in Latin-1 as themselves, the others from U+0100 on.
std::array<uint32_t, 256> gpt2_characters() {
  std::array<uint32_t, 256> map{};
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    map[b] = printable ? b : next++;
  }
  return map;
}

std::string with_spaces(std::string_view name) {
  std::string text;
  for (size_t at = 0; at < name.size();) {
    const bool mark = name.substr(at).starts_with(kMark);
    text += mark ? ' ' : name[at];
    at += mark ? kMark.size() : 1;
  }
  return text;
}

}  // namespace

int byte_of_name(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (name.size() != 6 || !name.starts_with("<0x") || name[5] != '>') return -1;
  const size_t high = kDigits.find(name[3]), low = kDigits.find(name[4]);
  return high == std::string_view::npos || low == std::string_view::npos ? -1 : static_cast<int>(16 * high + low);
}

int gpt2_byte(uint32_t code_point) {
  static const std::array<int, 512> inverse = [] {
    std::array<int, 512> map{};
    map.fill(-1);
    const auto forward = gpt2_characters();
    for (size_t b = 0; b < 256; ++b) map[forward[b]] = static_cast<int>(b);
    return map;
  }();
  return code_point < inverse.size() ? inverse[code_point] : -1;
}

std::optional<std::string> gpt2_bytes(std::string_view token) {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    const size_t n = utf8_length(rest);
    const int byte = n ? gpt2_byte(utf8_code_point(rest)) : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    rest.remove_prefix(n);
  }
  return bytes;
}

void TokenizerData::add_byte_level_token(const std::string& name, int32_t id) {
  names[static_cast<size_t>(id)] = name;
  const auto bytes = gpt2_bytes(name);
  tokens[static_cast<size_t>(id)] = bytes.value_or(name);
  // A name with another character in it stands for no bytes: no piece of text is that token.
  if (!bytes) return;
  if (bytes->size() == 1) bpe.byte_token[static_cast<uint8_t>((*bytes)[0])] = id;
  bpe.vocabulary.emplace(*bytes, id);
}

void TokenizerData::add_character_token(const std::string& name, int32_t id, int byte) {
  names[static_cast<size_t>(id)] = name;
  bpe.vocabulary.emplace(name, id);
  if (byte >= 0) bpe.byte_token[static_cast<size_t>(byte)] = id;
  tokens[static_cast<size_t>(id)] = byte >= 0 ? std::string(1, static_cast<char>(byte)) : with_spaces(name);
}

// SentencePiece models without a pre-tokenizer take a whole text for one piece. Where no token holds a ▁ after another
// character, no merge ever crosses to a ▁: the text can be cut there, which gives the same tokens from short pieces.
void TokenizerData::cut_before_marks() {
  if (bpe.byte_level || bpe.ignore_merges || !bpe.vocabulary.contains(kMark)) return;
  for (const PreStep& step : pre_steps)
    if (step.kind == PreStep::Kind::kSplit) return;
  for (const auto& [name, id] : bpe.vocabulary)
    for (size_t at = name.find(kMark); at != std::string::npos; at = name.find(kMark, at + kMark.size()))
      if (at > 0 && !std::string_view(name).substr(0, at).ends_with(kMark)) return;
  pre_steps.push_back(PreStep::split(kCutBeforeMarks, where));
}

void TokenizerData::finish() {
  for (AddedToken& token : added) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens.size()) {
      tokens.resize(id + 1);
      names.resize(id + 1);
    }
    names[id] = token.content;
    // Tokens that are looked for in normalised text are written as they look there, also when decoded.
    if (token.normalized) token.content = normalize(MappedText{utf8_replace_bad(token.content), 0, {}, {}}, normalizers).text;
    tokens[id] = token.content;
  }
  special.assign(tokens.size(), false);
  for (const AddedToken& token : added) special[static_cast<size_t>(token.id)] = token.special;
  added_raw.build(added, false);
  added_normalized.build(added, true);
  cut_before_marks();
}

}  // namespace hone::text
