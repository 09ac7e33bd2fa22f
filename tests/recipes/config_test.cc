// Settings of what is watched while a run goes: bands, webhook, panel, TensorBoard, samples.
#include <gmock/gmock.h>

#include "base/error.h"
#include "recipes/config.h"

namespace hone::recipes {
namespace {

Config parsed(const std::string& yaml) { return parse_config(yaml, "test.yaml", {}); }

std::string refused(const std::string& yaml) {
  try {
    parsed(yaml);
  } catch (const Error& error) {
    return error.where() + " | " + error.message() + " | " + error.hint();
  }
  return "";
}

TEST(WatchSettings, HaveTheUsualBands) {
  const Config c = parsed("");
  EXPECT_EQ(c.alarms.bands.grad_norm_min, 0.1);
  EXPECT_EQ(c.alarms.bands.grad_norm_max, 5);
  EXPECT_EQ(c.alarms.bands.volatility_window, 10);
  EXPECT_EQ(c.alarms.bands.memory_min, 0.7);
  EXPECT_EQ(c.alarms.bands.memory_max, 0.9);
  EXPECT_TRUE(c.report_to.empty() && c.panel.address.empty() && c.training.sample_prompts.empty());
  EXPECT_EQ(c.training.sample_rows, 0);
}

TEST(WatchSettings, AreReadAndWrittenBack) {
  const Config c = parsed(
      "alarms: {grad_norm_min: 0.01, grad_norm_max: 20, volatility_max: 0.3, volatility_window: 25, memory_min: 0, memory_max: 1, webhook: 'https://h.example/a?b=c'}\n"
      "panel: {address: '0.0.0.0:81', keys: keys.txt}\nreport_to: [tensorboard, none, tensorboard]\n"
      "training: {sample_prompts: ['say \"hi\"', \"two\\nlines: 数字\"], sample_tokens: 5}\n");
  const Config back = parsed(to_yaml(c));
  for (const Config* config : {&c, &back}) {
    EXPECT_EQ(config->alarms.bands.grad_norm_min, 0.01);
    EXPECT_EQ(config->alarms.bands.grad_norm_max, 20);
    EXPECT_EQ(config->alarms.bands.volatility_max, 0.3);
    EXPECT_EQ(config->alarms.bands.volatility_window, 25);
    EXPECT_EQ(config->alarms.bands.memory_max, 1);
    EXPECT_EQ(config->alarms.webhook, "https://h.example/a?b=c");
    EXPECT_EQ(config->panel.address, "0.0.0.0:81");
    EXPECT_THAT(config->report_to, testing::ElementsAre("tensorboard"));
    EXPECT_THAT(config->training.sample_prompts, testing::ElementsAre("say \"hi\"", "two\nlines: 数字"));
    EXPECT_EQ(config->training.sample_tokens, 5);
  }
  EXPECT_EQ(resume_difference(parsed(""), c), "") << "none of them decides the arithmetic";
  EXPECT_THAT(parsed("report_to: tensorboard").report_to, testing::ElementsAre("tensorboard"));
  EXPECT_TRUE(parsed("training.report_to: none").report_to.empty());
  EXPECT_THAT(parsed("training.sample_prompts: one").training.sample_prompts, testing::ElementsAre("one"));
}

TEST(WatchSettings, AreCheckedLikeEveryOther) {
  using testing::HasSubstr;
  EXPECT_THAT(refused("alarms: {grad_norm_maxx: 3}"), HasSubstr("did you mean \"alarms.grad_norm_max\""));
  EXPECT_THAT(refused("alarm: {webhook: 'http://h'}"), HasSubstr("did you mean \"alarms\""));
  EXPECT_THAT(refused("alarms: {volatility_window: 2}"), HasSubstr("a whole number from 3"));
  EXPECT_THAT(refused("alarms: {memory_max: 1.5}"), HasSubstr("a number from 0 to 1"));
  EXPECT_THAT(refused("alarms: {grad_norm_min: 9}"), HasSubstr("alarms.grad_norm_min"));
  EXPECT_THAT(refused("alarms: {memory_min: 0.95}"), HasSubstr("alarms.memory_max"));
  EXPECT_THAT(refused("alarms: {webhook: 'ftp://h'}"), HasSubstr("test.yaml:1: alarms.webhook"));
  EXPECT_THAT(refused("report_to: tensorbord"), HasSubstr("did you mean \"tensorboard\""));
  EXPECT_THAT(refused("report_to: wandbb"), HasSubstr("did you mean \"wandb\"?"));
  EXPECT_THAT(refused("panel: 6060"), HasSubstr("group of settings"));
  EXPECT_THAT(refused("training: {sample_rows: 2}"), HasSubstr("data.validation"));
  EXPECT_THAT(refused("training: {sample_prompts: {a: b}}"), HasSubstr("a text or a list of texts"));
}

TEST(Paths, AreExpandedInEverySetting) {
  ::setenv("HONE_TEST_FOLDER", "/data", 1);
  const Config c = parsed("model: {base: $HONE_TEST_FOLDER/m, chat_template: '${HONE_TEST_FOLDER}/t'}\ndata: {path: [$HONE_TEST_FOLDER/a, {path: $HONE_TEST_FOLDER/b}], validation: $HONE_TEST_FOLDER/v}\n"
                          "training.output_dir: $HONE_TEST_FOLDER/o\npanel.keys: $HONE_TEST_FOLDER/k");
  EXPECT_EQ(fmt::format("{} {} {} {} {} {} {}", c.model.base, c.model.chat_template, c.data.datasets[0].path, c.data.datasets[1].path, c.data.validation[0].path, c.training.output_dir, c.panel.keys),
            "/data/m /data/t /data/a /data/b /data/v /data/o /data/k");
  ::unsetenv("HONE_TEST_FOLDER");
  EXPECT_THAT(refused("data.validation: $HONE_TEST_FOLDER/v"), testing::HasSubstr("test.yaml: data.validation | $HONE_TEST_FOLDER is not set"));
}

TEST(LearningRate, MayBeFarTooLarge) {
  EXPECT_EQ(parsed("training: {learning_rate: 100}").training.learning_rate, 100);
  EXPECT_EQ(parsed("training: {learning_rate: 1000}").training.learning_rate, 1000);
  EXPECT_THAT(refused("training: {learning_rate: 1001}"), testing::HasSubstr("a number from 0 to 1000"));
  EXPECT_THAT(refused("training: {learning_rate: .nan}"), testing::HasSubstr("a number from 0 to 1000"));
}

}  // namespace
}  // namespace hone::recipes
