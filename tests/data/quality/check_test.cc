#include "data/quality/check.h"

#include <gmock/gmock.h>

#include <set>

#include "data/data_fixture.h"
#include "data/quality/field.h"
#include "data/quality/text_vectors.h"

namespace hone::data {
namespace {

const BadRowLimit kAnyShare{BadRowLimit::Unit::kShare, 1};

std::string chat(const std::string& prompt, const std::string& answer) {
  return Json{{"messages", {{{"role", "system"}, {"content", "Always the same system words, in every row, long enough to make rows alike."}}, {{"role", "user"}, {"content", prompt}}, {{"role", "assistant"}, {"content", answer}}}}}.dump() + "\n";
}

Rows rows_in(const std::string& path) { return Rows({DatasetConfig{path, Container::kAuto, Format::kAuto, {}, 0, 1}}, kAnyShare); }

TEST(Check, CountsEachKind) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 50; ++i) bytes += chat("question number " + std::to_string(i * 104729) + " about things", "answer " + std::to_string(i * 7) + " is here");
  bytes += chat("Question number 0, about things!", "Answer 0 is here.");                                     // 51: repeats line 1
  bytes += chat("question number 0 about things", "something else entirely, quite another text than before");  // 52: contradicts it
  bytes += chat("mail anna@example.org about it", "done");                                                     // 53
  bytes += chat("use this key", "sk-abcdefghijklmnopqrstuv123456");                                            // 54
  bytes += chat("caf\xC3\x83\xC2\xA9 au lait", "yes");                                                         // 55
  bytes += chat("x", "");                                                                                      // 56: empty answer
  bytes += "{]\n";                                                                                             // 57
  bytes += chat("a long story about a very long road", std::string(400, 'y'));                                 // 58
  bytes += chat("refuse me", "no");                                                                            // 59
  const Rows rows = rows_in(folder.file("a.jsonl", bytes));
  const Rows held_out = rows_in(folder.file("h.jsonl", chat("question number 104729 about things", "?") + chat("nothing of the kind was asked before", "right")));
  ByteEncoder encoder;
  encoder.refused = "refuse me";
  CheckSettings settings;
  settings.cutoff_length = 300;
  const CheckReport report = check_rows(rows, &held_out, &encoder, settings, nullptr, {});
  const std::map<Measure, std::pair<int64_t, int64_t>> wanted = {{Measure::kMalformed, {2, 61}}, {Measure::kEmpty, {1, 61}},     {Measure::kEncoding, {1, 57}}, {Measure::kDuplicates, {1, 57}},
                                                                 {Measure::kConflicting, {1, 57}}, {Measure::kLeakage, {1, 2}}, {Measure::kTooLong, {1, 57}},  {Measure::kTemplate, {1, 57}},
                                                                 {Measure::kPii, {1, 57}},         {Measure::kSecrets, {1, 57}}};
  for (const auto& [measure, figures] : wanted) {
    EXPECT_EQ(report.of(measure).rows, figures.first) << name(measure);
    EXPECT_EQ(report.of(measure).of, figures.second) << name(measure);
    ASSERT_FALSE(report.of(measure).examples.empty()) << name(measure);
  }
  EXPECT_THAT(report.of(Measure::kDuplicates).examples[0].where, testing::EndsWith("a.jsonl:51"));
  EXPECT_THAT(report.of(Measure::kDuplicates).examples[0].text, testing::HasSubstr("a.jsonl:1"));
  EXPECT_THAT(report.of(Measure::kLeakage).examples[0].text, testing::HasSubstr("a.jsonl:2"));
  EXPECT_THAT(report.of(Measure::kPii).examples[0].text, testing::Not(testing::HasSubstr("anna")));
  EXPECT_THAT(report.of(Measure::kSecrets).examples[0].text, testing::Not(testing::HasSubstr("qrstuv")));
  EXPECT_THAT(report.broken, testing::Contains(testing::HasSubstr("leakage")));
  EXPECT_THAT(report.broken, testing::Contains(testing::HasSubstr("secrets")));
  EXPECT_THAT(report.broken, testing::Not(testing::Contains(testing::HasSubstr("pii"))));
  EXPECT_EQ(report.tokens->rows, 56);
}

TEST(Check, WithoutTokenizerAndHeldOutRowsSaysSo) {
  TempFolder folder;
  const Rows rows = rows_in(folder.file("a.jsonl", chat("a", "b")));
  const CheckReport report = check_rows(rows, nullptr, nullptr, {}, nullptr, {});
  for (const Measure m : {Measure::kLeakage, Measure::kTooLong, Measure::kTemplate}) EXPECT_FALSE(report.of(m).looked) << name(m);
  EXPECT_TRUE(report.broken.empty());
  EXPECT_FALSE(report.tokens);
}

TEST(Check, LabelsAndTheirBand) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 30; ++i) bytes += chat("question " + std::to_string(i), i < 20 ? R"({"level": "a"})" : R"({"level": "b"})");
  const Rows rows = rows_in(folder.file("a.jsonl", bytes));
  CheckSettings settings;
  settings.label = "answer.level";
  settings.unbalanced = 0;
  settings.limits.fill(std::nullopt);
  const CheckReport report = check_rows(rows, nullptr, nullptr, settings, nullptr, {});
  ASSERT_TRUE(report.labels);
  EXPECT_EQ(report.labels->classes[0].name, "a");
  EXPECT_NEAR(report.labels->classes[0].ratio, 20 / 15.0, 1e-9);
  EXPECT_EQ(report.labels->in_band, 0);
  EXPECT_THAT(report.broken, testing::ElementsAre(testing::HasSubstr("2 of 2 classes")));
  settings.label = "nowhere";
  expect_error(ErrorCode::kInvalidInput, {"no row has the field", "nowhere"}, [&] { check_rows(rows, nullptr, nullptr, settings, nullptr, {}); });
}

TEST(Settings, ByNameWithNearestName) {
  CheckSettings settings;
  set_check_value(settings, "limits.duplicates", "12%", "x");
  EXPECT_DOUBLE_EQ(settings.limits[static_cast<size_t>(Measure::kDuplicates)]->value, 0.12);
  set_check_value(settings, "limits.duplicates", "off", "x");
  EXPECT_FALSE(settings.limits[static_cast<size_t>(Measure::kDuplicates)]);
  expect_error(ErrorCode::kInvalidInput, {"did you mean", "limits.leakage"}, [&] { set_check_value(settings, "limits.leekage", "1", "x"); });
  expect_error(ErrorCode::kInvalidInput, {"similarity", "0.5"}, [&] { set_check_value(settings, "similarity", "0.1", "x"); });
  expect_error(ErrorCode::kInvalidInput, {"pii"}, [&] { set_check_value(settings, "limits.pii", "some", "x"); });
  for (const CheckKey& key : check_keys()) {
    if (key.standard.empty()) continue;
    EXPECT_NO_THROW(set_check_value(settings, key.key, key.standard, "x")) << key.key;
  }
}

TEST(Field, ByPath) {
  const Json row = Json::parse(R"({"a.b": 1, "meta": {"topic": " x ", "n": 3, "none": null}, "list": [{"k": "v"}], "prompt": "own"})");
  Example example;
  example.kind = Example::Kind::kCompletion;
  example.prompt = "p", example.completion = R"({"level": "R1"})";
  EXPECT_EQ(field_of(row, example, "meta.topic"), "x");
  EXPECT_EQ(field_of(row, example, "meta.n"), "3");
  EXPECT_EQ(field_of(row, example, "a.b"), "1");
  EXPECT_EQ(field_of(row, example, "list.0.k"), "v");
  EXPECT_EQ(field_of(row, example, "answer.level"), "R1");
  EXPECT_EQ(field_of(row, example, "prompt"), "own");
  for (const char* none : {"meta.none", "meta.topic.deeper", "list.1.k", "list.x", "answer.other", "nothing"}) EXPECT_EQ(field_of(row, example, none), std::nullopt) << none;
  example.completion = R"({"level": )" + std::string(300000, '[') + std::string(300000, ']') + "}";
  EXPECT_EQ(field_of(row, example, "answer.level"), std::nullopt) << "too deep to be a value";
}

TEST(Classes, AreTheValuesOfAFieldInOrder) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 2000; ++i) bytes += Json{{"prompt", "p"}, {"completion", "c"}, {"k", i % 3 == 0 ? "zebra" : i % 3 == 1 ? "ant" : ""}}.dump() + "\n";
  const Rows rows = rows_in(folder.file("a.jsonl", bytes));
  const RowClasses classes = classes_by_field(rows, "k", {});
  EXPECT_EQ(classes.names, (std::vector<std::string>{"ant", "zebra"}));
  EXPECT_EQ(std::vector<int32_t>(classes.of_row.begin(), classes.of_row.begin() + 4), (std::vector<int32_t>{1, 0, -1, 1}));
  EXPECT_EQ(std::count(classes.of_row.begin(), classes.of_row.end(), 0), 667);
  // Every row has the same instruction: it is shown once, and the rows are not read through for another.
  const ClassReport report = report_of(rows, classes, 0.8, 1.2, 1, 2, 3);
  EXPECT_EQ(report.classes[0].examples, (std::vector<std::string>{"p"}));
  EXPECT_EQ(report.unclassified, 666);
  bytes.clear();
  for (int i = 0; i <= 10000; ++i) bytes += Json{{"prompt", "p"}, {"completion", "c"}, {"k", i}}.dump() + "\n";
  expect_error(ErrorCode::kInvalidInput, {"more than 10000 different values"}, [&] { classes_by_field(rows_in(folder.file("b.jsonl", bytes)), "k", {}); });
  expect_error(ErrorCode::kInvalidInput, {"no row has the field"}, [&] { classes_by_field(rows, "missing", {}); });
}

TEST(Rules, WordsStandAloneAndChineseDoesNot) {
  const ClassRule rule{"translation", {"translate", "翻译"}, {}, {"code"}, {"say this in"}};
  EXPECT_TRUE(rule.fits("please translate this"));
  EXPECT_TRUE(rule.fits("请翻译成英文"));
  EXPECT_TRUE(rule.fits("say this in french"));
  EXPECT_FALSE(rule.fits("an untranslated page"));
  EXPECT_FALSE(rule.fits("translate this code"));
  const ClassRule both{"x", {}, {"write", "poem"}, {}, {}};
  EXPECT_TRUE(both.fits("write me a poem"));
  EXPECT_FALSE(both.fits("write me a letter"));
}

// Three kinds of instructions that share no words come apart, and the same seed gives the same classes.
TEST(Clusters, TellKindsOfInstructionsApart) {
  TempFolder folder;
  std::string bytes;
  const std::vector<std::string> kinds = {"translate the sentence into french language", "write python code function that sorts", "请问今天北京天气怎么样明天呢"};
  for (int i = 0; i < 90; ++i) bytes += chat(kinds[static_cast<size_t>(i % 3)] + " " + std::to_string(i / 3), "ok");
  const Rows rows = rows_in(folder.file("a.jsonl", bytes));
  TermVectors vectors;
  const RowClasses classes = classes_by_clusters(rows, vectors, {.clusters = 3, .seed = 5}, {});
  ASSERT_EQ(classes.names.size(), 3u);
  std::set<int32_t> met;
  for (uint32_t row = 0; row < 3; ++row) met.insert(classes.of_row[row]);
  EXPECT_EQ(met.size(), 3u);
  for (uint32_t row = 3; row < 90; ++row) EXPECT_EQ(classes.of_row[row], classes.of_row[row % 3]) << row;
  TermVectors again;
  EXPECT_EQ(classes_by_clusters(rows, again, {.clusters = 3, .seed = 5}, {}).of_row, classes.of_row);
  const ClassReport report = report_of(rows, classes, 0.8, 1.2, 1, 20, 2);
  EXPECT_EQ(report.covered, 3);
  EXPECT_EQ(report.in_band, 3);
  for (const auto& entry : report.classes) EXPECT_FALSE(entry.examples.empty());
  bytes.clear();
  for (int i = 0; i < 60; ++i) bytes += chat(kinds[static_cast<size_t>(i % 3)], "ok");
  TermVectors many;
  EXPECT_EQ(classes_by_clusters(rows_in(folder.file("b.jsonl", bytes)), many, {.clusters = 12, .seed = 5}, {}).names.size(), 3u) << "centres that say the same are one class";
}

TEST(Lengths, QuantilesAndPowersOfTwo) {
  const Lengths l = lengths_of({1, 2, 3, 4, 5, 8, 9, 1000});
  EXPECT_EQ(l.rows, 8);
  EXPECT_EQ(l.total, 1032);
  EXPECT_EQ(l.most, 1000);
  EXPECT_EQ(l.median, 4);
  EXPECT_EQ(l.histogram, (std::vector<int64_t>{1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(lengths_of({}).rows, 0);
}

}  // namespace
}  // namespace hone::data
