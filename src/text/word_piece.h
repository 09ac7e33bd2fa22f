// The tokenizer of BERT: words by white space and punctuation, then the longest pieces of a vocabulary (Devlin et al. 2019).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe.h"

namespace hone::text {

/// Immutable; every function may be called from several threads at once.
class WordPiece {
 public:
  /// How text is changed before it is cut; what transformers' BertTokenizerFast does by default.
  struct Rules {
    bool lower_case = true;
    bool strip_accents = true;      // combining marks are dropped after decomposition
    bool split_han = true;          // every Chinese character is a word
    bool clean = true;              // control characters are dropped
    int64_t longest_word = 100;     // characters; a longer word is unknown
    std::string continuation = "##";  // how a piece inside a word is marked
  };

  /// tokenizer.json (model WordPiece) of a folder, else vocab.txt with tokenizer_config.json. Throws Error naming file and remedy.
  static WordPiece from_folder(const std::filesystem::path& folder);
  static WordPiece from_json(std::string_view tokenizer_json, const std::string& where);
  /// `tokens` by id, as vocab.txt has them; [CLS], [SEP] and [UNK] must be among them.
  static WordPiece from_tokens(const std::vector<std::string>& tokens, const Rules& rules, const std::string& where);

  /// [CLS], the pieces of `text`, [SEP]: at most `limit` ≥ 2 tokens, the text's end cut. Special tokens written in the text are words like others; text that is not
  /// UTF-8 is read as Tokenizer reads it.
  std::vector<int32_t> encode(std::string_view text, int64_t limit) const;

  int32_t vocab_size() const { return size_; }
  int32_t cls() const { return cls_; }
  int32_t sep() const { return sep_; }

 private:
  std::string plain(std::string_view text) const;
  void pieces(std::string_view word, std::vector<int32_t>& out) const;

  Rules rules_;
  Vocabulary begins_, continues_;  // pieces at the beginning of a word, and inside one (without the mark)
  size_t longest_piece_ = 0;       // bytes
  int32_t size_ = 0, cls_ = -1, sep_ = -1, unknown_ = -1;
};

}  // namespace hone::text
