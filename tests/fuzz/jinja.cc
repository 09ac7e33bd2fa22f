// A chat template, and after a line "====" the conversation it renders: as a prompt, and for training.
#include "fuzz/target.h"
#include "text/chat_turns.h"

namespace hone::fuzz {
namespace {

constexpr std::string_view kMark = "\n====\n";

void run_jinja(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, size);
  const size_t mark = text.rfind(kMark);
  const auto chat = text::ChatTemplate::parse(std::string(text.substr(0, mark)), "template");
  text::Json messages = text::Json::parse(R"([{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}])");
  if (mark != std::string_view::npos)
    if (text::Json given = text::Json::parse(text.substr(mark + kMark.size()), nullptr, /*allow_exceptions=*/false); given.is_array()) messages = std::move(given);
  text::RenderOptions options{.bos_token = "<s>", .eos_token = "</s>", .tools = {}, .extra = {}, .date = "2024-01-02"};
  part([&] {
    for (const text::LearnedTurn& turn : text::learned_turns(chat, text::reasoning_form(chat, options), messages, options)) {
      hold(turn.begin <= turn.text.size() && turn.message < messages.size(), "what is learned lies within the text");
      size_t last = turn.begin;
      for (const size_t cut : turn.cuts) {
        hold(last <= cut && cut <= turn.text.size(), "cuts are sorted and lie within what is learned");
        last = cut;
      }
    }
  });
  options.add_generation_prompt = true;
  const text::RenderedPrompt prompt = chat.render_prompt(messages, options);
  for (const auto& [begin, end] : prompt.words) hold(begin <= end && end <= prompt.text.size(), "the words of a prompt lie within it");
  hold(prompt.text == chat.render(messages, options), "knowing who wrote what changes no text");
}

const Registered registered_jinja({"jinja", run_jinja, 200,
                             {"{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "if ", "{% else %}", "{% elif ", "{% endif %}", "{% for m in messages %}", "{% endfor %}", "{% set x = ", "{% set ns = namespace(a=0) %}", "{% macro f(a, b=1) %}", "{% endmacro %}",
                              "{% generation %}", "{% endgeneration %}", "{% call f() %}", "{% filter upper %}", "{% break %}", "{% raw %}", "{% endraw %}", "messages", "message", ".role", "['content']", "loop.index0", "loop.previtem", "loop.last", "range(",
                              "range(1000000000)", "| tojson(indent=4)", "| trim", "| length", "| join(', ')", "| selectattr('role', 'equalto', 'user')", "| map(attribute='content')", "| list", "| items", "| upper", "| default('')", "| replace('a', 'bb')",
                              "| first", "| last", "| sort", "| reverse", "| int", "| string", "| batch(2)", "| indent(4)", "| safe", "[::-1]", "[1:]", "[-1]", " is defined", " is string", " in ", " not in ", "~", "**", "//", "% 2", ".split(' ')", ".strip()",
                              ".startswith('a')", ".format(1)", "'a' * 1000000", "'%s' % x", "raise_exception('x')", "strftime_now('%d %b %Y')", "bos_token", "add_generation_prompt", "true", "none", "lambda", "\n====\n"},
                             {"templates/templates/chatml.jinja", "templates/templates/deepseek_like.jinja", "templates/templates/generation.jinja", "templates/templates/macros.jinja", "templates/templates/refuses.jinja", "templates/templates/thinking.jinja"}});

}  // namespace
}  // namespace hone::fuzz
