#include "text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_lexer.h"
#include "text/tokenizer.h"

namespace hone::text {
namespace {

using jinja::Kind;
using jinja::Source;
using jinja::Text;
using jinja::Value;

[[noreturn]] void template_error(bool unsupported, const std::string& where, int line, const std::string& message) {
  throw Error(unsupported ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput, fmt::format("{}:{}", where, line), message,
              unsupported ? "give another template with model.chat_template: a file, or one of chatml, llama3, deepseek"
                          : "check the template, and that the conversation has the roles and order it expects");
}

// The roles are the template's business, not the writer's words: printing them must not look like content.
Value message_value(const Json& message, Source source) {
  Value value = jinja::from_json(message, source);
  if (value.is(Kind::kDict) && message.contains("role") && message["role"].is_string())
    value.as<jinja::DictObject>().set(Value::string("role"), Value::string(message["role"].get<std::string>()));
  return value;
}

bool is_assistant(const Json& message) {
  const auto role = message.is_object() ? message.find("role") : message.end();
  return message.is_object() && role != message.end() && *role == "assistant";
}

// The first `count` messages.
Json beginning(const Json& messages, size_t count) {
  Json result = Json::array();
  for (size_t i = 0; i < count; ++i) result.push_back(messages[i]);
  return result;
}

struct Output {
  Text text;
  std::vector<std::pair<size_t, size_t>> generations;
};

Output run(const jinja::Program& program, const std::string& where, const Json& messages, const RenderOptions& options) {
  const jinja::Meter meter(jinja::Budget{});
  int line = 1;
  try {
    if (!messages.is_array()) jinja::fail("the conversation is not a list of messages");
    std::vector<Value> turns;
    for (size_t i = 0; i < messages.size(); ++i) turns.push_back(message_value(messages[i], static_cast<Source>(i)));
    std::vector<std::pair<std::string, Value>> variables = {
        {"messages", Value::list(std::move(turns))},
        {"add_generation_prompt", Value::boolean(options.add_generation_prompt)},
        {"bos_token", Value::string(options.bos_token)},
        {"eos_token", Value::string(options.eos_token)},
        {"tools", options.tools.is_null() ? Value::none() : jinja::from_json(options.tools, jinja::kOtherData)},
        {"documents", Value::none()},
    };
    if (options.extra.is_object())
      for (const auto& [name, value] : options.extra.items())
        variables.emplace_back(name, jinja::from_json(value, jinja::kOtherData));
    jinja::Interpreter interpreter(program, std::move(variables), options.date);
    try {
      Output output;
      output.text = interpreter.run();
      output.generations = interpreter.generations();
      return output;
    } catch (...) {
      line = interpreter.line();
      throw;
    }
  } catch (const jinja::Failure& failure) {
    template_error(failure.unsupported, where, line, failure.message);
  }
}

// Bytes [first, last] of `text` that messages[i] wrote; nothing when it wrote none.
struct Extent {
  size_t begin = std::string::npos, end = 0;
  bool found() const { return begin != std::string::npos; }
};

std::vector<Extent> extents(const Text& text, size_t messages) {
  std::vector<Extent> result(messages);
  for (const jinja::Run& run : text.runs()) {
    if (run.source < 0) continue;
    Extent& extent = result[static_cast<size_t>(run.source)];
    extent.begin = std::min(extent.begin, run.begin);
    extent.end = std::max(extent.end, run.end);
  }
  return result;
}

// Where a mark such as "<|im_end|>" that begins at text[at] ends; 0 when none begins there.
size_t mark_end(std::string_view text, size_t at, const std::string& eos_token) {
  const std::string_view rest = text.substr(at);
  if (!eos_token.empty() && rest.starts_with(eos_token)) return at + eos_token.size();
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {{"<|", "|>"}, {"<｜", "｜>"}, {"</s", ">"}, {"<end_of_turn", ">"}};
  for (const auto& [open, close] : kMarks) {
    if (!rest.starts_with(open)) continue;
    const size_t end = rest.find(close, open.size());
    if (end != std::string_view::npos) return at + end + close.size();
  }
  return 0;
}

// The end-of-turn token that follows an answer's words, with white space before it: from the beginning of `text` to its end.
size_t end_of_turn(std::string_view text, const std::string& eos_token) {
  const size_t at = text.find_first_not_of(" \n");
  return at == std::string_view::npos ? 0 : mark_end(text, at, eos_token);
}

// The end of the last mark; 0 when there is none.
size_t last_mark(std::string_view text, const std::string& eos_token) {
  size_t last = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = mark_end(text, at, eos_token);
    if (end) last = end;
    at = end ? end : at + 1;
  }
  return last;
}

bool calls_tools(const Json& message) {
  const auto calls = message.find("tool_calls");
  return calls != message.end() && calls->is_array() && !calls->empty();
}

std::string_view common_start(std::string_view a, std::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return a.substr(0, n);
}

// How much of `text` is also what `other` begins with, in whole marks and lines.
size_t opening(std::string_view text, std::string_view other) {
  std::string_view shared = common_start(text, other);
  if (shared.size() < other.size() && shared.size() < text.size()) shared = shared.substr(0, shared.find_last_of(">\n: ") + 1);
  return shared.size();
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string where, std::shared_ptr<const jinja::Program> program)
    : source_(std::move(source)), where_(std::move(where)), program_(std::move(program)) {}

ChatTemplate ChatTemplate::parse(std::string source, std::string where) {
  if (source.size() > (size_t{1} << 20))
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("the template has {} bytes; at most 1 MiB is read", source.size()));
  try {
    auto program = jinja::parse_program(source);
    return ChatTemplate(std::move(source), std::move(where), std::move(program));
  } catch (const jinja::SyntaxError& error) {
    template_error(error.unsupported, where, error.line, error.message);
  } catch (const jinja::Failure& failure) {
    template_error(failure.unsupported, where, 1, failure.message);
  }
}

bool ChatTemplate::marks_generation() const { return program_->has_generation; }

std::string ChatTemplate::render(const Json& messages, const RenderOptions& options) const {
  return render_prompt(messages, options).text;
}

RenderedPrompt ChatTemplate::render_prompt(const Json& messages, const RenderOptions& options) const {
  Output output = run(*program_, where_, messages, options);
  RenderedPrompt result;
  for (const jinja::Run& piece : output.text.runs())
    if (piece.begin < piece.end) result.words.emplace_back(piece.begin, piece.end);
  if (!options.continue_final || messages.empty()) {
    result.text = output.text.take_bytes();
    return result;
  }
  const Extent last = extents(output.text, messages.size()).back();
  if (!last.found())
    throw Error(ErrorCode::kInvalidInput, where_, "the last message does not appear in the rendered text",
                "continue a conversation whose last message has content");
  result.text = output.text.take_bytes().substr(0, last.end);
  std::erase_if(result.words, [&](const auto& range) { return range.first >= last.end; });
  return result;
}

Rendered ChatTemplate::render_for_training(const Json& messages, const RenderOptions& options) const {
  HONE_CHECK(!options.add_generation_prompt && !options.continue_final, "a conversation to train on is complete");
  Output output = run(*program_, where_, messages, options);
  Rendered result;
  if (program_->has_generation) {
    result.assistant = std::move(output.generations);
    result.text = output.text.take_bytes();
    return result;
  }
  // The provenance of every byte tells where each message's own words are. Around the words of an assistant's message
  // belong: what the template writes after its generation prompt and before them, and the end-of-turn token after them.
  const std::vector<Extent> where = extents(output.text, messages.size());
  const std::string& text = output.text.bytes();
  std::map<std::string, std::string> prompts;  // generation prompt by the role it follows
  size_t previous_end = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Extent& extent = where[i];
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorCode::kInvalidInput, where_, fmt::format("message {}: {}", i + 1, what),
                  "mark the assistant's words in the template with {% generation %} … {% endgeneration %}");
    };
    if (!is_assistant(messages[i])) {
      if (extent.found()) previous_end = std::max(previous_end, extent.end);
      continue;
    }
    if (!extent.found()) {
      const auto content = messages[i].find("content");
      if (content != messages[i].end() && content->is_string() && !content->get_ref<const std::string&>().empty())
        refuse("the assistant's words do not appear in the rendered text");
      continue;
    }
    if (extent.begin < previous_end) refuse("its words are mixed with those of another message in the rendered text");
    size_t begin = extent.begin;
    const std::string role = i > 0 && messages[i - 1].is_object() ? messages[i - 1].value("role", "") : "";
    if (!prompts.contains(role)) {
      std::string prompt;
      try {
        const Json before = beginning(messages, i);
        RenderOptions open = options;
        const std::string plain = run(*program_, where_, before, open).text.take_bytes();
        open.add_generation_prompt = true;
        const std::string opened = run(*program_, where_, before, open).text.take_bytes();
        if (opened.size() > plain.size() && opened.starts_with(plain)) prompt = opened.substr(plain.size());
      } catch (const Error&) {
        // A template may refuse the beginning of a conversation; then only the words themselves are learned.
      }
      prompts[role] = prompt;
    }
    const std::string& prompt = prompts[role];
    const size_t at = prompt.empty() ? std::string::npos : std::string_view(text).substr(0, extent.begin).rfind(prompt);
    if (at != std::string::npos && at >= previous_end) {
      begin = at + prompt.size();
    } else if (calls_tools(messages[i])) {
      // The prompt is not what this turn begins with ("<think>" is put there, or nothing after a tool's answer), but what the
      // template writes before a tool's name is the assistant's all the same.
      try {
        const std::string plain = run(*program_, where_, beginning(messages, i), options).text.take_bytes();
        const size_t header = opening(text, plain);
        if (header >= previous_end && header <= extent.begin)
          begin = header + opening(std::string_view(text).substr(header, extent.begin - header), prompt);
      } catch (const Error&) {
      }
    }
    size_t next_begin = text.size();
    for (size_t j = i + 1; j < messages.size(); ++j)
      if (where[j].found() && where[j].begin >= extent.end) next_begin = std::min(next_begin, where[j].begin);
    const std::string_view tail = std::string_view(text).substr(extent.end, next_begin - extent.end);
    size_t closing = calls_tools(messages[i]) ? 0 : end_of_turn(tail, options.eos_token);
    if (closing == 0) {
      // Text such as "</tool_call>" stands before it: what also follows when the conversation ends here is of this turn.
      std::string_view own = tail;
      Output shorter;
      if (i + 1 < messages.size()) {
        try {
          shorter = run(*program_, where_, beginning(messages, i + 1), options);
          const Extent last = extents(shorter.text, i + 1).back();
          own = last.found() ? common_start(tail, std::string_view(shorter.text.bytes()).substr(last.end)) : "";
        } catch (const Error&) {
          own = {};
        }
      }
      closing = last_mark(own, options.eos_token);
    }
    const size_t end = extent.end + closing;
    if (end > begin) result.assistant.emplace_back(begin, end);
    previous_end = end;
  }
  result.text = output.text.take_bytes();
  return result;
}

std::vector<uint8_t> role_mask(const Rendered& rendered, std::span<const TokenSpan> tokens) {
  std::vector<uint8_t> mask(tokens.size(), 0);
  size_t range = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto begin = static_cast<size_t>(tokens[i].begin), end = static_cast<size_t>(tokens[i].end);
    if (begin == end) continue;
    while (range < rendered.assistant.size() && rendered.assistant[range].second <= begin) ++range;
    if (range < rendered.assistant.size() && rendered.assistant[range].first <= begin) mask[i] = 1;
  }
  return mask;
}

}  // namespace hone::text
