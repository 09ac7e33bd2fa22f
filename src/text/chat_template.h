// Chat templates: conversations rendered to text as the model's own Jinja template says, and which of its bytes whose message
// wrote. docs/chat-templates.md describes the language subset; text/chat_turns.h makes of it what is learned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::text {

namespace jinja {
class Program;
}

/// Objects keep the order of their keys, because templates print tools and tool calls with `tojson`. A plain
/// nlohmann::json converts implicitly (and is then in alphabetical order), so parse data with Json::parse.
using Json = nlohmann::ordered_json;

/// What a template sees besides the messages; the names are those of transformers' apply_chat_template.
struct RenderOptions {
  bool add_generation_prompt = false;  // end with the words that open the assistant's turn
  bool continue_final = false;         // end right after the last message's content, so that a model goes on with it
  std::string bos_token, eos_token;
  Json tools;        // null, or an array of JSON schemas in the {"type": "function", "function": {…}} form
  Json extra;        // null, or an object whose members become template variables (enable_thinking, date_string, …)
  std::string date;  // "YYYY-MM-DD", optionally with "THH:MM:SS"; what strftime_now sees; empty: now, local time
};

/// A rendered prompt with the bytes that its template did not write: the words of messages and tools.
struct RenderedPrompt {
  std::string text;
  std::vector<std::pair<size_t, size_t>> words;  // [begin, end) byte ranges of `text`; sorted, disjoint
  /// The same with the number of the message that wrote it (negative: tools and the like), and with the places (begin == end) of empty texts.
  struct Piece {
    size_t begin, end;
    int message;
  };
  std::vector<Piece> pieces;
  std::vector<std::pair<size_t, size_t>> generations;  // what the template marks with {% generation %}
};

/// A parsed template. Immutable, so one object may render on many threads at once.
class ChatTemplate {
 public:
  /// Parses `source`; `where` names it in errors ("tokenizer_config.json: chat_template").
  /// Throws Error{kInvalidInput} for a syntax error, Error{kUnsupported} for a construct outside the subset; both name
  /// the line.
  static ChatTemplate parse(std::string source, std::string where);

  /// The text transformers' apply_chat_template(tokenize=False) gives. `messages` is an array of objects with "role" and
  /// "content" (and "tool_calls", "reasoning_content", … where the template reads them).
  /// Throws Error{kInvalidInput} when the template raises (raise_exception, a wrong type, an undefined value) or when a
  /// budget (steps, output bytes, depth) is spent.
  std::string render(const Json& messages, const RenderOptions& options) const;

  /// render() plus whose bytes are whose, so that a special token's text inside a message can stay plain text.
  RenderedPrompt render_prompt(const Json& messages, const RenderOptions& options) const;

  /// True when the template marks the assistant's words itself with {% generation %}.
  bool marks_generation() const;

  const std::string& source() const { return source_; }
  const std::string& where() const { return where_; }

 private:
  ChatTemplate(std::string source, std::string where, std::shared_ptr<const jinja::Program> program);

  std::string source_, where_;
  std::shared_ptr<const jinja::Program> program_;
};

/// The chat template of a Hugging Face directory: chat_template.jinja, or tokenizer_config.json's chat_template (a
/// string, or a list of {name, template} of which "default" is taken), or chat_template.json. Nothing when it has none.
std::optional<std::string> chat_template_of_directory(const std::filesystem::path& directory);

/// A template by name, for models that ship none: "chatml", "llama3", "deepseek", … (see chat_template_names).
/// Throws Error{kNotFound} listing the names.
std::string chat_template_by_name(std::string_view name);

/// The names chat_template_by_name knows.
const std::vector<std::string>& chat_template_names();

}  // namespace hone::text
