// Ollama's templates, translated: what they render, by hand from the rules of its runner.
#include "text/ollama_template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/chat_template.h"

namespace hone::text {
namespace {

const Json kAsked = Json::parse(R"([{"role":"system","content":"S"},{"role":"user","content":"U1"},{"role":"assistant","content":"A1"},{"role":"user","content":"U2"}])");
const Json kAnswered = Json::parse(R"([{"role":"user","content":"U1"},{"role":"assistant","content":"A1"}])");

std::string rendered(const std::string& source, const Json& messages, bool generate) {
  RenderOptions options;
  options.add_generation_prompt = generate;
  return ChatTemplate::parse(jinja_of_ollama(source, "TEMPLATE"), "TEMPLATE").render(messages, options);
}

constexpr const char* kTurns = "{{ if .System }}<s>{{ .System }}\n{{ end }}{{ if .Prompt }}<u>{{ .Prompt }}\n{{ end }}<a>{{ .Response }}</a>\n";

TEST(OllamaTemplate, OncePerExchange) {
  EXPECT_EQ(rendered(kTurns, kAsked, true), "<s>S\n<u>U1\n<a>A1</a>\n<u>U2\n<a>");
  EXPECT_EQ(rendered(kTurns, kAnswered, false), "<u>U1\n<a>A1</a>\n");
  EXPECT_EQ(rendered("{{ .Prompt }}", kAnswered, false), "U1A1") << "the answer follows where a template does not say so";
  EXPECT_EQ(rendered("it's \\ {% raw %} {{ .Prompt }}", Json::parse(R"([{"role":"user","content":"{{ x }}"}])"), true), "it's \\ {% raw %} {{ x }}") << "text stays text";
}

TEST(OllamaTemplate, TrimsAsGoDoes) {
  EXPECT_EQ(rendered("a \n {{- if .Prompt }} b {{ .Prompt -}} \n c{{ end -}}  \n{{ .Response }}", kAnswered, true), "a b U1cA1") << "an answer that has begun is gone on with";
  EXPECT_EQ(rendered("{{/* note */}}x{{ .Prompt }}", kAnswered, true), "xU1A1");
}

TEST(OllamaTemplate, OverMessages) {
  const std::string source =
      "{{- range $i, $_ := .Messages }}\n{{- $last := eq (len (slice $.Messages $i)) 1 -}}\n<{{ .Role }}>{{ .Content }}{{ if not $last }}</>{{ end }}\n"
      "{{- if and $last (ne .Role \"assistant\") }}<assistant>{{ end }}\n{{- else }}none{{- end }}";
  EXPECT_EQ(rendered(source, kAsked, true), "<system>S</><user>U1</><assistant>A1</><user>U2<assistant>");
  EXPECT_EQ(rendered(source, Json::array(), true), "none");
  EXPECT_EQ(rendered("[{{ .System }}]{{ range .Messages }}{{ if eq .Role \"user\" \"assistant\" }}{{ .Content }};{{ else if eq .Role \"system\" }}-{{ end }}{{ end }}", kAsked, true), "[S]-U1;A1;U2;");
  EXPECT_EQ(rendered("{{ range .Messages }}{{ with .Content }}{{ . }},{{ end }}{{ end }}{{ len .Messages }}{{ index .Messages 0 | json }}", kAnswered, true).substr(0, 7), "U1,A1,2");
}

TEST(OllamaTemplate, RefusesTheRest) {
  for (const char* broken : {"{{ .Prompt", "{{ if .Prompt }}x", "{{ end }}", "{{ else }}", "{{ if .Prompt }}{{ else }}{{ else }}{{ end }}", "{{ (eq 1 1 }}", "{{ \"x }}", "{{ eq 1 }}", "{{ }}", "{{ $ := 1 }}"}) {
    try {
      jinja_of_ollama(broken, "T");
      ADD_FAILURE() << broken;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput) << broken << ": " << error.what();
      EXPECT_TRUE(error.where().starts_with("T:1")) << error.where();
    }
  }
  for (const char* unknown : {"{{ printf \"x\" }}", "{{ define \"x\" }}{{ end }}", "{{ range .Messages }}{{ break }}{{ end }}", "{{ .Wings }}", "{{ range .Messages }}{{ .Wings }}{{ end }}", "{{ $x := 1 }}{{ $x = 2 }}", "{{ . }}"})
    EXPECT_THROW(jinja_of_ollama(unknown, "T"), Error) << unknown;
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "{{ if .Prompt }}";
  EXPECT_THROW(jinja_of_ollama(deep, "T"), Error);
  EXPECT_THROW(jinja_of_ollama("{{ " + std::string(100000, '(') + " }}", "T"), Error);
}

}  // namespace
}  // namespace hone::text
