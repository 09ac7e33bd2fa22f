#include "store/modelfile.h"

#include <gtest/gtest.h>

#include "base/error.h"

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

TEST(Modelfile, NamesTheLineOfAnError) {
  EXPECT_NE(refusal("FROM a\n# x\nSYSTEM \"\"\"b\nc\n").find("Modelfile:3 "), std::string::npos) << refusal("FROM a\n# x\nSYSTEM \"\"\"b\nc\n");
  EXPECT_NE(refusal("FROM a\nSYSTEM \"\"\"b\nc\"\"\"\nWHAT x\n").find("Modelfile:4 unknown instruction \"WHAT\""), std::string::npos);
  for (const char* text : {"", "# only this", "FROM", "FROM \n", "SYSTEM a", "FROM a\nPARAMETER", "FROM a\nPARAMETER stop", "FROM a\nPARAMETER top_k 1.5", "FROM a\nPARAMETER temperature inf", "FROM a\nPARAMETER numa perhaps",
                           "FROM a\nPARAMETER wings 2", "FROM a\nMESSAGE user", "FROM a\nMESSAGE tool x", "FROM \"a", "FROM \"a\" b", "FROM a\nPARAMETER seed 99999999999999999999"})
    EXPECT_NE(refusal(text), "accepted") << text;
}

}  // namespace
}  // namespace hone::store
