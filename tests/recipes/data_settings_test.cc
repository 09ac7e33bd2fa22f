#include "recipes/data_settings.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace hone::recipes {
namespace {

void refused(const std::string& yaml, const std::string& part) {
  try {
    parse_class_rules(yaml, "rules.yaml");
    FAIL() << "accepted: " << yaml;
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(ClassRules, ListsAndConditions) {
  const auto rules = parse_class_rules("Translation: [Translate, 翻译]\npoem: {all: [write, poem], none: code, starts: [Compose a]}\n", "rules.yaml");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].name, "Translation");
  EXPECT_EQ(rules[0].any, (std::vector<std::string>{"translate", "翻译"}));
  EXPECT_EQ(rules[1].all, (std::vector<std::string>{"write", "poem"}));
  EXPECT_EQ(rules[1].none, std::vector<std::string>{"code"});
  EXPECT_EQ(rules[1].starts, std::vector<std::string>{"compose a"});
}

TEST(ClassRules, SayWhatIsWrongAndWhere) {
  refused("- a\n", "rules.yaml");
  refused("", "rules.yaml");
  refused("a: [x]\nb: {some: [y]}\n", "rules.yaml:2");
  refused("a: {none: [x]}\n", "fits no row");
  refused("a: [x, [y]]\n", "rules.yaml:1");
  refused("a: ['!!']\n", "no letter");
  refused("a: [x\n", "is not YAML");
  refused("a:\n", "no words");
}

// The rules that come with the project cover more kinds than a data set is asked for.
TEST(ClassRules, OfTheExample) {
  const auto rules = load_class_rules(std::string(HONE_SOURCE_DIR) + "/examples/data/instructions.yaml");
  EXPECT_GE(rules.size(), 20u);
  const auto class_of = [&](const char* prompt) {
    for (const auto& rule : rules)
      if (rule.fits(prompt)) return rule.name;
    return std::string("none");
  };
  EXPECT_EQ(class_of("translate this sentence"), "translation");
  EXPECT_EQ(class_of("请把这段话翻译成英文"), "translation");
  EXPECT_EQ(class_of("写一首关于秋天的诗"), "poetry and songs");
  EXPECT_EQ(class_of("how do i boil an egg"), "how-to");
  EXPECT_EQ(class_of("zzz"), "none");
}

TEST(CheckSettings, WordsCountAfterTheFile) {
  const auto settings = load_check_settings("", {"limits.duplicates=7", "similarity=0.7", "limits.duplicates=9"});
  EXPECT_EQ(settings.limits[static_cast<size_t>(data::Measure::kDuplicates)]->value, 9);
  EXPECT_EQ(settings.similarity, 0.7);
  EXPECT_THROW(load_check_settings("", {"similarity"}), Error);
  EXPECT_THROW(load_check_settings("no-such-file.yaml", {}), Error);
}

}  // namespace
}  // namespace hone::recipes
