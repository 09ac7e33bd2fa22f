#include "store/modelfile.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "store/parameters.h"

namespace hone::store {
namespace {

std::string refusal(const std::string& text) {
  try {
    parse_modelfile(text, "Modelfile");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.where() + " " + error.message();
  }
  return "accepted";
}

TEST(Modelfile, ReadsEveryInstruction) {
  const Modelfile file = parse_modelfile(
      "\xEF\xBB\xBF# made by hand\r\nfrom  ./a model.gguf \r\n\nADAPTER x\nTEMPLATE \"\"\"{{ .Prompt }}\n\"\"\"\nSystem \"be\nbrief\"\nPARAMETER stop \" a\"\nPARAMETER stop b\nparameter TEMPERATURE 1\n"
      "PARAMETER use_mmap true\nMESSAGE user Hello there\nMESSAGE assistant \"\"\"say \"hi\" \"\"\"\nLICENSE one\nLICENSE two",
      "Modelfile");
  EXPECT_EQ(file.from, "./a model.gguf");
  EXPECT_EQ(file.adapters, std::vector<std::string>{"x"});
  EXPECT_EQ(file.chat_template, "{{ .Prompt }}\n");
  EXPECT_EQ(file.system, "be\nbrief");
  EXPECT_EQ(file.parameters.dump(), R"({"stop":[" a","b"],"temperature":1.0,"use_mmap":true})");
  ASSERT_EQ(file.messages.size(), 2u);
  EXPECT_EQ(file.messages[1].content, "say \"hi\" ");
  EXPECT_EQ(file.licenses, (std::vector<std::string>{"one", "two"}));
}

TEST(Modelfile, WhatItWritesItReadsBack) {
  Modelfile file;
  file.from = " odd name ";
  file.adapters = {"a"};
  file.chat_template = "{{ if .System }}\"{{ .System }}\"{{ end }}";
  file.system = "\n";
  for (const auto& [name, value] : {std::pair{"stop", "<|x|>"}, {"stop", "\n\nUser:"}, {"stop", "say \"x\" now"}, {"top_k", "40"}, {"top_p", "0.25"}, {"numa", "false"}}) set_parameter(file.parameters, name, value, "test");
  file.messages = {{"user", "two\nlines"}, {"assistant", "a \"b\" c"}};
  file.licenses = {"long\ntext"};
  const Modelfile back = parse_modelfile(to_text(file), "text");
  EXPECT_EQ(to_text(back), to_text(file));
  EXPECT_EQ(back.from, file.from);
  EXPECT_EQ(back.chat_template, file.chat_template);
  EXPECT_EQ(back.system, file.system);
  EXPECT_EQ(back.parameters, file.parameters);
  EXPECT_EQ(back.messages[1].content, file.messages[1].content);
  EXPECT_EQ(back.licenses, file.licenses);
}

// Pieces of which texts are made that are hard to write: quotes, line ends, spaces, comments, escapes, bytes that are no UTF-8.
std::string hard_text(const Rng& rng, uint64_t& draw, size_t most) {
  static const std::vector<std::string> pieces = {"\"", "\"\"\"", "\n", "\r\n", "\r", " ", "\t", "a", "FROM x", "SYSTEM \"", "#", " # b", "\\", "\\n", "=", "{{ .Prompt }}", "你好", "\u2028", "\u00a0", "\xff", std::string(1, '\0')};
  std::string text;
  for (size_t n = static_cast<size_t>(rng.uniform(draw++) * static_cast<double>(most + 1)); n > 0; --n) text += pieces[static_cast<size_t>(rng.uniform(draw++) * static_cast<double>(pieces.size()))];
  return text;
}

TEST(Modelfile, AnyContentComesBack) {
  const Rng rng{7, Rng::kSample, 0};
  uint64_t draw = 0;
  size_t with_escapes = 0;
  for (int i = 0; i < 4000; ++i) {
    Modelfile file;
    const auto text = [&] { return hard_text(rng, draw, 6); };
    file.from = "x" + text();
    if (i % 3 == 0) file.adapters = {"y" + text()};
    if (i % 2 == 0) file.chat_template = text();
    if (i % 5 != 0) file.system = text();
    for (int n = i % 3; n > 0; --n) set_parameter(file.parameters, "stop", text(), "test");
    set_parameter(file.parameters, "top_p", "0.25", "test");
    for (int n = i % 4; n > 0; --n) file.messages.push_back({n % 2 ? "user" : "assistant", text()});
    if (i % 7 == 0) file.licenses = {text(), text()};
    const std::string written = to_text(file);
    const Modelfile back = parse_modelfile(written, "Modelfile");
    ASSERT_EQ(back.from, file.from) << written;
    ASSERT_EQ(back.adapters, file.adapters) << written;
    ASSERT_EQ(back.chat_template, file.chat_template) << written;
    ASSERT_EQ(back.system, file.system) << written;
    ASSERT_EQ(back.parameters, file.parameters) << written;
    ASSERT_EQ(back.licenses, file.licenses) << written;
    ASSERT_EQ(back.messages.size(), file.messages.size()) << written;
    for (size_t m = 0; m < file.messages.size(); ++m) ASSERT_TRUE(back.messages[m].role == file.messages[m].role && back.messages[m].content == file.messages[m].content) << written;
    ASSERT_EQ(to_text(back), written);
    with_escapes += written.find("SYSTEM= ") != std::string::npos;
  }
  EXPECT_GT(with_escapes, 0u);
  EXPECT_LT(with_escapes, 800u) << "what Ollama's language can say is said in it";
}

TEST(Modelfile, WritesWhatOllamaReads) {
  Modelfile file;
  file.from = "./a model.gguf";
  file.system = "say \"x\"";
  file.chat_template = "{{ .Prompt }}\n";
  file.messages = {{"user", "Hello \"there\""}, {"assistant", "\"Hi\nyou\""}, {"user", ""}, {"user", " x"}, {"assistant", "a # b"}, {"user", "a\"\"\"\nb"}};
  set_parameter(file.parameters, "stop", "</s>", "test");
  file.parameters["wings"] = 2;
  EXPECT_EQ(to_text(file), "FROM ./a model.gguf\nTEMPLATE \"\"\"{{ .Prompt }}\n\"\"\"\nSYSTEM \"\"\"say \"x\"\"\"\"\nPARAMETER stop \"</s>\"\n# hone knows no parameter \"wings\": \"2\"\n"
                           "MESSAGE user Hello \"there\"\nMESSAGE assistant \"\"\"\"Hi\nyou\"\"\"\"\nMESSAGE user \"\"\nMESSAGE user \" x\"\nMESSAGE assistant a # b\nMESSAGE= user \"a\\\"\\\"\\\"\\nb\"\n");
}

// As Ollama's own documentation has them, and as people write them.
TEST(Modelfile, ReadsOllamasForms) {
  Modelfile file = parse_modelfile(
      "FROM llama3.2\n# sets the temperature to 1 [higher is more creative, lower is more coherent]\nPARAMETER temperature 1\nPARAMETER num_ctx 4096\n\n"
      "# sets a custom system message\nSYSTEM You are Mario from super mario bros, acting as an assistant.\n", "Modelfile");
  EXPECT_EQ(file.system, "You are Mario from super mario bros, acting as an assistant.");
  EXPECT_EQ(file.parameters.dump(), R"({"temperature":1.0,"num_ctx":4096})");
  file = parse_modelfile(
      "# Modelfile generated by \"ollama show\"\n# To build a new Modelfile based on this one, replace the FROM line with:\n# FROM llama3.2:latest\n"
      "FROM /Users/x/.ollama/models/blobs/sha256-00\nTEMPLATE \"\"\"{{ if .System }}<|start|>\n\n{{ .System }}{{ end }}\n\n{{ .Response }}<|eot_id|>\"\"\"\n"
      "PARAMETER stop \"<|start_header_id|>\"\nPARAMETER stop \"AI assistant:\"\nLICENSE \"\"\"\nmine\n\"\"\"\nREQUIRES 0.14.0\nRENDERER qwen3-coder\nPARSER qwen3-coder\nDRAFT ./draft.gguf\nPARAMETER draft_num_predict 4\n"
      "MESSAGE user Is Toronto in Canada?\nMESSAGE assistant yes\nMESSAGE system \"\"\"say \"x\" \"\"\"", "Modelfile");
  EXPECT_EQ(file.chat_template, "{{ if .System }}<|start|>\n\n{{ .System }}{{ end }}\n\n{{ .Response }}<|eot_id|>");
  EXPECT_EQ(file.licenses, std::vector<std::string>{"\nmine\n"});
  EXPECT_EQ(file.parameters["stop"].dump(), R"(["<|start_header_id|>","AI assistant:"])");
  EXPECT_EQ(file.messages[2].content, "say \"x\" ");
  EXPECT_EQ(file.notes.size(), 4u) << "renderer, parser, draft and its parameter";
  // Quotes inside lines, CRLF, a comment behind a name and a number, quotes that end a line with spaces behind them.
  file = parse_modelfile("FROM ./smol.gguf       # a model\r\nADAPTER \"./a # b\" # quoted\r\nPARAMETER temperature 0.2    # one line per parameter\r\nPARAMETER stop # x\r\n"
                         "SYSTEM \"\"\"one\r\n\"two\" \"\"\"three\r\nfour\"\"\"  \r\nMESSAGE user say \"x\"\r\nMESSAGE assistant \"say \"x\" now\"\r\nMESSAGE user # a heading\r\n", "Modelfile");
  EXPECT_EQ(file.from, "./smol.gguf");
  EXPECT_EQ(file.adapters, std::vector<std::string>{"./a # b"});
  EXPECT_EQ(file.parameters.dump(), R"({"temperature":0.2,"stop":["# x"]})");
  EXPECT_EQ(file.system, "one\r\n\"two\" \"\"\"three\r\nfour");
  EXPECT_EQ(file.messages[0].content, "say \"x\"");
  EXPECT_EQ(file.messages[1].content, "say \"x\" now");
  EXPECT_EQ(file.messages[2].content, "# a heading");
}

TEST(Modelfile, ReadsUtf16) {
  std::string text = "\xff\xfe";
  for (const char c : std::string("FROM ./smol.gguf\r\nSYSTEM hi\r\n")) (text += c) += '\0';
  const Modelfile file = parse_modelfile(text, "Modelfile");
  EXPECT_EQ(file.from, "./smol.gguf");
  EXPECT_EQ(file.system, "hi");
}

TEST(Parameters, AreCheckedWhenTheyAreSet) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const auto& [name, value] : {std::pair{"temperature", "-1"}, {"top_p", "7"}, {"top_k", "1.5"}, {"min_p", "nan"}, {"repeat_penalty", "0"}, {"num_predict", "-3"}, {"num_ctx", "99999999999"}, {"seed", "x"},
                                    {"typical_p", "0.5"}, {"presence_penalty", "3"}, {"numa", "perhaps"}, {"temprature", "1"}})
    EXPECT_THROW(set_parameter(all, name, value, "test"), Error) << name;
  EXPECT_THROW(set_parameter(all, "stop", std::string(2000, 'x'), "test"), Error);
  EXPECT_TRUE(all.empty());
  EXPECT_NE(set_parameter(all, "mirostat", "2", "test").find("passed over"), std::string::npos);
  EXPECT_NE(set_parameter(all, "penalize_newline", "true", "test"), "");
  EXPECT_TRUE(all.empty()) << "what Ollama passes over is not kept";
  EXPECT_NE(set_parameter(all, "num_gpu", "3", "test").find("no effect"), std::string::npos);
  EXPECT_EQ(set_parameter(all, "typical_p", "1", "test"), "");
  EXPECT_EQ(set_parameter(all, "temperature", "0.5", "test"), "");
  EXPECT_EQ(all.dump(), R"({"num_gpu":3,"typical_p":1.0,"temperature":0.5})");
  for (int i = 0; i < 64; ++i) set_parameter(all, "stop", "x", "test");
  EXPECT_THROW(set_parameter(all, "stop", "x", "test"), Error);
}

TEST(Parameters, OfAModelNeverStopIt) {
  const auto stored = nlohmann::ordered_json::parse(
      R"({"temperature": 0.5, "top_p": 7, "top_k": "many", "stop": ["a", ""], "mirostat": 2, "typical_p": 0.3, "wings": {"a": 1}, "num_gpu": 99, "seed": 18446744073709551615, "num_ctx": 4096, "min_p": null})");
  std::vector<std::string> notes;
  EXPECT_EQ(usable_parameters(stored, notes).dump(), R"({"temperature":0.5,"stop":["a",""],"num_ctx":4096})");
  EXPECT_EQ(notes.size(), 7u);
  EXPECT_EQ(usable_parameters(nlohmann::ordered_json::parse("[1]"), notes).dump(), "{}");
}

TEST(Parameters, TheDocumentedTableIsThisOne) {
  const std::string page = read_file(HONE_SOURCE_DIR "/docs/modelfile.md");
  EXPECT_NE(page.find(parameter_table()), std::string::npos) << "docs/modelfile.md should hold:\n" << parameter_table();
}

TEST(Modelfile, NamesTheLineOfAnError) {
  EXPECT_NE(refusal("FROM a\n# x\nSYSTEM \"\"\"b\nc\n").find("Modelfile:3 "), std::string::npos) << refusal("FROM a\n# x\nSYSTEM \"\"\"b\nc\n");
  EXPECT_NE(refusal("FROM a\nSYSTEM \"\"\"b\nc\"\"\"\nWHAT x\n").find("Modelfile:4 unknown instruction \"WHAT\""), std::string::npos);
  for (const char* text : {"", "# only this", "FROM", "FROM \n", "SYSTEM a", "FROM a\nPARAMETER", "FROM a\nPARAMETER stop", "FROM a\nPARAMETER top_k 1.5", "FROM a\nPARAMETER temperature inf", "FROM a\nPARAMETER numa perhaps",
                           "FROM a\nPARAMETER wings 2", "FROM a\nMESSAGE user", "FROM a\nMESSAGE tool x", "FROM \"a", "FROM \"a\" b", "FROM a\nPARAMETER seed 99999999999999999999", "FROM a\nFROM b", "FROM a\nSYSTEM \"\"\"b\"\"\" c\nSYSTEM \"\"\"d\"\"\"",
                           "FROM a\nMESSAGE user \"Hello\" she said\nMESSAGE assistant \"x\"", "FROM a\nSYSTEM= x", "FROM a\nSYSTEM= \"\\x\"", "FROM a\nSYSTEM= \"x", "FROM a\nSYSTEM= \"x\" y", "FROM # a", "\xff\xfe" "F"})
    EXPECT_NE(refusal(text), "accepted") << text;
}

}  // namespace
}  // namespace hone::store
