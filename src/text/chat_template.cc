#include "text/chat_template.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_lexer.h"

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
  std::optional<size_t> last;  // where the last message's words end
  for (const jinja::Run& piece : output.text.runs()) {
    if (piece.begin < piece.end) result.words.emplace_back(piece.begin, piece.end);
    result.pieces.push_back({piece.begin, piece.end, static_cast<int>(piece.source)});
    if (piece.source >= 0 && static_cast<size_t>(piece.source) + 1 == messages.size()) last = piece.end;
  }
  result.generations = std::move(output.generations);
  result.text = output.text.take_bytes();
  if (!options.continue_final || messages.empty()) return result;
  if (!last)
    throw Error(ErrorCode::kInvalidInput, where_, "the last message does not appear in the rendered text",
                "continue a conversation whose last message has content");
  result.text.resize(*last);
  std::erase_if(result.words, [&](const auto& range) { return range.first >= *last; });
  return result;
}

}  // namespace hone::text
