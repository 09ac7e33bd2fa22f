// Templates of one turn, and penalties on logits.
#include <gmock/gmock.h>

#include "base/error.h"
#include "serve/models/penalties.h"
#include "serve/models/turn_template.h"

namespace hone::serve {
namespace {

TEST(TurnTemplate, Renders) {
  const std::string chat = "{{ if .System }}<s>{{ .System }}</s>\n{{ end }}{{- if .Prompt }}<u>{{ .Prompt }}</u>{{ else }}none{{ end }}<a>{{ .Response }}</a>";
  EXPECT_EQ(render_turn(chat, "", "hi").text, "<u>hi</u><a>");
  const text::RenderedPrompt prompt = render_turn(chat, "be kind", "hi");
  EXPECT_EQ(prompt.text, "<s>be kind</s>\n<u>hi</u><a>");
  EXPECT_THAT(prompt.words, testing::ElementsAre(std::pair<size_t, size_t>(3, 10), std::pair<size_t, size_t>(18, 20)));
  EXPECT_EQ(render_turn("a \n {{- .Prompt -}} \n b {{/* words */}}c", "", "x").text, "axb c");
  EXPECT_EQ(render_turn("{{ if .System }}s{{ else if .Prompt }}p{{ else }}n{{ end }}", "", "x").text, "p");
  EXPECT_EQ(render_turn("{{ if .Prompt }}{{ if .System }}s{{ else }}p{{ end }}{{ end }}", "", "x").text, "p");
  EXPECT_EQ(render_turn("{{ if .System }}{{ .Response }}{{ end }}{{ .Prompt }}", "", "{{ .System }}").text, "{{ .System }}");
}

TEST(TurnTemplate, RefusesTheRest) {
  for (const char* bad : {"{{", "{{ .Prompt", "{{ end }}", "{{ else }}", "{{ if .Prompt }}", "{{ if .Prompt }}{{ else }}{{ else }}{{ end }}", "{{ range .Messages }}{{ end }}", "{{ .Other }}", "{{ if and .System .Prompt }}{{ end }}"})
    EXPECT_THROW(render_turn(bad, "", "x"), Error) << bad;
}

TEST(Penalties, TakeOffWhatTheAnswerHolds) {
  Penalties penalties({.presence = 1, .frequency = 0.5f, .bias = {{0, 3.0f}, {99, 1.0f}}}, nullptr);
  for (const int32_t id : {1, 2, 2, 77}) penalties.accept(id);
  std::vector<float> logits(4, 0.0f);
  penalties.apply(logits);
  EXPECT_THAT(logits, testing::ElementsAre(3, -1.5f, -2, 0));
}

}  // namespace
}  // namespace hone::serve
