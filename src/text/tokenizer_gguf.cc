// Tokenizers from GGUF metadata.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "text/tokenizer_data.h"

namespace hone::text {
namespace {

class GgufReader {
 public:
  GgufReader(const GgufVocab& vocab, const std::string& where) : v_(vocab), where_(where), data_(std::make_shared<TokenizerData>()) {}

  std::shared_ptr<const TokenizerData> read() {
    if (v_.tokens.empty()) fail("it holds no tokens");
    if (!v_.types.empty() && v_.types.size() != v_.tokens.size())
      fail(fmt::format("{} tokens but {} token types", v_.tokens.size(), v_.types.size()));
    data_->where = where_;
    if (v_.model == "gpt2") byte_level();
    else if (v_.model == "llama") sentencepiece();
    else
      throw Error(ErrorCode::kUnsupported, where_, fmt::format("tokenizer model \"{}\" is not supported", v_.model),
                  "hone reads gpt2 (byte-level BPE) and llama (SentencePiece-style BPE)");
    for (size_t i = 0; i < v_.types.size(); ++i)
      if (const int64_t type = v_.types[i]; type == kUnknown || type == kControl || type == kUserDefined)
        data_->added.push_back({v_.tokens[i], static_cast<int32_t>(i), type != kUserDefined, false, false, false, false});
    data_->bos = id("bos", v_.bos);
    data_->eos = id("eos", v_.eos);
    data_->pad = id("pad", v_.pad);
    if (adds_bos(v_) && data_->bos >= 0) data_->prefix_tokens.push_back(data_->bos);
    if (v_.add_eos.value_or(false) && data_->eos >= 0) data_->suffix_tokens.push_back(data_->eos);
    data_->finish();
    return data_;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::kInvalidInput, where_, "tokenizer: " + message, "the file is damaged; download it again");
  }

  int32_t id(const char* what, int64_t value) const {
    if (value < 0) return -1;
    if (value >= static_cast<int64_t>(v_.tokens.size()))
      fail(fmt::format("{} token {} is outside the vocabulary of {}", what, value, v_.tokens.size()));
    return static_cast<int32_t>(value);
  }

  void byte_level() {
    Bpe& bpe = data_->bpe;
    GgufPre pre = gguf_pretokenizer(v_.pre, where_);
    bpe.ignore_merges = pre.ignore_merges;
    data_->pre_steps = std::move(pre.steps);
    if (pre.nfc) data_->normalizers.push_back({});
    data_->tokens.resize(v_.tokens.size());
    data_->names.resize(v_.tokens.size());
    bpe.vocabulary.reserve(v_.tokens.size());
    std::unordered_map<std::string_view, int32_t> ids;
    ids.reserve(v_.tokens.size());
    for (size_t i = 0; i < v_.tokens.size(); ++i) {
      data_->add_byte_level_token(v_.tokens[i], static_cast<int32_t>(i));
      ids.emplace(v_.tokens[i], static_cast<int32_t>(i));
    }
    bpe.merges.reserve(v_.merges.size());
    for (size_t rank = 0; rank < v_.merges.size(); ++rank) {
      const std::string_view line = v_.merges[rank];
      const size_t space = line.find(' ', 1);
      if (space == std::string_view::npos || space + 1 >= line.size()) fail(fmt::format("merge {} (\"{}\") is not two tokens", rank, line));
      const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
      const auto a = ids.find(left), b = ids.find(right), whole = ids.find(std::string(left) + std::string(right));
      if (a == ids.end() || b == ids.end() || whole == ids.end())
        fail(fmt::format("merge {} (\"{}\") names a token that is not in the vocabulary", rank, line));
      bpe.merges.set(a->second, b->second, {static_cast<int32_t>(rank), whole->second});
    }
  }

  // Merges are not stored: any two neighbours whose concatenation is a token may merge, the highest score first. Ranks are
  // therefore given to all splits of each token, by falling score.
  void sentencepiece() {
    if (v_.scores.size() != v_.tokens.size()) fail(fmt::format("{} tokens but {} scores", v_.tokens.size(), v_.scores.size()));
    if (std::any_of(v_.scores.begin(), v_.scores.end(), [](double score) { return std::isnan(score); })) fail("a score is not a number");
    Bpe& bpe = data_->bpe;
    bpe.byte_level = false;
    bpe.byte_fallback = true;
    bpe.fuse_unknown = true;
    bpe.unknown = id("unknown", v_.unk);
    if (v_.add_space_prefix.value_or(true)) {
      data_->normalizers.push_back({NormalizeStep::Kind::kPrepend, {}, {}, "▁", false, false});
      data_->decoded_beginning = TokenizerData::Beginning::kOneSpace;
    }
    data_->normalizers.push_back({NormalizeStep::Kind::kReplace, {}, std::make_shared<Pattern>(Pattern::literal(" ", where_)), "▁", false, false});
    data_->tokens.resize(v_.tokens.size());
    data_->names.resize(v_.tokens.size());
    for (size_t i = 0; i < v_.tokens.size(); ++i) {
      const std::string& token = v_.tokens[i];
      const int64_t type = v_.types.empty() ? 1 : v_.types[i];
      const int byte = type == kByte ? byte_of_name(token) : -1;
      if (type == kByte && byte < 0) fail(fmt::format("byte token \"{}\" is not <0xNN>", token));
      if (type != kControl) {
        data_->add_character_token(token, static_cast<int32_t>(i), byte);
      } else {
        data_->names[i] = data_->tokens[i] = token;
      }
    }
    std::vector<int32_t> order;
    for (const auto& [token, index] : bpe.vocabulary)
      if (const int64_t type = v_.types.empty() ? 1 : v_.types[static_cast<size_t>(index)]; type == kNormal) order.push_back(index);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      const double x = v_.scores[static_cast<size_t>(a)], y = v_.scores[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
    // Equal scores have equal rank: the leftmost of their merges comes first.
    int32_t place = 0;
    for (size_t rank = 0; rank < order.size(); ++rank) {
      if (rank > 0 && v_.scores[static_cast<size_t>(order[rank])] != v_.scores[static_cast<size_t>(order[rank - 1])]) ++place;
      const std::string_view token = v_.tokens[static_cast<size_t>(order[rank])];
      for (size_t cut = 1; cut < token.size() && token.size() <= 256; ++cut) {
        const auto a = bpe.vocabulary.find(token.substr(0, cut)), b = bpe.vocabulary.find(token.substr(cut));
        if (a != bpe.vocabulary.end() && b != bpe.vocabulary.end())
          bpe.merges.set(a->second, b->second, {place, order[rank]});
      }
    }
  }

  const GgufVocab& v_;
  const std::string& where_;
  std::shared_ptr<TokenizerData> data_;
};

}  // namespace

bool adds_bos(const GgufVocab& v) { return v.add_bos.value_or(v.model == "llama" || v.pre == "llama-bpe" || v.pre == "llama3"); }

Tokenizer Tokenizer::from_gguf(const GgufVocab& vocab, const std::string& where) { return Tokenizer(GgufReader(vocab, where).read()); }

}  // namespace hone::text
