// Tokenizers from GGUF metadata.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "text/tokenizer_data.h"

namespace hone::text {
namespace {

constexpr int64_t kControl = 3, kUserDefined = 4, kByte = 6;

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
      if (v_.types[i] == kControl || v_.types[i] == kUserDefined)
        data_->added.push_back({v_.tokens[i], static_cast<int32_t>(i), v_.types[i] == kControl, false, false, false, false});
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
    bpe.byte_token.fill(-1);
    bpe.ignore_merges = gguf_ignores_merges(v_.pre);
    data_->splits = gguf_pretokenizer(v_.pre, where_);
    data_->names = v_.tokens;
    for (size_t i = 0; i < v_.tokens.size(); ++i) {
      const std::string bytes = gpt2_bytes(v_.tokens[i]);
      data_->tokens.push_back(bytes);
      bpe.vocabulary.emplace(bytes, static_cast<int32_t>(i));
      if (bytes.size() == 1) bpe.byte_token[static_cast<uint8_t>(bytes[0])] = static_cast<int32_t>(i);
    }
    for (size_t rank = 0; rank < v_.merges.size(); ++rank) {
      const std::string& line = v_.merges[rank];
      const size_t space = line.find(' ', 1);
      if (space == std::string::npos || space + 1 >= line.size()) fail(fmt::format("merge {} (\"{}\") is not two tokens", rank, line));
      const std::string left = gpt2_bytes(line.substr(0, space)), right = gpt2_bytes(line.substr(space + 1));
      const auto a = bpe.vocabulary.find(left), b = bpe.vocabulary.find(right), whole = bpe.vocabulary.find(left + right);
      if (a == bpe.vocabulary.end() || b == bpe.vocabulary.end() || whole == bpe.vocabulary.end())
        fail(fmt::format("merge {} (\"{}\") names a token that is not in the vocabulary", rank, line));
      bpe.merges.emplace(Bpe::pair(a->second, b->second), Bpe::Merge{static_cast<int32_t>(rank), whole->second});
    }
  }

  // Merges are not stored: any two neighbours whose concatenation is a token may merge, the highest score first. Ranks are
  // therefore given to all splits of each token, by falling score.
  void sentencepiece() {
    if (v_.scores.size() != v_.tokens.size()) fail(fmt::format("{} tokens but {} scores", v_.tokens.size(), v_.scores.size()));
    Bpe& bpe = data_->bpe;
    bpe.byte_level = false;
    bpe.byte_fallback = true;
    bpe.fuse_unknown = true;
    bpe.byte_token.fill(-1);
    bpe.unknown = id("unknown", v_.unk);
    // A space goes before each text, also before one that begins with spaces, and before the rest after a special token.
    if (v_.add_space_prefix.value_or(true)) {
      NormalizeStep prefix;
      prefix.kind = NormalizeStep::Kind::kPrepend;
      prefix.text = "▁";
      data_->normalizers.push_back(prefix);
      data_->decode_strips_space = true;
    }
    NormalizeStep mark;
    mark.kind = NormalizeStep::Kind::kReplace;
    mark.pattern = std::make_shared<Pattern>(Pattern::literal(" ", where_));
    mark.text = "▁";
    data_->normalizers.push_back(mark);
    data_->names = v_.tokens;
    for (size_t i = 0; i < v_.tokens.size(); ++i) {
      const std::string& token = v_.tokens[i];
      const int64_t type = v_.types.empty() ? 1 : v_.types[i];
      data_->tokens.push_back(plain_text(token, type));
      if (type == kByte) bpe.byte_token[static_cast<uint8_t>(data_->tokens.back()[0])] = static_cast<int32_t>(i);
      else if (type != kControl) bpe.vocabulary.emplace(token, static_cast<int32_t>(i));
    }
    std::vector<int32_t> order;
    for (const auto& [token, index] : bpe.vocabulary) order.push_back(index);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      const double x = v_.scores[static_cast<size_t>(a)], y = v_.scores[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
    for (size_t rank = 0; rank < order.size(); ++rank) {
      const std::string_view token = v_.tokens[static_cast<size_t>(order[rank])];
      for (size_t cut = 1; cut < token.size() && token.size() <= 256; ++cut) {
        const auto a = bpe.vocabulary.find(token.substr(0, cut)), b = bpe.vocabulary.find(token.substr(cut));
        if (a != bpe.vocabulary.end() && b != bpe.vocabulary.end())
          bpe.merges.emplace(Bpe::pair(a->second, b->second), Bpe::Merge{static_cast<int32_t>(rank), order[rank]});
      }
    }
  }

  // "▁word" → " word"; "<0x0A>" → its byte
  std::string plain_text(const std::string& token, int64_t type) const {
    if (type == kByte) {
      unsigned byte = 0;
      if (std::sscanf(token.c_str(), "<0x%2X>", &byte) != 1) fail(fmt::format("byte token \"{}\" is not <0xNN>", token));
      return std::string(1, static_cast<char>(byte));
    }
    std::string text;
    for (size_t at = 0; at < token.size();) {
      if (token.compare(at, 3, "\xE2\x96\x81") == 0) {
        text += ' ';
        at += 3;
      } else {
        text += token[at++];
      }
    }
    return text;
  }

  const GgufVocab& v_;
  const std::string& where_;
  std::shared_ptr<TokenizerData> data_;
};

}  // namespace

bool adds_bos(const GgufVocab& v) { return v.add_bos.value_or(v.model == "llama" || v.pre == "llama-bpe" || v.pre == "llama3"); }

Tokenizer Tokenizer::from_gguf(const GgufVocab& vocab, const std::string& where) { return Tokenizer(GgufReader(vocab, where).read()); }

}  // namespace hone::text
