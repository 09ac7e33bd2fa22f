#include "store/modelfile.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace hone::store {
namespace {

using Json = nlohmann::ordered_json;

enum class Kind { kInteger, kNumber, kBoolean, kStrings };
struct ParameterType {
  const char* name;
  Kind kind;
};
constexpr ParameterType kParameters[] = {
    {"num_ctx", Kind::kInteger},        {"num_predict", Kind::kInteger},       {"num_keep", Kind::kInteger},        {"num_batch", Kind::kInteger},
    {"num_gpu", Kind::kInteger},        {"main_gpu", Kind::kInteger},          {"num_thread", Kind::kInteger},      {"seed", Kind::kInteger},
    {"top_k", Kind::kInteger},          {"repeat_last_n", Kind::kInteger},     {"mirostat", Kind::kInteger},        {"temperature", Kind::kNumber},
    {"top_p", Kind::kNumber},           {"min_p", Kind::kNumber},              {"typical_p", Kind::kNumber},        {"tfs_z", Kind::kNumber},
    {"repeat_penalty", Kind::kNumber},  {"presence_penalty", Kind::kNumber},   {"frequency_penalty", Kind::kNumber}, {"mirostat_tau", Kind::kNumber},
    {"mirostat_eta", Kind::kNumber},    {"penalize_newline", Kind::kBoolean},  {"use_mmap", Kind::kBoolean},        {"use_mlock", Kind::kBoolean},
    {"low_vram", Kind::kBoolean},       {"f16_kv", Kind::kBoolean},            {"numa", Kind::kBoolean},            {"vocab_only", Kind::kBoolean},
    {"logits_all", Kind::kBoolean},     {"embedding_only", Kind::kBoolean},    {"stop", Kind::kStrings},
};

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (blank(text.front()) || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (blank(text.back()) || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : text_(text), where_(where) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  Modelfile parse() {
    Modelfile file;
    while (skip_to_instruction()) instruct(file);
    if (file.from.empty()) throw Error(ErrorCode::kInvalidInput, where_, "has no FROM line", "say what the model is made from: FROM smollm2:135m, or FROM ./model.gguf");
    return file;
  }

 private:
  [[noreturn]] void refuse(const std::string& message, const std::string& hint) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where_, line_), message, hint);
  }

  void take(size_t count) {
    line_ += std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(count), '\n');
    text_.remove_prefix(count);
  }

  bool skip_to_instruction() {
    while (!text_.empty()) {
      if (blank(text_[0]) || text_[0] == '\n') take(1);
      else if (text_[0] == '#') take(std::min(text_.find('\n'), text_.size()));
      else return true;
    }
    return false;
  }

  std::string word() {
    while (!text_.empty() && blank(text_[0])) take(1);
    size_t n = 0;
    while (n < text_.size() && !blank(text_[n]) && text_[n] != '\n') ++n;
    const std::string out(text_.substr(0, n));
    take(n);
    return out;
  }

  // A value: """…""", "…", or the rest of the line.
  std::string value(const std::string& of) {
    while (!text_.empty() && blank(text_[0])) take(1);
    for (const std::string_view quote : {"\"\"\"", "\""}) {
      if (!text_.starts_with(quote)) continue;
      const int begun = line_;
      const size_t end = text_.find(quote, quote.size());
      if (end == std::string_view::npos) {
        line_ = begun;
        refuse(fmt::format("the text of {} begins with {} and never ends", of, quote), fmt::format("close it with {}", quote));
      }
      const std::string out(text_.substr(quote.size(), end - quote.size()));
      take(end + quote.size());
      const size_t rest = std::min(text_.find('\n'), text_.size());
      if (!trimmed(text_.substr(0, rest)).empty()) refuse(fmt::format("text after the end of {}'s quotes", of), "a text that holds quotes itself stands in \"\"\"…\"\"\"");
      return out;
    }
    const size_t end = std::min(text_.find('\n'), text_.size());
    const std::string out(trimmed(text_.substr(0, end)));
    take(end);
    if (out.empty()) refuse(fmt::format("{} has no value", of), "write it on the same line");
    return out;
  }

  void instruct(Modelfile& file) {
    const std::string found = word(), name = lower_case(found);
    if (name == "from") {
      file.from = value("FROM");
    } else if (name == "adapter") {
      file.adapters.push_back(value("ADAPTER"));
    } else if (name == "template") {
      file.chat_template = value("TEMPLATE");
    } else if (name == "system") {
      file.system = value("SYSTEM");
    } else if (name == "license") {
      file.licenses.push_back(value("LICENSE"));
    } else if (name == "parameter") {
      const std::string key = lower_case(word());
      set_parameter(file.parameters, key, value("PARAMETER " + key), fmt::format("{}:{}", where_, line_));
    } else if (name == "message") {
      const std::string role = lower_case(word());
      if (role != "system" && role != "user" && role != "assistant") refuse(fmt::format("MESSAGE from \"{}\"", role), "roles are system, user and assistant");
      file.messages.push_back({role, value("MESSAGE " + role)});
    } else if (name == "requires") {
      value("REQUIRES");  // the oldest Ollama that can run it: says nothing about hone
    } else {
      static const std::vector<std::string> known = {"from", "adapter", "template", "system", "license", "parameter", "message"};
      const std::string near = nearest(name, known);
      refuse(fmt::format("unknown instruction \"{}\"", found.substr(0, 40)), near.empty() ? "known: FROM, ADAPTER, PARAMETER, TEMPLATE, SYSTEM, MESSAGE, LICENSE" : fmt::format("did you mean \"{}\"?", near));
    }
  }

  std::string_view text_;
  const std::string& where_;
  int64_t line_ = 1;
};

std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && text.find('\n') == std::string::npos && text.find('"') == std::string::npos && !blank(text.front()) && !blank(text.back());
  if (plain) return text;
  return text.find('"') == std::string::npos ? "\"" + text + "\"" : "\"\"\"" + text + "\"\"\"";
}

template <class Number>
std::optional<Number> number(const std::string& text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace

void set_parameter(Json& parameters, const std::string& name, const std::string& value, const std::string& where) {
  const auto type = std::find_if(std::begin(kParameters), std::end(kParameters), [&](const ParameterType& p) { return name == p.name; });
  if (type == std::end(kParameters)) {
    std::vector<std::string> known;
    for (const ParameterType& p : kParameters) known.emplace_back(p.name);
    const std::string near = nearest(name, known);
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown parameter \"{}\"", name.substr(0, 40)), near.empty() ? "for example temperature, top_p, num_ctx, stop" : fmt::format("did you mean \"{}\"?", near));
  }
  const auto wrong = [&](const char* wanted) {
    return Error(ErrorCode::kInvalidInput, where, fmt::format("{} wants {}, found \"{}\"", name, wanted, value.substr(0, 40)), fmt::format("for example: PARAMETER {} 1", name));
  };
  if (type->kind == Kind::kStrings) {
    if (!parameters.contains(name)) parameters[name] = Json::array();
    parameters[name].push_back(value);
  } else if (type->kind == Kind::kBoolean) {
    const std::string word = lower_case(value);
    if (word != "true" && word != "false" && word != "1" && word != "0") throw wrong("true or false");
    parameters[name] = word == "true" || word == "1";
  } else if (type->kind == Kind::kInteger) {
    const auto n = number<int64_t>(value);
    if (!n) throw wrong("a whole number");
    parameters[name] = *n;
  } else {
    const auto n = number<double>(value);
    if (!n || !std::isfinite(*n)) throw wrong("a number");
    parameters[name] = *n;
  }
}

std::vector<std::pair<std::string, std::string>> parameter_lines(const Json& parameters) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto text = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.is_number_float() ? fmt::format("{}", value.get<double>()) : value.dump(); };
  if (!parameters.is_object()) return lines;
  for (const auto& [name, value] : parameters.items()) {
    if (value.is_array())
      for (const Json& one : value) lines.emplace_back(name, text(one));
    else lines.emplace_back(name, text(value));
  }
  return lines;
}

Modelfile parse_modelfile(std::string_view text, const std::string& where) { return Parser(text, where).parse(); }

std::string to_text(const Modelfile& file) {
  std::string out = "FROM " + quoted(file.from) + "\n";
  for (const std::string& adapter : file.adapters) out += "ADAPTER " + quoted(adapter) + "\n";
  if (file.chat_template) out += "TEMPLATE \"\"\"" + *file.chat_template + "\"\"\"\n";
  if (file.system) out += "SYSTEM \"\"\"" + *file.system + "\"\"\"\n";
  for (const auto& [name, value] : parameter_lines(file.parameters)) {
    const bool text = file.parameters[name].is_array() || file.parameters[name].is_string();
    out += fmt::format("PARAMETER {} {}\n", name, text ? (value.find('"') == std::string::npos ? "\"" + value + "\"" : "\"\"\"" + value + "\"\"\"") : value);
  }
  for (const ChatMessage& m : file.messages) out += "MESSAGE " + m.role + " " + quoted(m.content) + "\n";
  for (const std::string& license : file.licenses) out += "LICENSE \"\"\"" + license + "\"\"\"\n";
  return out;
}

}  // namespace hone::store
