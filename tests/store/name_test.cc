#include "store/name.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hone::store {
namespace {

TEST(Name, FillsInWhatIsLeftOut) {
  EXPECT_EQ(parse_name("smollm2").full(), "registry.ollama.ai/library/smollm2:latest");
  EXPECT_EQ(parse_name("smollm2:135m").shortest(), "smollm2:135m");
  EXPECT_EQ(parse_name("me/x").shortest(), "me/x:latest");
  EXPECT_EQ(parse_name("localhost:5000/me/x:v1").full(), "localhost:5000/me/x:v1");
  EXPECT_EQ(parse_name("localhost:5000/me/x").tag, "latest");
  EXPECT_EQ(parse_name("https://registry.ollama.ai/library/x:y").shortest(), "x:y");
  EXPECT_EQ(parse_name("huggingface.co/Org.1/Repo.2:Q4_K_M").full(), "hf.co/Org.1/Repo.2:Q4_K_M");
  EXPECT_EQ(parse_name("x:y").path(), std::filesystem::path("registry.ollama.ai/library/x/y"));
}

TEST(Name, WhatItWritesItReadsBack) {
  for (const char* text : {"a", "a:b", "n/a:b", "h:1/n/a:b", "hf.co/o.o/r:f.gguf"}) {
    const ModelName name = parse_name(text);
    EXPECT_EQ(parse_name(name.full()), name);
    EXPECT_EQ(parse_name(name.shortest()), name);
  }
}

TEST(Name, RefusesEverythingThatIsNoSafeFileName) {
  for (const std::string& text : std::initializer_list<std::string>{"", ":", "/", "a:", ":a", "..", "../a", "a/..", "a/../b", "./a", "/a", "/a/b", "a//b", "a/b/c/d", "a b", "a\nb", "a:b:c", "a/b:c/d", ".a", "-a", "a:-b", "a.b/c", "a\\b",
                                 "h/n/../m:t", "é", "a*", "~/a", "hf.co/../x"})
    EXPECT_FALSE(try_name(text)) << text;
  EXPECT_FALSE(try_name(std::string("a\0b", 3)));
  EXPECT_TRUE(try_name(std::string(80, 'a')));
  EXPECT_FALSE(try_name(std::string(81, 'a')));
  EXPECT_THROW(parse_name("a b"), Error);
}

TEST(Name, PublishedNames) {
  EXPECT_EQ(published_name(parse_name("deepseek:7b"))->shortest(), "deepseek-llm:7b");
  EXPECT_EQ(published_name(parse_name("deepseek"))->shortest(), "deepseek-r1:latest");
  EXPECT_EQ(published_name(parse_name("deepseek:6.7b"))->shortest(), "deepseek-coder:6.7b");
  EXPECT_FALSE(published_name(parse_name("deepseek:9b")));
  EXPECT_FALSE(published_name(parse_name("me/deepseek:7b"))) << "only the default registry's names are short for others";
  EXPECT_FALSE(published_name(parse_name("deepseek-r1:7b")));
}

}  // namespace
}  // namespace hone::store
