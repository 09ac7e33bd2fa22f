#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/tokenizer_data.h"
#include "text/unicode.h"

namespace hone::text {
namespace {

// One call of encode: walks the text between added tokens.
class Encoder {
 public:
  Encoder(const TokenizerData& data, const EncodeOptions& options, std::vector<TokenSpan>& out)
      : d_(data), parse_special_(options.parse_special), plain_(options.plain), out_(out) {}

  void run(MappedText text) {
    cut(std::move(text), d_.added_raw, [&](MappedText part) {
      part = normalize(std::move(part), d_.normalizers);
      cut(std::move(part), d_.added_normalized, [&](MappedText rest) { pieces(std::move(rest)); });
    });
  }

 private:
  template <class Rest>
  void cut(MappedText text, const AddedTokenIndex& index, Rest rest) {
    size_t begin = 0, from = 0;
    const std::string& t = text.text;
    while (!index.empty() && from < t.size()) {
      const AddedTokenIndex::Match match = index.find(d_.added, t, from, parse_special_);
      if (match.token < 0) break;
      from = match.end;
      if (d_.added[static_cast<size_t>(match.token)].special && is_plain(text.source_begin(match.begin), text.source_end(match.end - 1))) continue;
      if (match.begin > begin) rest(text.slice(begin, match.begin));
      out_.push_back({d_.added[static_cast<size_t>(match.token)].id, text.source_begin(match.begin), text.source_end(match.end - 1)});
      begin = match.end;
    }
    if (begin == 0) rest(std::move(text));
    else if (begin < t.size()) rest(text.slice(begin, t.size()));
  }

  // Whether a byte of [begin, end) lies in a range that is plain text.
  bool is_plain(int32_t begin, int32_t end) const {
    const auto after = std::partition_point(plain_.begin(), plain_.end(), [&](const auto& range) { return range.second <= static_cast<size_t>(begin); });
    return after != plain_.end() && after->first < static_cast<size_t>(end);
  }

  void pieces(MappedText text) {
    for (const Piece& piece : pre_tokenize(text, d_.pre_steps)) {
      const size_t first = out_.size();
      d_.bpe.encode(std::string_view(text.text).substr(piece.begin, piece.end - piece.begin), static_cast<int32_t>(piece.begin), out_);
      for (size_t i = first; i < out_.size(); ++i) {
        TokenSpan& t = out_[i];
        t = {t.id, text.source_begin(static_cast<size_t>(t.begin)), text.source_end(static_cast<size_t>(t.end) - 1)};
      }
    }
  }

  const TokenizerData& d_;
  bool parse_special_;
  std::span<const std::pair<size_t, size_t>> plain_;
  std::vector<TokenSpan>& out_;
};

}  // namespace

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view text, EncodeOptions options) const {
  if (text.size() > (size_t{1} << 30))
    throw Error(ErrorCode::kInvalidInput, "text", fmt::format("{} bytes in one piece; at most 1 GiB is tokenised at once", text.size()));
  std::vector<TokenSpan> out;
  out.reserve(text.size() / 4 + 4);
  if (options.add_special)
    for (int32_t id : data_->prefix_tokens) out.push_back({id, 0, 0});
  // Spans refer to the repaired text when the input is not UTF-8; they can then lie beyond the input and are clamped.
  if (!text.empty()) Encoder(*data_, options, out).run({utf8_replace_bad(text), 0, {}, {}});
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
  const auto it = std::find(data_->names.begin(), data_->names.end(), token);
  return it == data_->names.end() ? std::nullopt : std::optional(static_cast<int32_t>(it - data_->names.begin()));
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
    const auto beginning = tokenizer_.is_special(id) ? TokenizerData::Beginning::kKept : tokenizer_.data_->decoded_beginning;
    if (beginning == TokenizerData::Beginning::kOneSpace && bytes[0] == ' ') bytes.erase(0, 1);
    if (beginning == TokenizerData::Beginning::kAllSpaces) std::erase(bytes, ' ');
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
