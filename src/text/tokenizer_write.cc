// Tokenizers written back: tokenizer.json's as GGUF metadata, GGUF's as tokenizer.json.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "text/tokenizer_data.h"

namespace hone::text {
namespace {

using PlainJson = nlohmann::json;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // SentencePiece's space

[[noreturn]] void cannot(const TokenizerData& d, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, d.where, fmt::format("GGUF cannot hold {}", what),
              "export --format safetensors, and convert the result with llama.cpp's converter");
}

struct RankedMerge {
  int32_t rank, left, right, id;
};

// Merges by rank.
std::vector<RankedMerge> ordered_merges(const Bpe& bpe) {
  std::vector<RankedMerge> list;
  list.reserve(bpe.merges.size());
  bpe.merges.each([&](int32_t left, int32_t right, MergeTable::Merge merge) { list.push_back({merge.rank, left, right, merge.id}); });
  std::sort(list.begin(), list.end(), [](const RankedMerge& a, const RankedMerge& b) { return std::tie(a.rank, a.left, a.right) < std::tie(b.rank, b.left, b.right); });
  return list;
}

bool is_mark_replacement(const NormalizeStep& step) {
  return step.kind == NormalizeStep::Kind::kReplace && step.text == kSpaceMark && (step.pattern->source() == " " || step.pattern->source() == "\\ ");
}

void sentencepiece(const TokenizerData& d, GgufVocab& v) {
  v.model = "llama";
  v.pre = "default";
  bool prefix = false, marked = false, other = false;
  for (const PreStep& step : d.pre_steps) {
    if (step.kind == PreStep::Kind::kMetaspace) {
      marked = true;
      prefix |= step.prefix != PreStep::Prefix::kNever;
    } else {  // pieces that begin at marks change nothing: no token holds a mark but at its beginning
      const bool at_marks = step.kind == PreStep::Kind::kSplit && ((step.pattern->source() == kSpaceMark && step.behavior == SplitBehavior::kMergedWithNext) ||
                                                                   step.pattern->source() == kCutBeforeMarks);
      other |= !at_marks;
    }
  }
  for (const NormalizeStep& step : d.normalizers) {
    if (step.kind == NormalizeStep::Kind::kPrepend && (step.text == kSpaceMark || step.text == " ")) prefix = true;
    else if (is_mark_replacement(step)) marked = true;
    else if (step.kind != NormalizeStep::Kind::kForm) cannot(d, "this tokenizer's normalisation");
  }
  if (!marked || other) cannot(d, "this tokenizer: it is neither byte-level nor of SentencePiece's kind");
  v.add_space_prefix = prefix;
  // SentencePiece's scores order the merges; tokens that no merge makes are never merged into.
  v.scores.assign(v.tokens.size(), -1e6);
  const auto merges = ordered_merges(d.bpe);
  for (auto it = merges.rbegin(); it != merges.rend(); ++it) v.scores[static_cast<size_t>(it->id)] = -it->rank;
  for (size_t b = 0; b < 256; ++b)
    if (const int32_t id = d.bpe.byte_token[b]; id >= 0 && d.bpe.byte_fallback) v.types[static_cast<size_t>(id)] = kByte;
  if (d.bpe.unknown >= 0) v.types[static_cast<size_t>(d.bpe.unknown)] = kUnknown;
}

void byte_level(const TokenizerData& d, GgufVocab& v) {
  v.model = "gpt2";
  for (const PreStep& step : d.pre_steps)
    if (step.kind != PreStep::Kind::kSplit) cannot(d, "a byte-level tokenizer that puts a space before each text");
  // Unicode normalisation is left out, as llama.cpp's own converter does: GGUF has no key for it (reading, hone takes it from the name).
  for (const NormalizeStep& step : d.normalizers)
    if (step.kind != NormalizeStep::Kind::kForm) cannot(d, "this tokenizer's normalisation");
  v.pre = gguf_pretokenizer_name(d.pre_steps, d.bpe.ignore_merges, d.where);
  for (const RankedMerge& merge : ordered_merges(d.bpe))
    v.merges.push_back(d.names[static_cast<size_t>(merge.left)] + " " + d.names[static_cast<size_t>(merge.right)]);
}

PlainJson byte_level_step() { return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}}; }

// "▁a ▁b"-like merges of SentencePiece: every split of a token into two tokens, the best scores first.
PlainJson merges_by_score(const GgufVocab& v, const PlainJson& vocabulary) {
  std::vector<size_t> order;
  for (size_t i = 0; i < v.tokens.size(); ++i)
    if (v.types.empty() || (v.types[i] != kControl && v.types[i] != kByte)) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v.scores[a] > v.scores[b]; });
  PlainJson merges = PlainJson::array();
  for (const size_t i : order) {
    const std::string& token = v.tokens[i];
    for (size_t cut = 1; cut < token.size() && token.size() <= 256; ++cut)
      if (vocabulary.contains(token.substr(0, cut)) && vocabulary.contains(token.substr(cut))) merges.push_back(PlainJson::array({token.substr(0, cut), token.substr(cut)}));
  }
  return merges;
}

// Begin and end tokens around a text, after `before`.
PlainJson post_processor(const GgufVocab& v, bool add_bos, bool add_eos, const PlainJson& before) {
  if (!add_bos && !add_eos) return before;
  PlainJson special = PlainJson::object();
  const auto token = [&](int64_t id) {
    const std::string& name = v.tokens[static_cast<size_t>(id)];
    special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    return name;
  };
  const auto around = [&](std::initializer_list<const char*> sequences) {
    PlainJson list = PlainJson::array();
    int type = 0;
    for (const char* sequence : sequences) {
      if (add_bos) list.push_back({{"SpecialToken", {{"id", token(v.bos)}, {"type_id", type}}}});
      list.push_back({{"Sequence", {{"id", sequence}, {"type_id", type}}}});
      if (add_eos) list.push_back({{"SpecialToken", {{"id", token(v.eos)}, {"type_id", type}}}});
      ++type;
    }
    return list;
  };
  const PlainJson single = around({"A"}), pair = around({"A", "B"});
  const PlainJson around_text = {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
  if (before.is_null()) return around_text;
  return {{"type", "Sequence"}, {"processors", {before, around_text}}};
}

// llama.cpp finds added tokens in the text as it is, the longest first, and takes no white space around them. HF's looks for those with
// "normalized" in normalised text, after the others.
void check_added_tokens(const TokenizerData& d) {
  for (const AddedToken& token : d.added) {
    const std::string& name = d.names[static_cast<size_t>(token.id)];
    if (token.lstrip || token.rstrip || token.single_word)
      cannot(d, fmt::format("the {} of the token \"{}\"", token.lstrip ? "lstrip" : token.rstrip ? "rstrip" : "single_word", name));
    if (!token.normalized) continue;
    if (token.content != name) cannot(d, fmt::format("the token \"{}\", which is looked for as \"{}\" in normalised text", name, token.content));
    for (const AddedToken& other : d.added) {
      if (other.normalized || other.content.empty()) continue;
      bool overlap = token.content.find(other.content) != std::string::npos || other.content.find(token.content) != std::string::npos;
      for (size_t n = 1; n < std::min(token.content.size(), other.content.size()); ++n)
        overlap |= token.content.ends_with(std::string_view(other.content).substr(0, n)) || other.content.ends_with(std::string_view(token.content).substr(0, n));
      if (overlap) cannot(d, fmt::format("tokens that overlap, one of them \"normalized\": \"{}\" and \"{}\"", name, other.content));
    }
  }
}

}  // namespace

GgufVocab Tokenizer::to_gguf(int64_t size) const {
  const TokenizerData& d = *data_;
  if (size < vocab_size())
    throw Error(ErrorCode::kInvalidInput, d.where, fmt::format("the tokenizer has {} tokens, the model's embedding {}", vocab_size(), size),
                "tokenizer.json and config.json do not belong together");
  check_added_tokens(d);
  GgufVocab v;
  v.tokens = d.names;
  v.types.assign(d.names.size(), kNormal);
  for (size_t i = 0; i < v.tokens.size(); ++i)
    if (v.tokens[i].empty()) v.types[i] = kUnused;
  if (d.bpe.byte_level) byte_level(d, v);
  else sentencepiece(d, v);
  for (const AddedToken& token : d.added) {
    if (const auto at = static_cast<size_t>(token.id); v.types[at] != kUnknown) v.types[at] = token.special ? kControl : kUserDefined;
  }
  v.tokens.resize(static_cast<size_t>(size));
  v.types.resize(static_cast<size_t>(size), kUnused);
  if (!v.scores.empty()) v.scores.resize(static_cast<size_t>(size), -1e6);
  for (size_t i = 0; i < v.tokens.size(); ++i)
    if (v.tokens[i].empty()) v.tokens[i] = fmt::format("[PAD{}]", i);
  v.bos = d.bos;
  v.eos = d.eos;
  v.pad = d.pad;
  v.unk = d.bpe.unknown;
  if (!d.prefix_tokens.empty() && v.bos < 0 && d.prefix_tokens.size() == 1) v.bos = d.prefix_tokens[0];
  if (!d.suffix_tokens.empty() && v.eos < 0 && d.suffix_tokens.size() == 1) v.eos = d.suffix_tokens[0];
  const auto only = [](const std::vector<int32_t>& tokens, int64_t id) { return tokens.empty() || (tokens.size() == 1 && tokens[0] == id); };
  if (!only(d.prefix_tokens, v.bos) || !only(d.suffix_tokens, v.eos)) cannot(d, "tokens around a text other than begin and end");
  v.add_bos = !d.prefix_tokens.empty();
  v.add_eos = !d.suffix_tokens.empty();
  return v;
}

std::string tokenizer_json(const GgufVocab& v, const std::string& where) {
  const bool pieces = v.model == "llama";
  if (!pieces && v.model != "gpt2") throw Error(ErrorCode::kUnsupported, where, fmt::format("tokenizer model \"{}\" is not supported", v.model));
  PlainJson added = PlainJson::array(), vocabulary = PlainJson::object();
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const int64_t type = v.types.empty() ? kNormal : v.types[i];
    if (type == kControl || type == kUserDefined || type == kUnknown)
      added.push_back({{"id", i}, {"content", v.tokens[i]}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", type != kUserDefined}});
    if (!vocabulary.emplace(v.tokens[i], i).second)
      throw Error(ErrorCode::kUnsupported, where, fmt::format("two tokens are written \"{}\", which tokenizer.json cannot hold", v.tokens[i]), "use --format gguf");
  }
  const bool add_bos = v.bos >= 0 && adds_bos(v), add_eos = v.eos >= 0 && v.add_eos.value_or(false), prefix = v.add_space_prefix.value_or(true);
  PlainJson normalizer, pre_tokenizer, decoder, merges, unknown;
  bool ignore_merges = false;
  if (pieces) {
    PlainJson marks = PlainJson::array();
    if (prefix) marks.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
    marks.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}});
    normalizer = {{"type", "Sequence"}, {"normalizers", marks}};
    PlainJson steps = {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}}, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    decoder = {{"type", "Sequence"}, {"decoders", steps}};
    merges = merges_by_score(v, vocabulary);
    if (v.unk >= 0) unknown = v.tokens[static_cast<size_t>(v.unk)];
  } else {
    PlainJson steps = PlainJson::array();
    const GgufPre pre = gguf_pretokenizer(v.pre, where);
    if (pre.nfc) normalizer = {{"type", "NFC"}};
    ignore_merges = pre.ignore_merges;
    for (const PreStep& step : pre.steps)
      steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", step.pattern->source()}}}, {"behavior", "Isolated"}, {"invert", false}});
    steps.push_back(byte_level_step());
    pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", steps}};
    decoder = byte_level_step();
    merges = v.merges;
  }
  const PlainJson file = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", normalizer},
                     {"pre_tokenizer", pre_tokenizer}, {"post_processor", post_processor(v, add_bos, add_eos, pieces ? PlainJson() : byte_level_step())}, {"decoder", decoder},
                     {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", unknown}, {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr},
                                {"fuse_unk", pieces}, {"byte_fallback", pieces}, {"ignore_merges", ignore_merges}, {"vocab", vocabulary}, {"merges", merges}}}};
  try {
    return file.dump() + "\n";
  } catch (const PlainJson::type_error& error) {
    throw Error(ErrorCode::kUnsupported, where, fmt::format("a token is not UTF-8, which JSON cannot hold: {}", error.what()), "use --format gguf");
  }
}

}  // namespace hone::text
