// Patterns of module names as Python's re.fullmatch and PEFT's get_pattern_key read them.
#include "base/name_pattern.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hone {
namespace {

constexpr const char* kQuery = "model.layers.11.self_attn.q_proj";

TEST(NamePattern, TheWholeNameMustMatch) {
  EXPECT_TRUE(NamePattern(R"(.*\.(q|v)_proj)", "test").matches(kQuery));
  EXPECT_FALSE(NamePattern("q_proj", "test").matches(kQuery));
  EXPECT_FALSE(NamePattern(R"(.*\.q_pro)", "test").matches(kQuery));
  EXPECT_TRUE(NamePattern(R"(model\.layers\.(?P<layer>\d+)\..*_proj)", "test").matches(kQuery));
}

TEST(NamePattern, SuffixesBeginAfterADot) {
  for (const char* good : {"q_proj", "self_attn.q_proj", "layers.11.self_attn.q_proj", "^model.layers.11.self_attn.q_proj", "[qk]_proj", "k_proj|q_proj"})
    EXPECT_TRUE(NamePattern::suffix(good, "test").matches(kQuery)) << good;
  for (const char* other : {"proj", "_proj", "layers.1.self_attn.q_proj", "1.self_attn.q_proj", "q_proj.weight", "^q_proj"})
    EXPECT_FALSE(NamePattern::suffix(other, "test").matches(kQuery)) << other;
}

TEST(NamePattern, BadPatternsAreRefused) {
  for (const char* bad : {"(", "q_proj)|(v_proj", "*", "a{,3}", "[[:alpha:]]"}) EXPECT_THROW(NamePattern::suffix(bad, "test"), Error) << bad;
  EXPECT_THROW(NamePattern(std::string(20000, 'a'), "test"), Error);
  EXPECT_THROW(NamePattern("(a|aa)*[^a]", "test").matches(std::string(200, 'a')), Error) << "no pattern may run for ever";
}

}  // namespace
}  // namespace hone
