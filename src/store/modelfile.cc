#include "store/modelfile.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text_encoding.h"
#include "store/parameters.h"

namespace hone::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kThreeQuotes = "\"\"\"", kOneQuote = "\"";

bool blank(char c) { return c == ' ' || c == '\t'; }
bool ends_line(char c) { return c == '\n' || c == '\r'; }

std::string_view trimmed_end(std::string_view text) {
  while (!text.empty() && (blank(text.back()) || ends_line(text.back()))) text.remove_suffix(1);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool known_role(std::string_view role) { return role == "system" || role == "user" || role == "assistant"; }

// What a value is: a text holds whatever stands there; after others a comment may follow on the same line.
enum class Value { kText, kPlain };

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Modelfile parse() {
    Modelfile file;
    while (skip_to_instruction()) instruct(file);
    if (file.from.empty()) throw Error(ErrorCode::kInvalidInput, where_, "has no FROM line", "say what the model is made from: FROM smollm2:135m, or FROM ./model.gguf");
    return file;
  }

  // A value; what follows it on its line has been read, too.
  std::string value(const std::string& of, Value kind) {
    while (!text_.empty() && blank(text_[0])) take(1);
    for (const std::string_view quotes : {kThreeQuotes, kOneQuote})
      if (text_.starts_with(quotes)) return quoted(of, kind, quotes);
    std::string_view line = first_line();
    take(line.size());
    if (kind == Value::kPlain)
      for (size_t mark = line.find('#'); mark != std::string_view::npos; mark = line.find('#', mark + 1))
        if (mark == 0 || blank(line[mark - 1])) {
          line = line.substr(0, mark);
          break;
        }
    const std::string out(trimmed_end(line));
    if (out.empty()) refuse(fmt::format("{} has no value", of), "write it on the same line");
    return out;
  }

  std::string_view rest() const { return text_; }

 private:
  [[noreturn]] void refuse(const std::string& message, const std::string& hint) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where_, line_), message, hint);
  }

  void take(size_t count) {
    line_ += std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(count), '\n');
    text_.remove_prefix(count);
  }

  std::string_view first_line() const { return text_.substr(0, text_.find_first_of("\r\n")); }

  bool skip_to_instruction() {
    while (!text_.empty()) {
      if (blank(text_[0]) || ends_line(text_[0])) take(1);
      else if (text_[0] == '#') take(first_line().size());
      else return true;
    }
    return false;
  }

  std::string word() {
    while (!text_.empty() && blank(text_[0])) take(1);
    size_t n = 0;
    while (n < text_.size() && !blank(text_[n]) && !ends_line(text_[n])) ++n;
    const std::string out(text_.substr(0, n));
    take(n);
    return out;
  }

  std::string quoted(const std::string& of, Value kind, std::string_view quotes) {
    const size_t q = quotes.size();
    const std::string_view line = first_line();
    const size_t again = line.find(quotes, q);
    if (kind == Value::kPlain && again != std::string_view::npos) {  // "…"  # a comment
      const std::string_view after = line.substr(again + q);
      const size_t first = after.find_first_not_of(" \t");
      if (first == std::string_view::npos || (after[first] == '#' && first > 0)) {
        const std::string out(line.substr(q, again - q));
        take(line.size());
        return out;
      }
    }
    // The text ends where its quotes stand before a line end: inside a line they belong to it.
    for (size_t end = line.size();;) {
      const std::string_view so_far = trimmed_end(text_.substr(0, end));
      if (so_far.size() >= 2 * q && so_far.ends_with(quotes)) {
        const std::string out(so_far.substr(q, so_far.size() - 2 * q));
        take(end);
        return out;
      }
      // Quotes that seem to end in the first line and do not: most likely something was meant to follow the text.
      if (again != std::string_view::npos)
        refuse(fmt::format("text after the end of {}'s quotes", of), "a text ends with its line; one of several lines that holds quotes in its first stands in \"\"\"…\"\"\", and comments stand on lines of their own");
      if (end >= text_.size()) refuse(fmt::format("the text of {} begins with {} and never ends", of, quotes), fmt::format("close it with {} at the end of a line", quotes));
      end = std::min(text_.find_first_of("\r\n", end + 1), text_.size());
    }
  }

  // "…" with escapes, on one line.
  std::string escaped(const std::string& of) {
    while (!text_.empty() && blank(text_[0])) take(1);
    const std::string_view line = first_line();
    std::string out;
    size_t at = 1;
    if (!line.starts_with('"')) refuse(fmt::format("{}= wants a text in quotes", of), "write a text without escapes behind the instruction without =");
    for (; at < line.size() && line[at] != '"'; ++at) {
      if (line[at] != '\\') {
        out += line[at];
        continue;
      }
      const size_t escape = ++at < line.size() ? std::string_view("\\\"nrt").find(line[at]) : std::string_view::npos;
      if (escape == std::string_view::npos) refuse(fmt::format("unknown escape in the text of {}", of), "there are \\\\, \\\", \\n, \\r and \\t");
      out += "\\\"\n\r\t"[escape];
    }
    if (at >= line.size()) refuse(fmt::format("the text of {} never ends", of), "close it with \" on the same line");
    if (!trimmed_end(line.substr(at + 1)).empty()) refuse(fmt::format("text after the end of {}'s quotes", of), "write \\\" for a quote inside the text");
    take(line.size());
    return out;
  }

  void instruct(Modelfile& file) {
    std::string found = word();
    const bool escapes = found.ends_with('=');
    if (escapes) found.pop_back();
    const std::string name = lower_case(found);
    const auto text = [&](const std::string& of, Value kind) { return escapes ? escaped(of) : value(of, kind); };
    if (name == "from") {
      if (!file.from.empty()) refuse("a second FROM", "a model is made from one: leave the other out");
      file.from = text("FROM", Value::kPlain);
    } else if (name == "adapter") {
      file.adapters.push_back(text("ADAPTER", Value::kPlain));
    } else if (name == "template") {
      file.chat_template = text("TEMPLATE", Value::kText);
    } else if (name == "system") {
      file.system = text("SYSTEM", Value::kText);
    } else if (name == "license") {
      file.licenses.push_back(text("LICENSE", Value::kText));
    } else if (name == "parameter") {
      const std::string key = lower_case(word());
      const int64_t line = line_;
      const std::string given = text("PARAMETER " + key, key == "stop" ? Value::kText : Value::kPlain);
      note(file, set_parameter(file.parameters, key, given, fmt::format("{}:{}", where_, line)));
    } else if (name == "message") {
      const std::string role = lower_case(word());
      if (!known_role(role)) refuse(fmt::format("MESSAGE from \"{}\"", role), "roles are system, user and assistant");
      file.messages.push_back({role, text("MESSAGE " + role, Value::kText)});
    } else if (name == "renderer" || name == "parser") {
      note(file, fmt::format("{} {} is passed over: it names a part of Ollama; hone writes and reads by the chat template", name == "renderer" ? "RENDERER" : "PARSER", text(found, Value::kPlain)));
    } else if (name == "draft") {
      text(found, Value::kPlain);
      note(file, "DRAFT is passed over: hone guesses tokens from earlier text; it changes no answer");
    } else if (name == "requires") {
      text(found, Value::kPlain);  // the oldest Ollama that can run it: says nothing about hone
    } else {
      static const std::vector<std::string> known = {"FROM", "ADAPTER", "TEMPLATE", "SYSTEM", "LICENSE", "PARAMETER", "MESSAGE", "RENDERER", "PARSER", "DRAFT", "REQUIRES"};
      std::string upper = name;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      const std::string near = nearest(upper, known);
      refuse(fmt::format("unknown instruction \"{}\"", found.substr(0, 40)), near.empty() ? "known: FROM, ADAPTER, PARAMETER, TEMPLATE, SYSTEM, MESSAGE, LICENSE" : fmt::format("did you mean \"{}\"?", near));
    }
  }

  static void note(Modelfile& file, const std::string& text) {
    if (!text.empty() && std::find(file.notes.begin(), file.notes.end(), text) == file.notes.end()) file.notes.push_back(text);
  }

  std::string_view text_;
  const std::string& where_;
  int64_t line_ = 1;
};

// Whether `written` stands for `text` in the middle of a Modelfile.
bool reads_back(const std::string& written, const std::string& text, Value kind) {
  const std::string where, lines = written + "\nFROM x";
  Parser parser(lines, where);
  try {
    return parser.value({}, kind) == text && parser.rest() == "\nFROM x";
  } catch (const Error&) {
    return false;
  }
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const size_t escape = std::string_view("\\\"\n\r\t").find(c);
    if (escape == std::string_view::npos) out += c;
    else (out += '\\') += "\\\"nrt"[escape];
  }
  return out;
}

// The line of an instruction: the first way of writing `text` that is read back as it is.
std::string line_of(const char* instruction, const std::string& subject, const std::string& text, Value kind, std::initializer_list<std::string_view> ways) {
  for (const std::string_view quotes : ways) {
    // What stands bare is trimmed, by Ollama also of other alphabets' spaces.
    const auto plain = [](char c) { return c > ' ' && c != '\x7f'; };
    if (quotes.empty() && (text.empty() || !plain(text.front()) || !plain(text.back()))) continue;
    const std::string written = std::string(quotes) + text + std::string(quotes);
    if (reads_back(written, text, kind)) return fmt::format("{} {}{}\n", instruction, subject, written);
  }
  return fmt::format("{}= {}\"{}\"\n", instruction, subject, escaped(text));
}

std::string comment_of(const std::string& what, const std::string& name, const std::string& text) {
  const auto quoted = [](const std::string& words) { return Json(words).dump(-1, ' ', false, Json::error_handler_t::replace); };
  return fmt::format("# hone knows no {} {}: {}\n", what, quoted(name), quoted(text));
}

}  // namespace

Modelfile parse_modelfile(std::string_view text, const std::string& where) {
  const std::string utf8 = decoded_text(std::string(text), where);
  return Parser(utf8, where).parse();
}

std::string to_text(const Modelfile& file) {
  std::string out = line_of("FROM", "", file.from, Value::kPlain, {"", kOneQuote, kThreeQuotes});
  for (const std::string& adapter : file.adapters) out += line_of("ADAPTER", "", adapter, Value::kPlain, {"", kOneQuote, kThreeQuotes});
  if (file.chat_template) out += line_of("TEMPLATE", "", *file.chat_template, Value::kText, {kThreeQuotes, kOneQuote});
  if (file.system) out += line_of("SYSTEM", "", *file.system, Value::kText, {kThreeQuotes, kOneQuote});
  for (const auto& [name, value] : parameter_lines(file.parameters)) {
    const Parameter* known = find_parameter(name);
    if (!known) out += comment_of("parameter", name, value);
    else if (known->kind == ParameterKind::kStrings) out += line_of("PARAMETER", name + " ", value, Value::kText, {kOneQuote, kThreeQuotes});
    else out += line_of("PARAMETER", name + " ", value, Value::kPlain, {"", kOneQuote});
  }
  for (const ChatMessage& m : file.messages)
    out += known_role(m.role) ? line_of("MESSAGE", m.role + " ", m.content, Value::kText, {"", kOneQuote, kThreeQuotes}) : comment_of("role", m.role, m.content);
  for (const std::string& license : file.licenses) out += line_of("LICENSE", "", license, Value::kText, {kThreeQuotes, kOneQuote});
  return out;
}

}  // namespace hone::store
