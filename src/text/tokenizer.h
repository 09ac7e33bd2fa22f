// Text to tokens and back, as the model's own files define it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::text {

/// A token and the byte range of the text it stands for (empty for tokens that are added, such as a begin token).
struct TokenSpan {
  int32_t id = 0;
  int32_t begin = 0, end = 0;
};

struct EncodeOptions {
  bool add_special = true;    // begin and end tokens that the file's post-processor adds
  bool parse_special = true;  // the text of a special token becomes that token; otherwise it stays plain text
  std::span<const std::pair<size_t, size_t>> plain = {};  // sorted byte ranges where it stays plain text all the same
};

/// A vocabulary as GGUF keeps it (tokenizer.ggml.*), copied out by whoever reads the file.
struct GgufVocab {
  std::string model;  // "gpt2" (byte-level BPE) or "llama" (SentencePiece-style BPE)
  std::string pre;    // tokenizer.ggml.pre: which pre-tokenizer patterns
  std::vector<std::string> tokens;
  std::vector<double> scores;      // of "llama"
  std::vector<int64_t> types;      // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges;  // of "gpt2": "left right"
  int64_t bos = -1, eos = -1, unk = -1, pad = -1;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
};

/// Whether a text begins with the begin token where the file does not say: SentencePiece models and Llama 3 did so.
bool adds_bos(const GgufVocab& vocab);
/// The vocabulary as tokenizer.json keeps it; encodes every text to the same tokens.
std::string tokenizer_json(const GgufVocab& vocab, const std::string& where);

struct TokenizerData;

/// Immutable and cheap to copy; every function may be called from several threads at once. Text that is not UTF-8 is read as
/// Python's errors="replace" reads it: each maximal bad part becomes U+FFFD.
class Tokenizer {
 public:
  /// tokenizer.json, with tokenizer_config.json beside it when there is one. Throws Error naming file, component and remedy.
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json);
  static Tokenizer from_json(std::string_view json, const std::string& where);
  static Tokenizer from_gguf(const GgufVocab& vocab, const std::string& where);

  /// This tokenizer as GGUF keeps it, filled up to `size` tokens with unused ones. Throws Error{kUnsupported} for what the
  /// format cannot say: unknown pre-tokenizers, special tokens other than begin and end around a text.
  GgufVocab to_gguf(int64_t size) const;

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  std::vector<TokenSpan> encode_spans(std::string_view text, EncodeOptions options = {}) const;
  /// Bytes that do not form UTF-8 come out as U+FFFD. Ids outside the vocabulary are skipped.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// The raw bytes a token stands for within a text (not at its start, where some tokenizers drop a space).
  std::string token_bytes(int32_t id) const;
  /// By the token as the file spells it. Looks through the whole vocabulary: for loading, not for loops.
  std::optional<int32_t> token_id(std::string_view token) const;
  bool is_special(int32_t id) const;
  int32_t vocab_size() const;
  /// −1 where the files name none.
  int32_t bos() const;
  int32_t eos() const;
  int32_t pad() const;
  bool adds_bos() const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const TokenizerData> data) : data_(std::move(data)) {}
  std::shared_ptr<const TokenizerData> data_;
};

/// Decodes one token after another, giving out complete characters only.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::string push(int32_t id);
  /// What is left, incomplete characters replaced.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  std::string pending_;
  bool first_ = true;
};

}  // namespace hone::text
