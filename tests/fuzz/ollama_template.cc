// An Ollama TEMPLATE: what it becomes is Jinja that parses, and renders within its budget.
#include "fuzz/target.h"
#include "text/chat_template.h"
#include "text/ollama_template.h"

namespace hone::fuzz {
namespace {

void run_ollama_template(const uint8_t* data, size_t size) {
  const std::string jinja = text::jinja_of_ollama(text_of(data, size), "TEMPLATE");
  const auto chat = text::ChatTemplate::parse(jinja, "TEMPLATE");
  const text::Json messages = text::Json::parse(R"([{"role":"system","content":"be brief"},{"role":"user","content":"hi"},
    {"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","content":"2"},{"role":"user","content":"and?"}])");
  text::RenderOptions options;
  options.add_generation_prompt = true;
  options.tools = text::Json::parse(R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}])");
  chat.render_prompt(messages, options);
}

const Registered registered_ollama_template({"ollama_template", run_ollama_template, 2500,
                             {"{{", "}}", "{{-", "-}}", "{{ if ", "{{ else }}", "{{ else if ", "{{ end }}", "{{ range ", "{{ range $i, $m := .Messages }}", "{{ with ", ".System", ".Prompt", ".Response", ".Messages", ".Role", ".Content", ".Tools",
                              ".ToolCalls", ".Function.Name", ".Function.Arguments", "$", "$x", ":=", "=", "|", "eq ", "ne ", "lt ", "and ", "or ", "not ", "len ", "slice ", "index ", "json ", "{{/*", "*/}}", "{{ break }}", "{{ continue }}",
                              "{{ define \"x\" }}", "{{ template \"x\" . }}", "(", ")", "\"user\"", "`raw`", "'c'", "{%", "%}", "{#"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
