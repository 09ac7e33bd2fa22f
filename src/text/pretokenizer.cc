#include "text/pretokenizer.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace hone::text {
namespace {

// What a step makes of one piece: a list of ranges, each a match or a gap.
struct Cut { size_t begin, end; bool match; };

std::vector<Cut> cuts(std::string_view text, const Piece& piece, const SplitStep& step) {
  std::vector<Cut> result;
  size_t at = piece.begin;
  step.pattern->each_match(text.substr(piece.begin, piece.end - piece.begin), [&](size_t begin, size_t end) {
    begin += piece.begin;
    end += piece.begin;
    if (begin > at) result.push_back({at, begin, step.invert});
    result.push_back({begin, end, !step.invert});
    at = end;
  });
  if (at < piece.end) result.push_back({at, piece.end, step.invert});
  return result;
}

void apply(std::string_view text, const Piece& piece, const SplitStep& step, std::vector<Piece>& out) {
  const std::vector<Cut> list = cuts(text, piece, step);
  const size_t first = out.size();
  bool previous_match = false;
  for (size_t i = 0; i < list.size(); ++i) {
    const Cut& cut = list[i];
    switch (step.behavior) {
      case SplitBehavior::kIsolated: out.push_back({cut.begin, cut.end}); break;
      case SplitBehavior::kRemoved:
        if (!cut.match) out.push_back({cut.begin, cut.end});
        break;
      case SplitBehavior::kMergedWithPrevious:
        if (cut.match && !previous_match && out.size() > first) out.back().end = cut.end;
        else out.push_back({cut.begin, cut.end});
        break;
      case SplitBehavior::kMergedWithNext:
        if (previous_match && !cut.match) out.back().end = cut.end;
        else out.push_back({cut.begin, cut.end});
        break;
      case SplitBehavior::kContiguous:
        if (i > 0 && cut.match == previous_match) out.back().end = cut.end;
        else out.push_back({cut.begin, cut.end});
        break;
    }
    previous_match = cut.match;
  }
}

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kCjk = "[一-龥\u0800-一가-\uD7FF]+";

struct Known {
  const char* pre;
  std::vector<const char*> patterns;
  bool ignore_merges = false;
};

const std::vector<Known>& known_pretokenizers() {
  static const std::vector<Known> known = {
      {"default", {kGpt2Pattern}},
      {"gpt-2", {kGpt2Pattern}},
      {"smollm", {R"(\p{N})", kGpt2Pattern}},
      {"llama-bpe", {kLlama3}, true},
      {"llama3", {kLlama3}, true},
      {"smaug-bpe", {kLlama3}},
      {"qwen2", {kQwen2}},
      {"deepseek-r1-qwen", {kQwen2}},
      {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, R"(\p{N})"}},
      {"deepseek-llm", {R"([\r\n])", R"(\s?[\p{Lu}\p{Ll}\p{Lt}]+)", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", R"(\s+$)", kCjk, R"(\p{N}+)"}},
      {"deepseek-llm", {R"([\r\n])", R"(\s?[\p{Lu}\p{Ll}\p{Lt}]+)", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", R"(\s+$)", kCjk, R"(\p{N})"}},  // as published
      {"deepseek-v3",
       {R"(\p{N}{1,3})", "[一-龥\u3040-ゟ゠-ヿ]+",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
  };
  return known;
}

// One spelling for expressions that files write in several: line ends as characters or escapes, and DeepSeek's written-out list of
// cased letters.
std::string spelled(std::string_view regex) {
  std::string out;
  for (const char c : regex) {
    if (c == '\r') out += "\\r";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  if (out.starts_with("\\s?[A-Za-zµÀ-ÖØ-öø-ƺ")) return R"(\s?[\p{Lu}\p{Ll}\p{Lt}]+)";
  return out;
}

}  // namespace

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::vector<Piece> split(std::string_view text, std::vector<Piece> pieces, const std::vector<SplitStep>& steps) {
  for (const SplitStep& step : steps) {
    std::vector<Piece> next;
    next.reserve(pieces.size());
    for (const Piece& piece : pieces) apply(text, piece, step, next);
    pieces = std::move(next);
  }
  return pieces;
}

std::vector<SplitStep> gguf_pretokenizer(const std::string& pre, const std::string& where) {
  std::string names;
  for (const Known& known : known_pretokenizers()) {
    if (known.pre == pre || (pre.empty() && known.pre == std::string("default"))) {
      std::vector<SplitStep> steps;
      for (const char* regex : known.patterns) steps.push_back({std::make_shared<Pattern>(regex, where), SplitBehavior::kIsolated, false});
      return steps;
    }
    names += (names.empty() ? "" : ", ") + std::string(known.pre);
  }
  throw Error(ErrorCode::kUnsupported, where, fmt::format("pre-tokenizer \"{}\" is not known", pre), "hone knows " + names);
}

bool gguf_ignores_merges(std::string_view pre) {
  for (const Known& known : known_pretokenizers())
    if (known.pre == pre) return known.ignore_merges;
  return false;
}

std::string gguf_pretokenizer_name(const std::vector<SplitStep>& steps, bool ignore_merges, const std::string& where) {
  std::vector<std::string> patterns;
  for (const SplitStep& step : steps) {
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
