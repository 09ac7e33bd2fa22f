#include "text/tokenizer.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "text/tokenizer_data.h"

namespace hone::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

bool is_space(std::string_view text, size_t at) { return text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'); }

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

MappedText replaced(const MappedText& in, const Pattern& pattern, const std::string& with) {
  MappedText out;
  size_t at = 0;
  auto keep = [&](size_t end) {
    for (; at < end; ++at) {
      out.text += in.text[at];
      out.begin.push_back(in.begin[at]);
      out.end.push_back(in.end[at]);
    }
  };
  pattern.each_match(in.text, [&](size_t begin, size_t end) {
    keep(begin);
    for (char c : with) {
      out.text += c;
      out.begin.push_back(in.begin[begin]);
      out.end.push_back(in.end[end - 1]);
    }
    at = end;
  });
  keep(in.text.size());
  return out;
}

MappedText prepended(const MappedText& in, const std::string& text) {
  if (in.text.empty()) return in;
  MappedText out;
  out.text = text + in.text;
  out.begin.assign(text.size(), in.begin[0]);
  out.end.assign(text.size(), in.begin[0]);
  out.begin.insert(out.begin.end(), in.begin.begin(), in.begin.end());
  out.end.insert(out.end.end(), in.end.begin(), in.end.end());
  return out;
}

MappedText sliced(const MappedText& in, size_t begin, size_t end) {
  MappedText out;
  out.text = in.text.substr(begin, end - begin);
  out.begin.assign(in.begin.begin() + static_cast<std::ptrdiff_t>(begin), in.begin.begin() + static_cast<std::ptrdiff_t>(end));
  out.end.assign(in.end.begin() + static_cast<std::ptrdiff_t>(begin), in.end.begin() + static_cast<std::ptrdiff_t>(end));
  return out;
}

MappedText apply(const MappedText& in, const NormalizeStep& step) {
  switch (step.kind) {
    case NormalizeStep::Kind::kForm: return normalize(in, step.form);
    case NormalizeStep::Kind::kReplace: return replaced(in, *step.pattern, step.text);
    case NormalizeStep::Kind::kPrepend: return prepended(in, step.text);
    case NormalizeStep::Kind::kLowercase: {
      MappedText out = in;
      for (char& c : out.text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      return out;
    }
    case NormalizeStep::Kind::kStrip: {
      size_t begin = 0, end = in.text.size();
      while (step.left && begin < end && is_space(in.text, begin)) ++begin;
      while (step.right && end > begin && is_space(in.text, end - 1)) --end;
      return sliced(in, begin, end);
    }
  }
  return in;
}

// One call of encode: walks the text between added tokens.
class Encoder {
 public:
  Encoder(const TokenizerData& data, bool parse_special, std::vector<TokenSpan>& out)
      : d_(data), parse_special_(parse_special), out_(out) {}

  void run(const MappedText& text) {
    cut(text, d_.added_raw, [&](const MappedText& part) {
      // A mapped text takes nine bytes per byte: it is copied only where something changes.
      const auto encode = [&](const MappedText& normal) {
        cut(normal, d_.added_normalized, [&](const MappedText& rest) { pieces(rest); });
      };
      if (d_.normalizers.empty()) return encode(part);
      MappedText normal = apply(part, d_.normalizers.front());
      for (size_t i = 1; i < d_.normalizers.size(); ++i) normal = apply(normal, d_.normalizers[i]);
      encode(normal);
    });
  }

 private:
  template <class Rest>
  void cut(const MappedText& text, const AddedTokenIndex& index, Rest rest) {
    size_t begin = 0;
    const std::string& t = text.text;
    for (size_t at = 0; !index.empty() && at < t.size();) {
      const int found = index.starts(t[at]) ? index.match(d_.added, t, at, parse_special_) : -1;
      if (found < 0) {
        ++at;
        continue;
      }
      const AddedToken& token = d_.added[static_cast<size_t>(found)];
      size_t from = at, to = at + token.content.size();
      while (token.lstrip && from > begin && is_space(t, from - 1)) --from;
      while (token.rstrip && to < t.size() && is_space(t, to)) ++to;
      if (from > begin) rest(sliced(text, begin, from));
      out_.push_back({token.id, text.begin[from], text.end[to - 1]});
      first_ = false;
      begin = at = to;
    }
    if (begin == 0 && !t.empty()) rest(text);
    else if (begin < t.size()) rest(sliced(text, begin, t.size()));
  }

  void pieces(const MappedText& part) {
    const MappedText* whole = &part;
    MappedText changed;
    const bool wants_space = d_.prefix_space && (first_ || !d_.prefix_first_only);
    if (wants_space && !is_space(part.text, 0) && !part.text.starts_with(kMetaspace)) {
      changed = prepended(part, " ");
      whole = &changed;
    }
    if (d_.metaspace) {
      static const Pattern space = Pattern::literal(" ", "metaspace");
      changed = replaced(*whole, space, std::string(kMetaspace));
      whole = &changed;
    }
    const MappedText& text = *whole;
    first_ = false;
    std::vector<Piece> list = split(text.text, {{0, text.text.size()}}, d_.splits);
    if (d_.metaspace && d_.metaspace_split) {
      static const std::vector<SplitStep> at_space{{std::make_shared<Pattern>("▁", "metaspace"), SplitBehavior::kMergedWithNext, false}};
      list = split(text.text, std::move(list), at_space);
    }
    for (const Piece& piece : list) {
      tokens_.clear();
      d_.bpe.encode(std::string_view(text.text).substr(piece.begin, piece.end - piece.begin), static_cast<int32_t>(piece.begin), tokens_);
      for (const TokenSpan& t : tokens_)
        out_.push_back({t.id, text.begin[static_cast<size_t>(t.begin)], text.end[static_cast<size_t>(t.end) - 1]});
    }
  }

  const TokenizerData& d_;
  bool parse_special_, first_ = true;
  std::vector<TokenSpan>& out_;
  std::vector<TokenSpan> tokens_;
};

}  // namespace

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

std::string gpt2_bytes(std::string_view token) {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    const size_t n = utf8_length(rest);
    const int byte = n ? gpt2_byte(utf8_code_point(rest)) : -1;
    if (byte < 0) return std::string(token);
    bytes += static_cast<char>(byte);
    rest.remove_prefix(n);
  }
  return bytes;
}

void AddedTokenIndex::build(const std::vector<AddedToken>& tokens, bool normalized) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].normalized != normalized || tokens[i].content.empty()) continue;
    const auto c = static_cast<uint8_t>(tokens[i].content[0]);
    by_first_[c].push_back(static_cast<int>(i));
    first_[c] = true;
  }
  for (auto& [c, list] : by_first_)
    std::sort(list.begin(), list.end(), [&](int a, int b) {
      return tokens[static_cast<size_t>(a)].content.size() > tokens[static_cast<size_t>(b)].content.size();
    });
}

int AddedTokenIndex::match(const std::vector<AddedToken>& tokens, std::string_view text, size_t at, bool special) const {
  auto word = [](char c) { return std::isalnum(static_cast<uint8_t>(c)) || c == '_' || static_cast<uint8_t>(c) >= 0x80; };
  for (int i : by_first_.find(static_cast<uint8_t>(text[at]))->second) {
    const AddedToken& token = tokens[static_cast<size_t>(i)];
    if ((token.special && !special) || !text.substr(at).starts_with(token.content)) continue;
    const size_t end = at + token.content.size();
    if (token.single_word && ((at > 0 && word(text[at - 1])) || (end < text.size() && word(text[end])))) continue;
    return i;
  }
  return -1;
}

void TokenizerData::finish() {
  for (const AddedToken& token : added) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens.size()) {
      tokens.resize(id + 1);
      names.resize(id + 1);
    }
    tokens[id] = names[id] = token.content;
  }
  special.assign(tokens.size(), false);
  for (const AddedToken& token : added) special[static_cast<size_t>(token.id)] = token.special;
  added_raw.build(added, false);
  added_normalized.build(added, true);
}

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view text, EncodeOptions options) const {
  if (text.size() > (size_t{1} << 30))
    throw Error(ErrorCode::kInvalidInput, "text", fmt::format("{} bytes in one piece; at most 1 GiB is tokenised at once", text.size()));
  std::vector<TokenSpan> out;
  if (options.add_special)
    for (int32_t id : data_->prefix_tokens) out.push_back({id, 0, 0});
  // Spans refer to the repaired text when the input is not UTF-8; they can then lie beyond the input and are clamped.
  if (!text.empty()) Encoder(*data_, options.parse_special, out).run(MappedText::identity(utf8_replace_bad(text)));
  const auto size = static_cast<int32_t>(text.size());
  for (TokenSpan& t : out) {
    t.begin = std::min(t.begin, size);
    t.end = std::min(t.end, size);
  }
  if (options.add_special)
    for (int32_t id : data_->suffix_tokens) out.push_back({id, size, size});
  return out;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  for (const TokenSpan& t : encode_spans(text, options)) ids.push_back(t.id);
  return ids;
}

std::string Tokenizer::token_bytes(int32_t id) const {
  return id >= 0 && id < vocab_size() ? data_->tokens[static_cast<size_t>(id)] : std::string{};
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  StreamDecoder decoder(*this);
  std::string text;
  for (int32_t id : ids)
    if (!skip_special || !is_special(id)) text += decoder.push(id);
  return text + decoder.finish();
}

std::optional<int32_t> Tokenizer::token_id(std::string_view token) const {
  for (const AddedToken& added : data_->added)
    if (added.content == token) return added.id;
  const auto it = data_->bpe.vocabulary.find(token);
  return it == data_->bpe.vocabulary.end() ? std::nullopt : std::optional(it->second);
}

bool Tokenizer::is_special(int32_t id) const { return id >= 0 && id < vocab_size() && data_->special[static_cast<size_t>(id)]; }
int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(data_->tokens.size()); }
int32_t Tokenizer::bos() const { return data_->bos; }
int32_t Tokenizer::eos() const { return data_->eos; }
int32_t Tokenizer::pad() const { return data_->pad; }
bool Tokenizer::adds_bos() const { return !data_->prefix_tokens.empty() && data_->prefix_tokens[0] == data_->bos; }

std::string StreamDecoder::push(int32_t id) {
  std::string bytes = tokenizer_.token_bytes(id);
  if (first_ && !bytes.empty()) {
    if (tokenizer_.data_->decode_strips_space && bytes[0] == ' ' && !tokenizer_.is_special(id)) bytes.erase(0, 1);
    first_ = false;
  }
  pending_ += bytes;
  const size_t held = utf8_incomplete_tail(pending_);
  std::string ready = utf8_replace_bad(std::string_view(pending_).substr(0, pending_.size() - held));
  pending_.erase(0, pending_.size() - held);
  return ready;
}

std::string StreamDecoder::finish() { return utf8_replace_bad(std::exchange(pending_, {})); }

}  // namespace hone::text
