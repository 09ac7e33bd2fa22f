// Tokenizers from Hugging Face's tokenizer.json (the format of the `tokenizers` library), with what tokenizer_config.json adds.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "text/tokenizer_data.h"

namespace hone::text {
namespace {

using nlohmann::json;

constexpr int64_t kMaxVocabulary = 8 << 20;

// Punctuation of Unicode 8 and before, as in the reference's unicode_categories, and ASCII's.
constexpr const char* kPunctuation =
    R"((?![\x{61D}\x{9FD}\x{A76}\x{C77}\x{C84}\x{1B4E}-\x{1B4F}\x{1B7D}-\x{1B7F}\x{2E43}-\x{2E4F}\x{2E52}-\x{2E5D}\x{10D6E}\x{10EAD}\x{10F55}-\x{10F59})"
    R"(\x{10F86}-\x{10F89}\x{113D4}-\x{113D8}\x{1144B}-\x{1144F}\x{1145A}-\x{1145D}\x{11660}-\x{1166C}\x{116B9}\x{1183B}\x{11944}-\x{11946}\x{119E2})"
    R"(\x{11A3F}-\x{11A46}\x{11A9A}-\x{11AA2}\x{11B00}-\x{11B09}\x{11BE1}\x{11C41}-\x{11C45}\x{11C70}-\x{11C71}\x{11EF7}-\x{11EF8}\x{11F43}-\x{11F4F})"
    R"(\x{11FFF}\x{12FF1}-\x{12FF2}\x{16D6D}-\x{16D6F}\x{16E97}-\x{16E9A}\x{16FE2}\x{1E5FF}\x{1E95E}-\x{1E95F}])\p{P}|[$+<=>^`|~\x{166D}\x{111C9}])";

using NameIndex = std::unordered_map<std::string_view, int32_t>;

class JsonReader {
 public:
  JsonReader(const json& root, std::string where) : root_(root), where_(std::move(where)), data_(std::make_shared<TokenizerData>()) {}

  std::shared_ptr<TokenizerData> read() {
    data_->where = where_;
    data_->bpe.byte_level = false;
    if (!root_.is_object()) bad("", "is not a JSON object");
    normalizer(member(root_, "normalizer"), "normalizer");
    pre_tokenizer(member(root_, "pre_tokenizer"), "pre_tokenizer");
    const NameIndex index = model(member(root_, "model"));
    added_tokens(member(root_, "added_tokens"), index);
    decoder(member(root_, "decoder"));
    post_processor(member(root_, "post_processor"), "post_processor");
    data_->finish();
    for (const auto* ids : {&data_->prefix_tokens, &data_->suffix_tokens})
      for (const int32_t value : *ids)
        if (static_cast<size_t>(value) >= data_->tokens.size()) bad("post_processor", fmt::format("adds token {} to a vocabulary of {}", value, data_->tokens.size()));
    return data_;
  }

 private:
  [[noreturn]] void bad(const std::string& part, const std::string& message) const {
    throw Error(ErrorCode::kInvalidInput, part.empty() ? where_ : where_ + ": " + part, message,
                "the file is damaged or of a newer format: fetch it again");
  }
  [[noreturn]] void unsupported(const std::string& part, const std::string& what) const {
    throw Error(ErrorCode::kUnsupported, where_ + ": " + part, what + " is not supported",
                "hone reads byte-level BPE and SentencePiece-style BPE, as llama, qwen and deepseek models use them");
  }
  static const json& member(const json& object, const char* key) {
    static const json null;
    const auto it = object.find(key);
    return it == object.end() ? null : *it;
  }
  std::string text(const json& object, const char* key, const std::string& part) const {
    const json& value = member(object, key);
    if (!value.is_string()) bad(part, fmt::format("\"{}\" must be a string", key));
    return value.get<std::string>();
  }
  bool flag(const json& object, const char* key, bool otherwise, const std::string& part) const {
    const json& value = member(object, key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) bad(part, fmt::format("\"{}\" must be true or false", key));
    return value.get<bool>();
  }
  const json& list(const json& object, const char* key, const std::string& part) const {
    const json& value = member(object, key);
    if (!value.is_array()) bad(part, fmt::format("\"{}\" must be a list", key));
    return value;
  }
  int32_t id(const json& value, const std::string& part) const {
    if (!value.is_number_integer() || value.get<int64_t>() < 0 || value.get<int64_t>() >= kMaxVocabulary)
      bad(part, fmt::format("token id {} is not a number from 0 to {}", value.dump(), kMaxVocabulary - 1));
    return value.get<int32_t>();
  }
  std::shared_ptr<const Pattern> pattern(const json& object, const std::string& part) const {
    const json& value = member(object, "pattern");
    const std::string at = where_ + ": " + part;
    if (value.is_object() && value.contains("String") && value["String"].is_string())
      return std::make_shared<Pattern>(Pattern::literal(value["String"].get<std::string>(), at));
    if (value.is_object() && value.contains("Regex") && value["Regex"].is_string())
      return std::make_shared<Pattern>(value["Regex"].get<std::string>(), at);
    bad(part, "\"pattern\" must hold a String or a Regex");
  }

  void normalizer(const json& n, const std::string& part, int depth = 0) {
    if (n.is_null()) return;
    if (depth > 8) bad(part, "sequences nest too deep");
    const std::string type = text(n, "type", part);
    NormalizeStep step;
    if (type == "Sequence") {
      for (const json& child : list(n, "normalizers", part)) normalizer(child, part, depth + 1);
      return;
    }
    if (type == "NFC") step.form = Normalization::kNfc;
    else if (type == "NFD") step.form = Normalization::kNfd;
    else if (type == "NFKC") step.form = Normalization::kNfkc;
    else if (type == "NFKD") step.form = Normalization::kNfkd;
    else if (type == "Lowercase") step.kind = NormalizeStep::Kind::kLowercase;
    else if (type == "Prepend") {
      step.kind = NormalizeStep::Kind::kPrepend;
      step.text = text(n, "prepend", part);
    } else if (type == "Replace") {
      step.kind = NormalizeStep::Kind::kReplace;
      step.pattern = pattern(n, part);
      step.text = text(n, "content", part);
    } else if (type == "Strip") {
      step.kind = NormalizeStep::Kind::kStrip;
      step.left = flag(n, "strip_left", false, part);
      step.right = flag(n, "strip_right", false, part);
    } else {
      unsupported(part, fmt::format("normalizer {}", type));
    }
    data_->normalizers.push_back(std::move(step));
  }

  SplitBehavior behavior(const std::string& word, const std::string& part) const {
    constexpr std::pair<std::string_view, SplitBehavior> kWords[] = {{"Isolated", SplitBehavior::kIsolated},
                                                                     {"Removed", SplitBehavior::kRemoved},
                                                                     {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                                                     {"MergedWithNext", SplitBehavior::kMergedWithNext},
                                                                     {"Contiguous", SplitBehavior::kContiguous}};
    for (const auto& [name, value] : kWords)
      if (name == word) return value;
    bad(part, fmt::format("unknown split behavior \"{}\"", word));
  }

  void pre_tokenizer(const json& p, const std::string& part, int depth = 0) {
    if (p.is_null()) return;
    if (depth > 8) bad(part, "sequences nest too deep");
    if (data_->bpe.byte_level) unsupported(part, "a step after ByteLevel");
    const std::string type = text(p, "type", part);
    const auto split_at = [&](const char* regex, SplitBehavior how, bool invert = false) {
      data_->pre_steps.push_back(PreStep::split(regex, where_ + ": " + part, how, invert));
    };
    if (type == "Sequence") {
      for (const json& child : list(p, "pretokenizers", part)) pre_tokenizer(child, part, depth + 1);
    } else if (type == "Split") {
      data_->pre_steps.push_back({PreStep::Kind::kSplit, pattern(p, part), behavior(text(p, "behavior", part), part), flag(p, "invert", false, part),
                                  PreStep::Prefix::kNever});
    } else if (type == "ByteLevel") {
      data_->bpe.byte_level = true;
      if (flag(p, "add_prefix_space", true, part)) data_->pre_steps.push_back({PreStep::Kind::kSpace, {}, {}, false, {}});
      if (flag(p, "use_regex", true, part)) split_at(kGpt2Pattern, SplitBehavior::kIsolated);
    } else if (type == "Digits") {
      split_at(flag(p, "individual_digits", false, part) ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::kIsolated);
    } else if (type == "Punctuation") {
      split_at(kPunctuation, member(p, "behavior").is_null() ? SplitBehavior::kIsolated : behavior(text(p, "behavior", part), part));
    } else if (type == "Whitespace") {
      split_at(fmt::format("[{0}]+|[^{0}\\s]+", kRustWord).c_str(), SplitBehavior::kRemoved, /*invert=*/true);
    } else if (type == "WhitespaceSplit") {
      split_at(R"(\s)", SplitBehavior::kRemoved);
    } else if (type == "Metaspace") {
      metaspace(p, part);
    } else {
      unsupported(part, fmt::format("pre-tokenizer {}", type));
    }
  }

  void metaspace(const json& p, const std::string& part) {
    if (const json& mark = member(p, "replacement"); mark.is_string() && mark != "▁") unsupported(part, "a Metaspace mark other than ▁");
    const json& scheme = member(p, "prepend_scheme");
    const std::string when = scheme.is_string() ? scheme.get<std::string>() : flag(p, "add_prefix_space", true, part) ? "always" : "never";
    PreStep step{PreStep::Kind::kMetaspace, {}, {}, false, PreStep::Prefix::kNever};
    if (when == "always") step.prefix = PreStep::Prefix::kAlways;
    else if (when == "first") step.prefix = PreStep::Prefix::kFirst;
    else if (when != "never") bad(part, fmt::format("unknown prepend_scheme \"{}\"", when));
    data_->pre_steps.push_back(step);
    if (flag(p, "split", true, part))
      data_->pre_steps.push_back({PreStep::Kind::kSplit, std::make_shared<Pattern>(Pattern::literal("▁", where_)), SplitBehavior::kMergedWithNext, false,
                                  PreStep::Prefix::kNever});
  }

  NameIndex model(const json& m) {
    const std::string part = "model";
    if (!m.is_object()) bad(part, "is missing");
    const json& type = member(m, "type");
    if (!type.is_null() && type != "BPE") unsupported(part, fmt::format("model {}", type.dump()));
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const json& value = member(m, key); value.is_string() && !value.get_ref<const std::string&>().empty()) unsupported(part, key);
    Bpe& bpe = data_->bpe;
    bpe.byte_fallback = flag(m, "byte_fallback", false, part);
    bpe.fuse_unknown = flag(m, "fuse_unk", false, part);
    bpe.ignore_merges = flag(m, "ignore_merges", false, part);
    const json& vocab = member(m, "vocab");
    if (!vocab.is_object() || vocab.empty()) bad(part, "\"vocab\" must map tokens to ids");
    int64_t highest = -1;
    for (const auto& [token, value] : vocab.items()) highest = std::max<int64_t>(highest, id(value, part));
    if (highest >= 2 * static_cast<int64_t>(vocab.size()) + 4096) bad(part, fmt::format("ids reach {} in a vocabulary of {}", highest, vocab.size()));
    data_->tokens.resize(static_cast<size_t>(highest) + 1);
    data_->names.resize(data_->tokens.size());
    std::vector<bool> taken(data_->tokens.size());
    bpe.vocabulary.reserve(vocab.size());
    NameIndex ids;
    ids.reserve(vocab.size());
    for (const auto& [token, value] : vocab.items()) {
      const auto at = value.get<size_t>();
      if (taken[at]) bad(part, fmt::format("tokens \"{}\" and \"{}\" share the id {}", data_->names[at], token, at));
      taken[at] = true;
      if (bpe.byte_level) data_->add_byte_level_token(token, static_cast<int32_t>(at));
      else data_->add_character_token(token, static_cast<int32_t>(at), bpe.byte_fallback ? byte_of_name(token) : -1);
      ids.emplace(data_->names[at], static_cast<int32_t>(at));
    }
    merges(list(m, "merges", part), ids);
    if (const json& unknown = member(m, "unk_token"); unknown.is_string()) {
      const auto it = ids.find(unknown.get_ref<const std::string&>());
      if (it != ids.end()) bpe.unknown = it->second;
    }
    return ids;  // its keys are data_->names, which keep their place until finish()
  }

  // Merges name tokens as the file spells them.
  void merges(const json& all, const NameIndex& ids) {
    Bpe& bpe = data_->bpe;
    bpe.merges.reserve(all.size());
    std::string whole;
    for (size_t rank = 0; rank < all.size(); ++rank) {
      const json& merge = all[rank];
      std::string_view left, right;
      if (merge.is_string()) {
        const std::string_view line = merge.get_ref<const std::string&>();
        const size_t space = line.find(' ', 1);
        if (space == std::string_view::npos || space + 1 >= line.size()) bad("model", fmt::format("merge {} (\"{}\") is not two tokens", rank, line));
        left = line.substr(0, space);
        right = line.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get_ref<const std::string&>();
        right = merge[1].get_ref<const std::string&>();
      } else {
        bad("model", fmt::format("merge {} is neither \"left right\" nor a pair", rank));
      }
      whole = left;
      whole += right;
      const auto a = ids.find(left), b = ids.find(right), joined = ids.find(whole);
      if (a == ids.end() || b == ids.end() || joined == ids.end())
        bad("model", fmt::format("merge {} (\"{}\" \"{}\") names a token that is not in the vocabulary", rank, left, right));
      bpe.merges.set(a->second, b->second, {static_cast<int32_t>(rank), joined->second});
    }
  }

  void added_tokens(const json& all, const NameIndex& ids) {
    if (all.is_null()) return;
    const std::string part = "added_tokens";
    if (!all.is_array()) bad(part, "must be a list");
    for (const json& entry : all) {
      if (!entry.is_object()) bad(part, "holds something that is not an object");
      AddedToken token;
      token.content = text(entry, "content", part);
      token.id = id(member(entry, "id"), part);
      // A token that the model has already keeps its id there.
      if (const auto it = ids.find(token.content); it != ids.end()) token.id = it->second;
      if (static_cast<size_t>(token.id) >= data_->tokens.size() + all.size() + 4096)
        bad(part, fmt::format("id {} of \"{}\" is far beyond the vocabulary", token.id, token.content));
      token.special = flag(entry, "special", false, part);
      token.lstrip = flag(entry, "lstrip", false, part);
      token.rstrip = flag(entry, "rstrip", false, part);
      token.single_word = flag(entry, "single_word", false, part);
      token.normalized = flag(entry, "normalized", !token.special, part);
      data_->added.push_back(std::move(token));
    }
  }

  void decoder(const json& d, int depth = 0) {
    if (!d.is_object() || depth > 8) return;
    const json& type = member(d, "type");
    if (type == "Sequence" && member(d, "decoders").is_array())
      for (const json& child : d["decoders"]) decoder(child, depth + 1);
    if (type == "Strip" && member(d, "content") == " " && member(d, "start") == 1) data_->decoded_beginning = TokenizerData::Beginning::kOneSpace;
    if (type == "Metaspace" && member(d, "prepend_scheme") != "never" && member(d, "add_prefix_space") != false)
      data_->decoded_beginning = TokenizerData::Beginning::kAllSpaces;
  }

  void post_processor(const json& p, const std::string& part, int depth = 0) {
    if (p.is_null()) return;
    if (depth > 8) bad(part, "sequences nest too deep");
    const std::string type = text(p, "type", part);
    if (type == "ByteLevel") return;
    if (type == "Sequence") {
      for (const json& child : list(p, "processors", part)) post_processor(child, part, depth + 1);
      return;
    }
    if (type != "TemplateProcessing") unsupported(part, fmt::format("post-processor {}", type));
    bool after = false;
    for (const json& item : list(p, "single", part)) {
      if (item.is_object() && item.contains("Sequence")) {
        after = true;
        continue;
      }
      if (!item.is_object() || !item.contains("SpecialToken")) bad(part, "\"single\" holds an unknown item");
      const std::string name = text(item["SpecialToken"], "id", part);
      const json& known = member(member(p, "special_tokens"), name.c_str());
      if (!known.is_object()) bad(part, fmt::format("\"{}\" is not among its special_tokens", name));
      for (const json& value : list(known, "ids", part)) (after ? data_->suffix_tokens : data_->prefix_tokens).push_back(id(value, part));
    }
  }

  const json& root_;
  std::string where_;
  std::shared_ptr<TokenizerData> data_;
};

// "bos_token": a string, or an object with "content".
std::string token_named(const json& config, const char* key) {
  const auto it = config.find(key);
  if (it == config.end()) return {};
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string()) return (*it)["content"].get<std::string>();
  return {};
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view text, const std::string& where) {
  const json root = parse_json(text, where);
  return Tokenizer(JsonReader(root, where).read());
}

Tokenizer Tokenizer::from_file(const std::filesystem::path& tokenizer_json) {
  const json root = read_json(tokenizer_json, size_t{512} << 20);
  const std::shared_ptr<TokenizerData> data = JsonReader(root, tokenizer_json.string()).read();
  const Tokenizer tokenizer(data);
  const std::filesystem::path config_path = tokenizer_json.parent_path() / "tokenizer_config.json";
  if (!std::filesystem::exists(config_path)) return tokenizer;
  const json config = read_json(config_path, size_t{64} << 20);
  if (!config.is_object())
    throw Error(ErrorCode::kInvalidInput, config_path.string(), "is not a JSON object", "fetch the file again");
  const auto find = [&](const char* key) {
    const std::string token = token_named(config, key);
    return token.empty() ? -1 : tokenizer.token_id(token).value_or(-1);
  };
  data->bos = find("bos_token");
  data->eos = find("eos_token");
  data->pad = find("pad_token");
  // transformers' llama tokenizers rebuild their post-processor from these two settings.
  const json& kind = config.contains("tokenizer_class") ? config["tokenizer_class"] : json();
  const bool adds_bos = config.contains("add_bos_token") && config["add_bos_token"] == true;
  if (kind.is_string() && kind.get_ref<const std::string&>().starts_with("LlamaTokenizer") && data->prefix_tokens.empty() && adds_bos && data->bos >= 0)
    data->prefix_tokens.push_back(data->bos);
  return tokenizer;
}

}  // namespace hone::text
