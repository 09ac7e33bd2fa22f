#include "text/word_piece.h"

#include <utf8proc.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "text/normalizer.h"
#include "text/unicode.h"

namespace hone::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMostBytes = 64 << 20, kMostTokens = 1 << 22;

bool han(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

utf8proc_category_t category(uint32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool dropped(uint32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 0x7F) return c < 0x20;
  const auto kind = category(c);
  return c == 0xFFFD || kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_CO || kind == UTF8PROC_CATEGORY_CS;
}

bool punctuation(uint32_t c) {
  if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Calls visit(code point, bytes) for every character of valid UTF-8.
template <class Visit>
void each_character(std::string_view text, Visit visit) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80 ? 1 : utf8_length(text.substr(i));
    visit(byte < 0x80 ? byte : utf8_code_point(text.substr(i)), text.substr(i, length));
    i += length;
  }
}

[[noreturn]] void bad(const std::string& where, const std::string& message) { throw Error(ErrorCode::kInvalidInput, where, message, "the file is damaged or of a newer format: fetch it again"); }

bool flag(const json& object, const char* key, bool otherwise, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return otherwise;
  if (!it->is_boolean()) bad(where, fmt::format("\"{}\" must be true or false", key));
  return it->get<bool>();
}

void read_normalizer(const json& root, WordPiece::Rules& rules, const std::string& where) {
  const auto n = root.find("normalizer");
  if (n == root.end() || n->is_null()) {
    rules.lower_case = rules.strip_accents = rules.split_han = rules.clean = false;
    return;
  }
  if (!n->is_object() || n->value("type", json()) != "BertNormalizer") throw Error(ErrorCode::kUnsupported, where + ": normalizer", "is not a BertNormalizer", "hone reads the tokenizers of BERT models");
  rules.lower_case = flag(*n, "lowercase", true, where);
  rules.strip_accents = flag(*n, "strip_accents", rules.lower_case, where);
  rules.split_han = flag(*n, "handle_chinese_chars", true, where);
  rules.clean = flag(*n, "clean_text", true, where);
}

}  // namespace

WordPiece WordPiece::from_tokens(const std::vector<std::string>& tokens, const Rules& rules, const std::string& where) {
  if (tokens.size() > kMostTokens) bad(where, fmt::format("{} tokens, at most {} are read", tokens.size(), kMostTokens));
  if (rules.longest_word < 1 || rules.longest_word > 1 << 20) bad(where, fmt::format("words of at most {} characters", rules.longest_word));
  WordPiece w;
  w.rules_ = rules;
  w.size_ = static_cast<int32_t>(tokens.size());
  for (int32_t id = 0; id < w.size_; ++id) {
    const std::string& token = tokens[static_cast<size_t>(id)];
    if (token == "[CLS]") w.cls_ = id;
    if (token == "[SEP]") w.sep_ = id;
    if (token == "[UNK]") w.unknown_ = id;
    const bool inside = !rules.continuation.empty() && token.size() > rules.continuation.size() && token.starts_with(rules.continuation);
    const std::string_view piece = std::string_view(token).substr(inside ? rules.continuation.size() : 0);
    w.longest_piece_ = std::max(w.longest_piece_, piece.size());
    if (!piece.empty()) (inside ? w.continues_ : w.begins_).insert_or_assign(std::string(piece), id);  // a token that comes twice has its last id, as in the reference
  }
  for (const auto& [name, id] : {std::pair{"[CLS]", w.cls_}, std::pair{"[SEP]", w.sep_}, std::pair{"[UNK]", w.unknown_}})
    if (id < 0) bad(where, fmt::format("the vocabulary has no token {}", name));
  return w;
}

WordPiece WordPiece::from_json(std::string_view text, const std::string& where) {
  const json root = parse_json(text, where);
  const auto model = root.is_object() ? root.find("model") : root.end();
  if (!root.is_object() || model == root.end() || !model->is_object()) bad(where, "\"model\" is missing");
  const auto type = model->find("type");
  if (type == model->end() || *type != "WordPiece") throw Error(ErrorCode::kUnsupported, where + ": model", fmt::format("is {}, expected WordPiece", type == model->end() ? "of no type" : type->dump()), "name a BERT model");
  Rules rules;
  read_normalizer(root, rules, where);
  if (const auto mark = model->find("continuing_subword_prefix"); mark != model->end() && mark->is_string()) rules.continuation = mark->get<std::string>();
  if (const auto most = model->find("max_input_chars_per_word"); most != model->end() && most->is_number_unsigned()) rules.longest_word = static_cast<int64_t>(std::min<uint64_t>(most->get<uint64_t>(), 1 << 20));
  const auto vocab = model->find("vocab");
  if (vocab == model->end() || !vocab->is_object() || vocab->empty()) bad(where, "\"vocab\" must map tokens to ids");
  std::vector<std::string> tokens;
  const size_t most = 2 * vocab->size() + 4096;
  for (const auto& [token, value] : vocab->items()) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= most) bad(where, fmt::format("the id of \"{}\" is {} in a vocabulary of {}", token, value.dump(), vocab->size()));
    const auto id = value.get<size_t>();
    if (tokens.size() <= id) tokens.resize(id + 1);
    tokens[id] = token;
  }
  return from_tokens(tokens, rules, where);
}

WordPiece WordPiece::from_folder(const fs::path& folder) {
  if (fs::exists(folder / "tokenizer.json")) return from_json(read_file(folder / "tokenizer.json", kMostBytes), (folder / "tokenizer.json").string());
  const fs::path file = folder / "vocab.txt", settings = folder / "tokenizer_config.json";
  if (!fs::exists(file)) throw Error(ErrorCode::kNotFound, folder.string(), "holds neither tokenizer.json nor vocab.txt", "copy them from where the model was published");
  Rules rules;
  if (fs::exists(settings)) {
    const json config = read_json(settings, kMostBytes);
    if (!config.is_object()) bad(settings.string(), "is not a JSON object");
    rules.lower_case = flag(config, "do_lower_case", true, settings.string());
    rules.strip_accents = flag(config, "strip_accents", rules.lower_case, settings.string());
    rules.split_han = flag(config, "tokenize_chinese_chars", true, settings.string());
  }
  std::vector<std::string> tokens;
  const std::string text = read_file(file, kMostBytes);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string token = text.substr(at, end - at);
    if (token.ends_with('\r')) token.pop_back();
    tokens.push_back(std::move(token));
    at = end + 1;
  }
  return from_tokens(tokens, rules, file.string());
}

// Normalised text, words apart by single spaces only where the rules say so: cutting happens in encode.
std::string WordPiece::plain(std::string_view text) const {
  MappedText mapped;
  mapped.text.reserve(text.size());
  each_character(text, [&](uint32_t c, std::string_view bytes) {
    if (rules_.clean && dropped(c)) return;
    if (rules_.clean && is_white_space(c)) mapped.text += ' ';
    else if (rules_.split_han && han(c)) ((mapped.text += ' ') += bytes) += ' ';
    else mapped.text += bytes;
  });
  const bool simple = ascii(mapped.text);
  if (rules_.strip_accents && !simple) {
    NormalizeStep form;
    form.form = Normalization::kNfd;
    const std::string apart = normalize(std::move(mapped), {form}).text;
    mapped = {};
    each_character(apart, [&](uint32_t c, std::string_view bytes) {
      if (c < 0x300 || category(c) != UTF8PROC_CATEGORY_MN) mapped.text += bytes;
    });
  }
  if (!rules_.lower_case) return std::move(mapped.text);
  if (simple) {
    for (char& c : mapped.text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return std::move(mapped.text);
  }
  NormalizeStep lower;
  lower.kind = NormalizeStep::Kind::kLowercase;
  return normalize(std::move(mapped), {lower}).text;
}

// The longest piece at the beginning, then the longest of what is left; all or nothing.
void WordPiece::pieces(std::string_view word, std::vector<int32_t>& out) const {
  const size_t before = out.size();
  const auto characters = std::count_if(word.begin(), word.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  bool known = characters <= rules_.longest_word;
  for (size_t begin = 0; known && begin < word.size();) {
    const Vocabulary& vocabulary = begin == 0 ? begins_ : continues_;
    known = false;
    for (size_t end = begin + std::min(longest_piece_, word.size() - begin); end > begin; --end) {
      if (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) continue;  // inside a character
      const auto found = vocabulary.find(word.substr(begin, end - begin));
      if (found == vocabulary.end()) continue;
      out.push_back(found->second);
      begin = end;
      known = true;
      break;
    }
  }
  if (known) return;
  out.resize(before);
  out.push_back(unknown_);
}

std::vector<int32_t> WordPiece::encode(std::string_view text, int64_t limit) const {
  HONE_CHECK(limit >= 2, "{} tokens have no room for [CLS] and [SEP]", limit);
  const auto most = static_cast<size_t>(limit - 1);
  std::vector<int32_t> ids = {cls_};
  const std::string words = plain(utf8_replace_bad(text));
  size_t word = 0, at = 0;
  const auto finish = [&] {
    if (at > word && ids.size() < most) pieces(std::string_view(words).substr(word, at - word), ids);
  };
  each_character(words, [&](uint32_t c, std::string_view bytes) {
    const bool space = is_white_space(c);
    if (space || punctuation(c)) {
      finish();
      if (!space && ids.size() < most) pieces(bytes, ids);
      word = at + bytes.size();
    }
    at += bytes.size();
  });
  finish();
  if (ids.size() > most) ids.resize(most);
  ids.push_back(sep_);
  return ids;
}

}  // namespace hone::text
