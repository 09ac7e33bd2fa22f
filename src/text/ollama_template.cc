#include "text/ollama_template.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "text/ollama_nodes.h"

namespace hone::text {
namespace {

using ollama::Branch, ollama::literal, ollama::Node, ollama::Nodes, ollama::write;

constexpr int kMaxDepth = 64;

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool word_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool word_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// What an object's fields are called in the messages of chat templates; objects print as JSON.
struct Field {
  std::string_view name, jinja;
  bool json = false;
};
constexpr Field kFields[] = {{"Role", "role"}, {"Content", "content"}, {"Thinking", "reasoning_content"}, {"ToolCalls", "tool_calls", true}, {"ToolName", "name"}, {"ToolCallID", "tool_call_id"},
                             {"Function", "function", true}, {"Name", "name"}, {"Arguments", "arguments", true}, {"Description", "description"}, {"Parameters", "parameters", true}, {"Type", "type"},
                             {"Properties", "properties", true}, {"Required", "required", true}, {"Items", "items", true}, {"Enum", "enum", true}, {"Images", "images"}};

class OllamaTranslator {
 public:
  OllamaTranslator(std::string_view source, const std::string& where) : whole_(source), where_(where) {}

  std::string run() {
    Nodes nodes;
    body(nodes, 0, /*inside=*/false);
    std::string out = "{% set ns = namespace(system='', prompt='', response='') %}";
    const auto gather = [](const char* role, const char* name) {
      return fmt::format("{{% if m.role == '{0}' %}}{{% set ns.{1} = (ns.{1} + '\\n\\n' if ns.{1} else '') + m.content %}}{{% endif %}}", role, name);
    };
    if (uses_messages_) {
      out += "{% for m in messages %}" + gather("system", "system") + "{% endfor %}";
      write(nodes, out);
      return out;
    }
    if (!uses_response_) {
      nodes.push_back(std::make_unique<Node>(Node{Node::Kind::kOutput, "ns.response", {}, true}));
    }
    std::string full, cut;
    write(nodes, full);
    bool ended = false;
    write(nodes, cut, &ended);
    // An exchange is over when the next one begins.
    out += "{% for m in messages %}{% if (m.role == 'system' and (ns.prompt or ns.response)) or (m.role == 'user' and ns.response) %}" + full +
           "{% set ns.system = '' %}{% set ns.prompt = '' %}{% set ns.response = '' %}{% endif %}" + gather("system", "system") + gather("user", "prompt") + gather("assistant", "response") + "{% endfor %}";
    return out + "{% if ns.response and not add_generation_prompt %}" + full + "{% else %}" + cut + "{% endif %}";
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, const std::string& what) const {
    const auto line = 1 + std::count(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(std::min(begin_, whole_.size())), '\n');
    throw Error(code, fmt::format("{}:{}", where_, line), what, code == ErrorCode::kUnsupported ? "hone translates the common part of Ollama's template language; --chat-template names a Jinja template instead" : "correct the TEMPLATE");
  }

  // ---- text and actions ----

  // The next piece of the source: text (trimmed as its neighbours ask) or an action's inside.
  bool next(std::string& text, bool& action) {
    if (at_ >= whole_.size()) return false;
    begin_ = at_;
    action = whole_.substr(at_).starts_with("{{");
    if (!action) {
      size_t end = std::min(whole_.find("{{", at_), whole_.size());
      text = whole_.substr(at_, end - at_);
      at_ = end;
      if (trim_next_) text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
      if (whole_.substr(at_).starts_with("{{-") && at_ + 3 < whole_.size() && blank(whole_[at_ + 3])) text.erase(text.find_last_not_of(" \t\r\n") + 1);
      trim_next_ = false;
      return true;
    }
    const size_t end = end_of_action();
    std::string_view inside = whole_.substr(at_ + 2, end - at_ - 2);
    if (inside.size() > 1 && inside[0] == '-' && blank(inside[1])) inside.remove_prefix(1);
    trim_next_ = inside.size() > 1 && inside.back() == '-' && blank(inside[inside.size() - 2]);
    if (trim_next_) inside.remove_suffix(1);
    text = inside;
    at_ = end + 2;
    return true;
  }

  // Where "}}" stands outside of quotes.
  size_t end_of_action() const {
    for (size_t i = at_ + 2; i + 1 < whole_.size(); ++i) {
      const char c = whole_[i];
      if (c == '"' || c == '`') {
        for (++i; i < whole_.size() && whole_[i] != c; ++i)
          if (c == '"' && whole_[i] == '\\') ++i;
      } else if (c == '}' && whole_[i + 1] == '}') {
        return i;
      }
    }
    refuse(ErrorCode::kInvalidInput, "an action begins with {{ and never ends");
  }

  // Fills `nodes` up to the end, or inside a block up to its "else" or "end", which is returned.
  std::string body(Nodes& nodes, int depth, bool inside) {
    if (depth > kMaxDepth) refuse(ErrorCode::kUnsupported, "the template nests too deep");
    std::string piece;
    for (bool action = false; next(piece, action);) {
      if (!action) {
        if (!piece.empty()) nodes.push_back(std::make_unique<Node>(Node{Node::Kind::kText, piece, {}}));
        continue;
      }
      if (piece.find_first_not_of(" \t\r\n") != std::string::npos && piece.substr(piece.find_first_not_of(" \t\r\n")).starts_with("/*")) continue;
      action_ = piece;
      rest_ = action_;
      const std::string word = peek_word();
      if (word == "end" || word == "else") {
        if (!inside) refuse(ErrorCode::kInvalidInput, "{{ " + word + " }} without a beginning");
        take_word();
        return word;
      }
      if (word == "if" || word == "with") branches(nodes, depth);
      else if (word == "range") loop(nodes, depth);
      else if (word == "break" || word == "continue" || word == "template" || word == "define" || word == "block") refuse(ErrorCode::kUnsupported, "{{ " + word + " }}");
      else statement(nodes);
    }
    if (inside) refuse(ErrorCode::kInvalidInput, "a block is not closed with {{ end }}");
    return {};
  }

  void statement(Nodes& nodes) {
    spaces();
    if (rest_.starts_with("$") && rest_.find(":=") != std::string_view::npos) {
      const std::string name = variable();
      spaces();
      if (!rest_.starts_with(":=")) refuse(ErrorCode::kInvalidInput, "malformed assignment");
      rest_.remove_prefix(2);
      nodes.push_back(std::make_unique<Node>(Node{Node::Kind::kSet, name + " = " + pipeline(), {}}));
      return;
    }
    answers_ = json_ = false;
    std::string value = pipeline();
    if (json_) value = "(" + value + " | tojson)";
    nodes.push_back(std::make_unique<Node>(Node{Node::Kind::kOutput, value, {}, answers_}));
  }

  void branches(Nodes& nodes, int depth) {
    auto node = std::make_unique<Node>(Node{Node::Kind::kIf, {}, {}});
    const std::string before = dot_;
    const bool with = take_word() == "with";
    std::string condition = pipeline();
    if (with) dot_ = condition;
    for (;;) {
      node->branches.push_back({condition, {}});
      const std::string ended = body(node->branches.back().body, depth + 1, true);
      dot_ = before;
      if (ended == "end") break;
      const std::string more = peek_word();
      if (more == "if") {
        take_word();
        condition = pipeline();
      } else if (!more.empty()) {
        refuse(ErrorCode::kUnsupported, "{{ else " + more + " }}");
      } else {
        condition.clear();
      }
      if (node->branches.back().condition.empty()) refuse(ErrorCode::kInvalidInput, "a second {{ else }}");
    }
    nodes.push_back(std::move(node));
  }

  void loop(Nodes& nodes, int depth) {
    take_word();
    spaces();
    std::vector<std::string> names;
    if (rest_.starts_with("$") && rest_.find(":=") != std::string_view::npos) {
      names.push_back(variable());
      spaces();
      if (rest_.starts_with(",")) {
        rest_.remove_prefix(1);
        spaces();
        names.push_back(variable());
        spaces();
      }
      if (!rest_.starts_with(":=")) refuse(ErrorCode::kInvalidInput, "malformed range");
      rest_.remove_prefix(2);
    }
    const std::string list = pipeline(), before = dot_, element = fmt::format("d{}", ++loops_);
    const bool object = list.ends_with(".properties") || list.ends_with(".arguments");
    auto node = std::make_unique<Node>(Node{Node::Kind::kLoop, fmt::format("{} in {}", object ? "k" + element + ", " + element : element, object ? list + ".items()" : list), {}});
    node->branches.resize(1);
    const auto set = [&](const std::string& name, const std::string& value) { node->branches[0].body.push_back(std::make_unique<Node>(Node{Node::Kind::kSet, name + " = " + value, {}})); };
    if (names.size() == 2) set(names[0], object ? "k" + element : "loop.index0");
    if (!names.empty()) set(names.back(), element);
    dot_ = element;
    std::string ended = body(node->branches[0].body, depth + 1, true);
    dot_ = before;
    if (ended == "else") {
      node->branches.emplace_back();
      if (body(node->branches[1].body, depth + 1, true) != "end") refuse(ErrorCode::kInvalidInput, "a second {{ else }}");
    }
    nodes.push_back(std::move(node));
  }

  // ---- expressions ----

  void spaces() {
    while (!rest_.empty() && blank(rest_[0])) rest_.remove_prefix(1);
  }
  std::string peek_word() {
    spaces();
    size_t n = 0;
    if (!rest_.empty() && word_start(rest_[0]))
      while (n < rest_.size() && word_part(rest_[n])) ++n;
    return std::string(rest_.substr(0, n));
  }
  std::string take_word() {
    std::string word = peek_word();
    rest_.remove_prefix(word.size());
    return word;
  }
  std::string variable() {
    rest_.remove_prefix(1);
    const std::string name = take_word();
    if (name.empty()) refuse(ErrorCode::kInvalidInput, "a variable has no name");
    return "v_" + name;
  }

  // A whole action: commands joined by "|", nothing after them.
  std::string pipeline() {
    std::string value = piped(0);
    spaces();
    if (!rest_.empty()) refuse(rest_[0] == '=' ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput, fmt::format("unexpected \"{}\"", rest_.substr(0, 20)));
    return value;
  }

  std::string piped(int depth) {
    std::string value = command({}, depth);
    for (spaces(); rest_.starts_with("|"); spaces()) {
      rest_.remove_prefix(1);
      value = command(value, depth);
    }
    return value;
  }

  // A function with its arguments (the piped value last), or one term.
  std::string command(const std::string& last, int depth) {
    if (depth > kMaxDepth) refuse(ErrorCode::kUnsupported, "an expression nests too deep");
    const std::string word = peek_word();
    if (word.empty() || word == "true" || word == "false" || word == "nil") {
      const auto value = term(depth);
      if (!value) refuse(ErrorCode::kInvalidInput, "an expression is missing");
      if (!last.empty()) refuse(ErrorCode::kInvalidInput, "a value cannot take another one from \"|\"");
      return *value;
    }
    take_word();
    std::vector<std::string> args;
    while (auto value = term(depth)) args.push_back(std::move(*value));
    if (!last.empty()) args.push_back(last);
    return call(word, args);
  }

  std::string call(const std::string& name, const std::vector<std::string>& args) {
    json_ = false;
    const auto count = [&](size_t least, size_t most) {
      if (args.size() < least || args.size() > most) refuse(ErrorCode::kInvalidInput, fmt::format("{} takes {} arguments, found {}", name, least, args.size()));
    };
    const auto joined = [&](const char* by) {
      std::string out = "(" + args[0];
      for (size_t i = 1; i < args.size(); ++i) out += by + args[i];
      return out + ")";
    };
    if (name == "and" || name == "or") return count(1, 64), joined(name == "and" ? " and " : " or ");
    if (name == "not") return count(1, 1), "(not " + args[0] + ")";
    if (name == "len") return count(1, 1), "(" + args[0] + " | length)";
    if (name == "json") return count(1, 1), "(" + args[0] + " | tojson)";
    if (name == "index") return count(2, 2), args[0] + "[" + args[1] + "]";
    if (name == "slice") return count(2, 3), args[0] + "[" + args[1] + ":" + (args.size() == 3 ? args[2] : "") + "]";
    if (name == "eq") {
      count(2, 64);
      std::string out = "(" + args[0] + " == " + args[1];
      for (size_t i = 2; i < args.size(); ++i) out += " or " + args[0] + " == " + args[i];
      return out + ")";
    }
    for (const auto& [function, sign] : {std::pair{"ne", " != "}, {"lt", " < "}, {"le", " <= "}, {"gt", " > "}, {"ge", " >= "}})
      if (name == function) return count(2, 2), joined(sign);
    refuse(ErrorCode::kUnsupported, fmt::format("the function \"{}\"", name));
  }

  std::optional<std::string> term(int depth) {
    spaces();
    if (rest_.empty()) return std::nullopt;
    const char c = rest_[0];
    if (c == '(') {
      rest_.remove_prefix(1);
      std::string value = "(" + piped(depth + 1) + ")";
      spaces();
      if (!rest_.starts_with(")")) refuse(ErrorCode::kInvalidInput, "a parenthesis is not closed");
      rest_.remove_prefix(1);
      return fields(std::move(value));
    }
    if (c == '"' || c == '`') return string();
    if (std::isdigit(static_cast<unsigned char>(c)) || (c == '-' && rest_.size() > 1 && std::isdigit(static_cast<unsigned char>(rest_[1])))) {
      size_t n = 1;
      while (n < rest_.size() && (std::isdigit(static_cast<unsigned char>(rest_[n])) || rest_[n] == '.')) ++n;
      const std::string number(rest_.substr(0, n));
      rest_.remove_prefix(n);
      return number;
    }
    if (c == '$') {
      if (rest_.size() > 1 && word_start(rest_[1])) return fields(variable());
      rest_.remove_prefix(1);
      if (rest_.starts_with(".")) return root_field();
      refuse(ErrorCode::kUnsupported, "$ by itself");
    }
    if (c == '.') {
      if (rest_.size() < 2 || !word_start(rest_[1])) {
        rest_.remove_prefix(1);
        if (dot_.empty()) refuse(ErrorCode::kUnsupported, "{{ . }} outside of range and with");
        return dot_;
      }
      return dot_.empty() ? root_field() : fields(dot_);
    }
    const std::string word = peek_word();
    if (word == "true" || word == "false" || word == "nil") return take_word(), word == "nil" ? "none" : word;
    return std::nullopt;
  }

  std::string string() {
    const char quote = rest_[0];
    std::string value;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == quote) {
        rest_.remove_prefix(i + 1);
        return literal(value);
      }
      if (quote == '"' && rest_[i] == '\\' && i + 1 < rest_.size()) {
        const char e = rest_[++i];
        if (e != 'n' && e != 't' && e != '"' && e != '\\') refuse(ErrorCode::kUnsupported, fmt::format("\\{} in a string", e));
        value += e == 'n' ? '\n' : e == 't' ? '\t' : e;
      } else {
        value += rest_[i];
      }
    }
    refuse(ErrorCode::kInvalidInput, "a string is not closed");
  }

  std::string root_field() {
    rest_.remove_prefix(1);
    const std::string name = take_word();
    uses_messages_ = uses_messages_ || name == "Messages";
    uses_response_ = uses_response_ || name == "Response";
    if (name == "Response") return answers_ = true, "ns.response";
    if (name == "System") return "ns.system";
    if (name == "Prompt") return "ns.prompt";
    if (name == "Messages") return fields("messages");
    if (name == "Tools") return json_ = true, fields("tools");
    if (name == "Suffix" || name == "ThinkLevel") return "''";
    if (name == "Think" || name == "IsThinkSet") return "false";
    if (const std::string near = nearest(name, std::vector<std::string>{"System", "Prompt", "Response", "Messages", "Tools"}); !near.empty())
      refuse(ErrorCode::kInvalidInput, fmt::format("there is no value .{}; did you mean .{}?", name, near));
    refuse(ErrorCode::kUnsupported, fmt::format("the value .{}", name));
  }

  std::string fields(std::string value) {
    while (rest_.size() > 1 && rest_[0] == '.' && word_start(rest_[1])) {
      rest_.remove_prefix(1);
      const std::string name = take_word();
      const auto field = std::find_if(std::begin(kFields), std::end(kFields), [&](const Field& f) { return f.name == name; });
      if (field == std::end(kFields)) refuse(ErrorCode::kUnsupported, fmt::format("the field .{}", name));
      value += "." + std::string(field->jinja);
      json_ = field->json;
    }
    return value;
  }

  std::string_view whole_;
  std::string action_;      // the current one, without its braces
  std::string_view rest_;   // what of it is still to be read
  const std::string& where_;
  size_t at_ = 0, begin_ = 0;
  bool trim_next_ = false;
  std::string dot_;  // what "." stands for, as Jinja; empty: the root
  bool uses_messages_ = false, uses_response_ = false, answers_ = false, json_ = false;
  int loops_ = 0;
};

}  // namespace

std::string jinja_of_ollama(std::string_view source, const std::string& where) { return OllamaTranslator(source, where).run(); }

}  // namespace hone::text
