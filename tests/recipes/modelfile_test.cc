// The Modelfile of every known chat format: what Ollama is told must be what the chat template renders.
#include "recipes/modelfile.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace hone::recipes {
namespace {

// A tokenizer that knows these special tokens; the first is the begin token.
ModelFiles files_with(const std::string& chat, const std::vector<std::string>& special, bool add_bos, std::vector<int32_t> stops) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  vocab.tokens = special;
  vocab.types.assign(special.size(), 3);
  vocab.bos = 0;
  vocab.add_bos = add_bos;
  return {nullptr, text::Tokenizer::from_gguf(vocab, "test"), text::ChatTemplate::parse(chat, "test"), special[0], "<eos>", std::move(stops), -1};
}

std::string template_of(const std::string& modelfile) {
  const size_t begin = modelfile.find("TEMPLATE \"\"\"") + 12;
  return modelfile.substr(begin, modelfile.find("\"\"\"\n", begin) - begin);
}

TEST(Modelfile, ChatMl) {
  const std::string text = modelfile(files_with(text::chat_template_by_name("chatml"), {"<s>", "<|im_end|>"}, false, {1}), "/base.gguf", "/adapter.gguf");
  EXPECT_TRUE(text.starts_with("FROM /base.gguf\nADAPTER /adapter.gguf\n")) << text;
  EXPECT_EQ(template_of(text), "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
                               "{{ end }}<|im_start|>assistant\n{{ .Response }}<|im_end|>\n");
  EXPECT_TRUE(text.ends_with("PARAMETER stop \"<|im_end|>\"\n")) << text;
  EXPECT_EQ(text.find("SYSTEM"), std::string::npos);
}

TEST(Modelfile, BeginTokenThatOpensEveryTurn) {  // SmolLM2
  const std::string chat = text::chat_template_by_name("chatml");
  EXPECT_EQ(template_of(modelfile(files_with(chat, {"<|im_start|>"}, false, {}), "m", "")), template_of(modelfile(files_with(chat, {"<s>"}, false, {}), "m", "")));
}

TEST(Modelfile, Llama3) {
  constexpr const char* kTurns =
      "{{ if .System }}<|start_header_id|>system<|end_header_id|>\n\n{{ .System }}<|eot_id|>{{ end }}{{ if .Prompt }}<|start_header_id|>user<|end_header_id|>\n\n"
      "{{ .Prompt }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n{{ .Response }}<|eot_id|>";
  const std::string chat = text::chat_template_by_name("llama3");
  EXPECT_EQ(template_of(modelfile(files_with(chat, {"<|begin_of_text|>"}, /*add_bos=*/true, {}), "m", "")), kTurns) << "the runner adds the begin token";
  EXPECT_EQ(template_of(modelfile(files_with(chat, {"<|begin_of_text|>"}, /*add_bos=*/false, {}), "m", "")), std::string("<|begin_of_text|>") + kTurns)
      << "also where there is no system message";
}

TEST(Modelfile, DeepSeek) {
  EXPECT_EQ(template_of(modelfile(files_with(text::chat_template_by_name("deepseek"), {"<bos>"}, true, {}), "m", "")),
            "{{ if .System }}{{ .System }}{{ end }}{{ if .Prompt }}<｜User｜>{{ .Prompt }}{{ end }}<｜Assistant｜>{{ .Response }}<eos>");
  EXPECT_EQ(template_of(modelfile(files_with(text::chat_template_by_name("deepseek2"), {"<bos>"}, true, {}), "m", "")),
            "{{ if .System }}{{ .System }}\n\n{{ end }}{{ if .Prompt }}User: {{ .Prompt }}\n\n{{ end }}Assistant:{{ .Response }}<eos>");
}

TEST(Modelfile, OpensAThoughtWhereTheTemplateDoes) {
  const std::string chat = read_file(HONE_GOLDEN_DIR "/templates/templates/deepseek_like.jinja");
  EXPECT_EQ(template_of(modelfile(files_with(chat, {"<bos>"}, true, {}), "m", "")),
            "{{ if .System }}{{ .System }}{{ end }}{{ if .Prompt }}<｜User｜>{{ .Prompt }}{{ end }}<｜Assistant｜><think>\n{{ .Response }}<｜end▁of▁sentence｜>");
}

TEST(Modelfile, KeepsTheTemplatesOwnSystemMessage) {
  const std::string text = modelfile(files_with(read_file(HONE_GOLDEN_DIR "/templates/templates/chatml.jinja"), {"<s>"}, false, {}), "m", "");
  EXPECT_NE(text.find("SYSTEM \"\"\"You are helpful\"\"\"\n"), std::string::npos) << text;
}

TEST(Modelfile, RefusesTemplatesItCannotRead) {
  EXPECT_THROW(modelfile(files_with("{{ messages[0].content }}", {"<s>"}, false, {}), "m", ""), Error);
}

}  // namespace
}  // namespace hone::recipes
