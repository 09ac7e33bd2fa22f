#include "serve/models/turn_template.h"

#include <vector>

#include "base/error.h"

namespace hone::serve {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

[[noreturn]] void malformed(const std::string& what) { throw Error(ErrorCode::kInvalidInput, "template", what); }

struct Branch {
  bool outer;      // what is around it is written
  bool taken;      // one of its parts was
  bool has_else = false;
};

}  // namespace

text::RenderedPrompt render_turn(std::string_view source, const std::string& system, const std::string& prompt) {
  text::RenderedPrompt result;
  std::vector<Branch> branches;
  bool writing = true, trim_next = false;
  const auto value = [&](std::string_view name) -> const std::string* {
    static const std::string empty;
    if (name == ".System") return &system;
    if (name == ".Prompt") return &prompt;
    if (name == ".Response" || name == ".Suffix" || name == ".Tools") return &empty;
    return nullptr;
  };
  const auto unsupported = [](std::string_view words) -> void {
    throw Error(ErrorCode::kUnsupported, "template", fmt::format("{{{{ {} }}}} is not understood here", words), "use .System, .Prompt, .Response, if, else and end; or /api/chat, with the model's own template");
  };
  while (!source.empty()) {
    const size_t open = source.find("{{");
    std::string_view literal = source.substr(0, open);
    if (trim_next) literal.remove_prefix(std::min(literal.find_first_not_of(kBlanks), literal.size()));
    if (open == std::string_view::npos) {
      if (writing) result.text += literal;
      break;
    }
    const size_t close = source.find("}}", open);
    if (close == std::string_view::npos) malformed("{{ has no }}");
    std::string_view words = source.substr(open + 2, close - open - 2);
    source.remove_prefix(close + 2);
    if (words.starts_with("- ") || words == "-") {
      words.remove_prefix(1);
      literal = literal.substr(0, literal.find_last_not_of(kBlanks) + 1);
    }
    trim_next = words.ends_with(" -");
    if (trim_next) words.remove_suffix(1);
    if (writing) result.text += literal;
    words = trimmed(words);
    if (words.starts_with("/*")) continue;
    if (words.starts_with("if ")) {
      const std::string* tested = value(trimmed(words.substr(3)));
      if (!tested) unsupported(words);
      branches.push_back({writing, !tested->empty()});
      writing = writing && !tested->empty();
    } else if (words.starts_with("else")) {
      if (words != "else" && !words.starts_with("else if ")) unsupported(words);
      if (branches.empty() || branches.back().has_else) malformed("{{ else }} without {{ if }}");
      Branch& branch = branches.back();
      bool holds = !branch.taken;
      if (words == "else") {
        branch.has_else = true;
      } else {
        const std::string* tested = value(trimmed(words.substr(8)));
        if (!tested) unsupported(words);
        holds = holds && !tested->empty();
      }
      branch.taken = branch.taken || holds;
      writing = branch.outer && holds;
    } else if (words == "end") {
      if (branches.empty()) malformed("{{ end }} without {{ if }}");
      writing = branches.back().outer;
      branches.pop_back();
    } else if (words == ".Response") {
      if (writing) return result;
    } else {
      const std::string* written = value(words);
      if (!written) unsupported(words);
      if (writing && !written->empty()) {
        result.words.emplace_back(result.text.size(), result.text.size() + written->size());
        result.text += *written;
      }
    }
  }
  if (!branches.empty()) malformed("{{ if }} without {{ end }}");
  return result;
}

}  // namespace hone::serve
