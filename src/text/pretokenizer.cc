#include "text/pretokenizer.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "text/unicode_stand_ins.h"

namespace hone::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// Matches and the gaps between them, in order, joined as the behaviour says.
class Splitter {
 public:
  Splitter(const PreStep& step, std::vector<Piece>& out) : step_(step), out_(out) {}

  void run(std::string_view text, const Piece& piece) {
    first_ = out_.size();
    previous_match_ = false;
    size_t at = piece.begin;
    step_.pattern->each_match(text.substr(piece.begin, piece.end - piece.begin), [&](size_t begin, size_t end) {
      begin += piece.begin;
      end += piece.begin;
      if (begin > at) add(at, begin, step_.invert);
      add(begin, end, !step_.invert);
      at = end;
    });
    if (at < piece.end) add(at, piece.end, step_.invert);
  }

 private:
  void add(size_t begin, size_t end, bool match) {
    bool join = false;
    switch (step_.behavior) {
      case SplitBehavior::kIsolated: break;
      case SplitBehavior::kRemoved:
        if (match) return;
        break;
      case SplitBehavior::kMergedWithPrevious: join = match && !previous_match_; break;
      case SplitBehavior::kMergedWithNext: join = !match && previous_match_; break;
      case SplitBehavior::kContiguous: join = match == previous_match_; break;
    }
    if (join && out_.size() > first_) out_.back().end = end;
    else out_.push_back({begin, end});
    previous_match_ = match;
  }

  const PreStep& step_;
  std::vector<Piece>& out_;
  size_t first_ = 0;
  bool previous_match_ = false;
};

// Puts `prefix` before the pieces that `wants` names; the pieces become ranges of the new text.
template <class Wants>
void prefix_pieces(MappedText& text, std::vector<Piece>& pieces, std::string_view prefix, Wants wants) {
  MappedBuilder out(text);
  size_t inserted = 0, at = 0;
  for (Piece& piece : pieces) {
    out.keep(at, piece.begin);
    at = piece.begin;
    piece.begin += inserted;
    if (wants(at)) {
      out.put(prefix, at, at);
      inserted += prefix.size();
    }
    piece.end += inserted;
  }
  if (inserted == 0) return;
  out.keep(at, text.text.size());
  text = out.take();
}

void metaspace(MappedText& text, std::vector<Piece>& pieces, PreStep::Prefix prefix) {
  // One byte becomes three; the pieces move by two for each space before them.
  std::vector<Piece> moved = pieces;
  size_t spaces = 0, at = 0;
  const auto count = [&](size_t to) {
    for (; at < to; ++at) spaces += text.text[at] == ' ';
    return 2 * spaces;
  };
  for (Piece& piece : moved) {
    piece.begin += count(piece.begin);
    piece.end += count(piece.end);
  }
  static const Pattern space = Pattern::literal(" ", "metaspace");
  text = replaced(text, space, kMetaspace);
  pieces = std::move(moved);
  if (prefix == PreStep::Prefix::kNever) return;
  prefix_pieces(text, pieces, kMetaspace, [&](size_t begin) {
    return !std::string_view(text.text).substr(begin).starts_with(kMetaspace) &&
           (prefix == PreStep::Prefix::kAlways || text.source_begin(begin) == 0);
  });
}

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Not \p{L}: the letters with case that were known when the model was made.
constexpr const char* kCasedLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377})"
    R"(\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D})"
    R"(\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC})"
    R"(\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE})"
    R"(\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06})"
    R"(\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2})"
    R"(\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)";
constexpr const char* kCjk = "[一-龥\u0800-一가-\uD7FF]+";

struct Known {
  const char* pre;
  std::vector<const char*> patterns;
  bool nfc = false, ignore_merges = false;
};

const std::vector<Known>& known_pretokenizers() {
  static const std::vector<Known> known = {
      {"default", {kGpt2Pattern}},
      {"gpt-2", {kGpt2Pattern}},
      {"smollm", {R"(\p{N})", kGpt2Pattern}},
      {"llama-bpe", {kLlama3}, false, true},
      {"llama3", {kLlama3}, false, true},
      {"smaug-bpe", {kLlama3}},
      {"qwen2", {kQwen2}, true, false},
      {"deepseek-r1-qwen", {kQwen2}, true, false},
      {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, R"(\p{N})"}},
      {"deepseek-llm", {R"([\r\n])", kCasedLetters, "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", R"(\s+$)", kCjk, R"(\p{N})"}},
      {"deepseek-v3",
       {R"(\p{N}{1,3})", "[一-龥\u3040-ゟ゠-ヿ]+",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
  };
  return known;
}

// One spelling for expressions that files write in several: line ends as characters or escapes, and DeepSeek's written-out list of
// cased letters.
std::string spelled(std::string_view regex) {
  if (regex.starts_with("\\s?[A-Za-zµÀ-ÖØ-öø-ƺ") || regex == kCasedLetters) return "cased letters";
  std::string out;
  for (const char c : regex) {
    if (c == '\r') out += "\\r";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

}  // namespace

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

PreStep PreStep::split(const std::string& regex, const std::string& where, SplitBehavior behavior, bool invert) {
  return {Kind::kSplit, std::make_shared<Pattern>(regex, where), behavior, invert, Prefix::kNever};
}

std::vector<Piece> pre_tokenize(MappedText& text, const std::vector<PreStep>& steps) {
  std::vector<Piece> pieces, next;
  if (!text.text.empty()) pieces.push_back({0, text.text.size()});
  std::optional<std::string> stand_ins = steps.empty() ? std::nullopt : with_stand_ins(text.text);
  for (const PreStep& step : steps) {
    switch (step.kind) {
      case PreStep::Kind::kSplit: {
        next.clear();
        Splitter splitter(step, next);
        const std::string_view subject = stand_ins ? *stand_ins : text.text;
        for (const Piece& piece : pieces) splitter.run(subject, piece);
        pieces.swap(next);
        break;
      }
      case PreStep::Kind::kSpace:
        prefix_pieces(text, pieces, " ", [&](size_t begin) { return text.text[begin] != ' '; });
        break;
      case PreStep::Kind::kMetaspace: metaspace(text, pieces, step.prefix); break;
    }
    if (step.kind != PreStep::Kind::kSplit) stand_ins = with_stand_ins(text.text);
  }
  return pieces;
}

GgufPre gguf_pretokenizer(const std::string& pre, const std::string& where) {
  std::string names;
  for (const Known& known : known_pretokenizers()) {
    if (known.pre == pre || (pre.empty() && known.pre == std::string("default"))) {
      GgufPre result{{}, known.nfc, known.ignore_merges};
      for (const char* regex : known.patterns) result.steps.push_back(PreStep::split(regex, where));
      return result;
    }
    names += (names.empty() ? "" : ", ") + std::string(known.pre);
  }
  throw Error(ErrorCode::kUnsupported, where, fmt::format("pre-tokenizer \"{}\" is not known", pre), "hone knows " + names);
}

std::string gguf_pretokenizer_name(const std::vector<PreStep>& splits, bool ignore_merges, const std::string& where) {
  std::vector<std::string> patterns;
  for (const PreStep& step : splits) {
    // tiktoken's form: keep the matches of an expression that covers every text. Cutting them out is the same.
    const bool kept = step.behavior == SplitBehavior::kRemoved && step.invert;
    if (!kept && (step.behavior != SplitBehavior::kIsolated || step.invert)) patterns.emplace_back("a split that is not isolated");
    else patterns.push_back(spelled(step.pattern->source()));
  }
  for (const Known& known : known_pretokenizers()) {
    // "default" means other patterns in llama.cpp.
    if (known.pre == std::string_view("default") || known.ignore_merges != ignore_merges) continue;
    if (std::equal(patterns.begin(), patterns.end(), known.patterns.begin(), known.patterns.end(),
                   [](const std::string& a, const char* b) { return a == spelled(b); }))
      return known.pre;
  }
  throw Error(ErrorCode::kUnsupported, where, fmt::format("GGUF has no name for this pre-tokenizer: {}{}", fmt::join(patterns, "  "), ignore_merges ? " (ignoring merges)" : ""),
              "export --format safetensors, and convert the result with llama.cpp's converter");
}

}  // namespace hone::text
