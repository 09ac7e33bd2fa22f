// New files of rows from others: splits, mixes, balance, conversion, tasks for reviewers.
#include <gmock/gmock.h>

#include <map>
#include <numeric>
#include <set>
#include <sys/stat.h>

#include "base/file.h"
#include "data/chat_message.h"
#include "data/data_fixture.h"
#include "data/edit/balance.h"
#include "data/edit/convert.h"
#include "data/edit/label_studio.h"
#include "data/edit/mix.h"
#include "data/edit/split.h"
#include "data/quality/row_text.h"

namespace hone::data {
namespace {

const BadRowLimit kAny{BadRowLimit::Unit::kShare, 1};

std::string pair_row(const std::string& prompt, const std::string& answer, const std::string& topic = "") {
  Json row = {{"prompt", prompt}, {"completion", answer}};
  if (!topic.empty()) row["topic"] = topic;
  return row.dump() + "\n";
}

Rows open(const std::string& path) { return Rows({DatasetConfig{path, Container::kAuto, Format::kAuto, {}, 0, 1}}, kAny); }

TEST(Writer, RefusesToReplaceAnInput) {
  TempFolder folder;
  const std::string input = folder.file("a.jsonl", pair_row("q", "a"));
  ASSERT_EQ(::link(input.c_str(), folder.path("hard.jsonl").c_str()), 0);
  ASSERT_EQ(::symlink(input.c_str(), folder.path("soft.jsonl").c_str()), 0);
  for (const std::string& same : {input, folder.path("hard.jsonl"), folder.path("soft.jsonl"), folder.path("./a.jsonl")})
    expect_error(ErrorCode::kInvalidInput, {"the output is an input"}, [&] { check_output(same, {input}, /*overwrite=*/true); });
  expect_error(ErrorCode::kInvalidInput, {"exists already"}, [&] { check_output(input, {}, false); });
  check_output(folder.path("new.jsonl"), {input}, false);
}

TEST(Writer, LeavesNothingWithoutFinish) {
  TempFolder folder;
  { RowWriter(folder.path("x.jsonl"), {}).write(Json{{"a", 1}}); }
  EXPECT_FALSE(std::filesystem::exists(folder.path("x.jsonl")));
  expect_error(ErrorCode::kInvalidInput, {"extension"}, [&] { RowWriter(folder.path("x.parquet"), {}); });
}

TEST(Writer, CsvComesBackAsItWas) {
  TempFolder folder;
  const std::string text = "a \"quoted\", comma\nline\ttab; 中文";
  {
    RowWriter writer(folder.path("x.csv"), {"prompt", "completion"});
    writer.write(Json{{"prompt", text}, {"completion", " b "}});
    writer.finish();
  }
  const Rows rows = open(folder.path("x.csv"));
  ReadRow row;
  rows.read(0, row);
  EXPECT_EQ(row.example.prompt, text);
  EXPECT_EQ(row.example.completion, " b ");
}

TEST(Writer, CsvLosesNoKeySilently) {
  TempFolder folder;
  const Rows rows = open(folder.file("a.jsonl", pair_row("q", "a") + pair_row("r", "b", "topic")));
  RowWriter writer(folder.path("x.csv"), columns_of(rows, 0));
  copy_row(rows, 0, writer);
  expect_error(ErrorCode::kInvalidInput, {"a.jsonl:2", "topic"}, [&] { copy_row(rows, 1, writer); });
}

TEST(Split, KeepsGroupsTogetherWhateverTheirOrder) {
  TempFolder folder;
  std::vector<std::string> lines;
  for (int i = 0; i < 300; ++i) lines.push_back(pair_row("question " + std::to_string(i), "a", "topic " + std::to_string(i % 60)));
  const auto held_topics = [&](const std::vector<std::string>& in_order, uint64_t seed) {
    const Rows rows = open(folder.file("s.jsonl", std::accumulate(in_order.begin(), in_order.end(), std::string())));
    const SplitPlan plan = plan_split(rows, {.share = 0.2, .seed = seed, .group = "topic"}, {});
    EXPECT_EQ(plan.held_out_rows, 60);
    EXPECT_EQ(plan.groups, 60);
    EXPECT_EQ(plan.largest_group, 5);
    std::map<std::string, int> held;
    ReadRow row;
    for (uint32_t r = 0; r < rows.size(); ++r) {
      rows.read(r, row);
      if (plan.held_out[r]) ++held[row.json["topic"].get<std::string>()];
    }
    for (const auto& [topic, count] : held) EXPECT_EQ(count, 5) << topic << " straddles";
    return held;
  };
  const auto first = held_topics(lines, 1);
  EXPECT_EQ(held_topics({lines.rbegin(), lines.rend()}, 1), first) << "the order of rows does not count";
  EXPECT_NE(held_topics(lines, 2), first) << "the seed does";
}

TEST(Split, NearDuplicatesDoNotStraddle) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    const std::string base = "please explain topic number " + std::to_string(i * 7919) + " in " + std::to_string(i * i) + " simple words for a child of age " + std::to_string(i);
    bytes += pair_row(base, "x") + pair_row(base + " now", "y") + pair_row(base, "z");
  }
  const Rows rows = open(folder.file("s.jsonl", bytes));
  const SplitPlan plan = plan_split(rows, {.count = 30, .group = "near-duplicates"}, {});
  EXPECT_EQ(plan.held_out_rows, 30);
  for (uint32_t r = 0; r < rows.size(); r += 3) {
    EXPECT_EQ(plan.held_out[r], plan.held_out[r + 1]) << r;
    EXPECT_EQ(plan.held_out[r], plan.held_out[r + 2]) << r;
  }
}

TEST(Split, RefusesWhatCannotBe) {
  TempFolder folder;
  const Rows rows = open(folder.file("s.jsonl", pair_row("a", "1", "t") + pair_row("b", "2", "t") + pair_row("c", "3", "t")));
  expect_error(ErrorCode::kInvalidInput, {"1 groups", "at most 1 rows"}, [&] { plan_split(rows, {.count = 1, .group = "topic"}, {}); });
  expect_error(ErrorCode::kInvalidInput, {"3 rows are to be held out of 3"}, [&] { plan_split(rows, {.count = 3, .group = ""}, {}); });
}

TEST(Mix, SharesSumToTheTotal) {
  EXPECT_EQ(shares_of({2, 1}, 100), (std::vector<int64_t>{67, 33}));
  EXPECT_EQ(shares_of({1, 1, 1}, 100), (std::vector<int64_t>{34, 33, 33}));
  EXPECT_EQ(shares_of({0, 5}, 7), (std::vector<int64_t>{0, 7}));
}

TEST(Mix, RepeatsEvenlyAndBySeed) {
  TempFolder folder;
  std::string a, b;
  for (int i = 0; i < 10; ++i) a += pair_row("a" + std::to_string(i), "x");
  for (int i = 0; i < 100; ++i) b += pair_row("b" + std::to_string(i), "x");
  const std::vector<DatasetConfig> files = {{folder.file("a.jsonl", a), Container::kAuto, Format::kAuto, {}, 0, 1}, {folder.file("b.jsonl", b), Container::kAuto, Format::kAuto, {}, 0, 1}};
  const Rows rows(files, kAny);
  const auto plan = plan_mix(rows, {25, 40}, 7);
  ASSERT_EQ(plan.size(), 65u);
  std::map<uint32_t, int> times;
  for (const uint32_t row : plan) ++times[row];
  int of_b = 0;
  for (const auto& [row, count] : times) {
    const bool of_a = row < 10;
    of_b += !of_a;
    EXPECT_TRUE(of_a ? count == 2 || count == 3 : count == 1) << row;
  }
  EXPECT_EQ(of_b, 40);
  EXPECT_EQ(plan_mix(rows, {25, 40}, 7), plan);
  EXPECT_NE(plan_mix(rows, {25, 40}, 8), plan);
  EXPECT_FALSE(std::is_sorted(plan.begin(), plan.end())) << "the files are shuffled into each other";
}

TEST(Balance, BandAroundTheMean) {
  EXPECT_TRUE(in_band({80, 100, 120}, 0.8, 1.2));
  EXPECT_FALSE(in_band({79, 100, 121}, 0.8, 1.2));
  EXPECT_TRUE(in_band({5}, 0.8, 1.2));
}

TEST(Balance, ReachesTheBandWithTheLeastChange) {
  const std::vector<std::vector<int64_t>> cases = {{10, 100, 1000}, {1, 2, 3}, {7, 7, 7}, {50, 60, 200, 90}, {1, 1000000}};
  for (const auto& sizes : cases) {
    const auto down = balanced_sizes(sizes, BalanceBy::kDown, 0.8, 1.2), up = balanced_sizes(sizes, BalanceBy::kUp, 0.8, 1.2), both = balanced_sizes(sizes, BalanceBy::kBoth, 0.8, 1.2);
    for (const auto* found : {&down, &up, &both}) EXPECT_TRUE(in_band(*found, 0.8, 1.2)) << testing::PrintToString(*found);
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_LE(down[i], sizes[i]);
      EXPECT_GE(up[i], sizes[i]);
    }
    if (in_band(sizes, 0.8, 1.2)) continue;
    // One row more in every class that was cut, or one less in every class that was filled, would leave the band.
    auto more = sizes, less = sizes;
    const int64_t cap = *std::max_element(down.begin(), down.end()), floor = *std::min_element(up.begin(), up.end());
    for (auto& n : more) n = std::min(n, cap + 1);
    for (auto& n : less) n = std::max(n, floor - 1);
    EXPECT_FALSE(in_band(more, 0.8, 1.2)) << testing::PrintToString(more);
    EXPECT_FALSE(in_band(less, 0.8, 1.2)) << testing::PrintToString(less);
  }
}

TEST(Balance, ChoosesBySeedAndRepeatsEvenly) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 110; ++i) bytes += pair_row("q" + std::to_string(i), "a", i < 100 ? "many" : "few");
  bytes += pair_row("no topic", "a");
  const Rows rows = open(folder.file("b.jsonl", bytes));
  const RowClasses classes = classes_by_field(rows, "topic", {});
  EXPECT_EQ(classes.names, (std::vector<std::string>{"few", "many"}));
  const BalancePlan down = plan_balance(rows, classes, BalanceBy::kDown, 0.8, 1.2, 1, true);
  EXPECT_EQ(down.before, (std::vector<int64_t>{10, 100}));
  EXPECT_EQ(down.after, (std::vector<int64_t>{10, 15}));
  EXPECT_EQ(std::accumulate(down.times.begin(), down.times.end(), 0u), 26u) << "with the row without a class";
  EXPECT_EQ(plan_balance(rows, classes, BalanceBy::kDown, 0.8, 1.2, 1, true).times, down.times);
  EXPECT_NE(plan_balance(rows, classes, BalanceBy::kDown, 0.8, 1.2, 2, true).times, down.times);
  EXPECT_EQ(plan_balance(rows, classes, BalanceBy::kDown, 0.8, 1.2, 1, false).times[110], 0u);
  const BalancePlan up = plan_balance(rows, classes, BalanceBy::kUp, 0.8, 1.2, 1, true);
  for (uint32_t row = 100; row < 110; ++row) EXPECT_TRUE(up.times[row] == 6 || up.times[row] == 7) << up.times[row];
  for (uint32_t row = 0; row < 100; ++row) EXPECT_EQ(up.times[row], 1u);
}

TEST(Convert, WhatAFormatCannotSayIsRefused) {
  const auto example = [](const char* messages) {
    Example e;
    e.messages = Json::parse(messages);
    return e;
  };
  const Example chat = example(R"([{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}])");
  const Json source = Json::parse(R"({"messages":[],"id":7})");
  const RowFormat from{Format::kMessages, {}};
  Json row;
  EXPECT_EQ(convert_row(chat, source, from, Format::kAlpaca, {}, row), "");
  EXPECT_EQ(row, Json::parse(R"({"system":"s","history":[["a","b"]],"instruction":"c","input":"","output":"d","id":7})"));
  EXPECT_EQ(convert_row(chat, source, from, Format::kShareGpt, {}, row), "");
  EXPECT_EQ(row["conversations"][1], Json::parse(R"({"from":"human","value":"a"})"));
  EXPECT_THAT(convert_row(chat, source, from, Format::kPromptCompletion, {}, row), testing::HasSubstr("5 turns"));
  EXPECT_THAT(convert_row(chat, source, from, Format::kText, {}, row), testing::HasSubstr("template"));
  EXPECT_EQ(convert_row(chat, source, from, Format::kText, [](const Json& m, const Json&) { return std::to_string(m.size()) + " turns"; }, row), "");
  EXPECT_EQ(row["text"], "5 turns");
  const Example tools = example(R"([{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"1"},{"role":"assistant","content":"b"}])");
  EXPECT_THAT(convert_row(tools, source, from, Format::kAlpaca, {}, row), testing::HasSubstr("tool_calls"));
  ASSERT_EQ(convert_row(tools, source, from, Format::kShareGpt, {}, row), "");
  Example back;
  ASSERT_FALSE((RowFormat{Format::kShareGpt, {}}.read(row, back)));
  EXPECT_EQ(back.messages, tools.messages) << "there and back again";
  const Example thinking = example(R"([{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"c"}])");
  for (const Format to : {Format::kShareGpt, Format::kAlpaca}) {  // reasoning goes in front of the answer, and comes back from there
    ASSERT_EQ(convert_row(thinking, source, from, to, {}, row), "");
    ASSERT_FALSE((RowFormat{to, {}}.read(row, back)));
    EXPECT_EQ(back.messages, thinking.messages);
  }
  const Example weighed = example(R"([{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0.5}])");
  ASSERT_EQ(convert_row(weighed, source, from, Format::kShareGpt, {}, row), "");
  ASSERT_FALSE((RowFormat{Format::kShareGpt, {}}.read(row, back)));
  EXPECT_EQ(back.messages, weighed.messages);
  EXPECT_THAT(convert_row(weighed, source, from, Format::kAlpaca, {}, row), testing::HasSubstr("weight"));
  const Example reasoned_call = example(R"([{"role":"user","content":"a"},{"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"1"},{"role":"assistant","content":"b"}])");
  ASSERT_EQ(convert_row(reasoned_call, source, from, Format::kShareGpt, {}, row), "");
  ASSERT_FALSE((RowFormat{Format::kShareGpt, {}}.read(row, back)));
  EXPECT_EQ(back.messages, reasoned_call.messages);
  Example text;
  text.kind = Example::Kind::kText;
  text.text = "t";
  EXPECT_THAT(convert_row(text, Json::object(), {Format::kText, {}}, Format::kMessages, {}, row), testing::HasSubstr("plain text"));
}

// Rows of every form in every file type: what was written says the same when it is read, or the row was left out by name.
TEST(Convert, EveryFormComesBackAsItWas) {
  const std::vector<std::string> sources = {
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":" a,\"b\"\r\n中\u2028"},{"role":"assistant","content":"c\r"},{"role":"user","content":"d\n\n"},{"role":"assistant","content":"'e'"}]})",
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]})",
      R"({"messages":[{"role":"assistant","content":"hello"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})",
      R"({"messages":[{"role":"system","content":""},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})",
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"r"}]})",
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"w","weight":0},{"role":"user","content":"r"},{"role":"assistant","content":"a"}]})",
      R"({"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"messages":[{"role":"user","content":"q"},
          {"role":"assistant","content":"let me see","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":"\"1\""}}},{"type":"function","function":{"name":"f","arguments":{}}}]},
          {"role":"tool","content":"1"},{"role":"tool","content":"2"},{"role":"assistant","content":"a"}]})",
      R"({"instruction":"i","input":"x","output":"o","system":"s","history":[["q","a"]],"id":"7"})",
      R"({"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"},{"from":"observation","value":"1"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]"})",
      R"({"prompt":"p","completion":"c"})",
      R"({"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"w"},{"role":"user","content":"r"}],"completion":[{"role":"assistant","content":"a"}]})",
      R"({"text":"t\r\n\"u\","})"};
  const auto one_line = [](std::string row) {
    std::erase(row, '\n');
    return row + "\n";
  };
  TempFolder folder;
  int written = 0, left_out = 0;
  for (size_t s = 0; s < sources.size(); ++s) {
    const Rows rows = open(folder.file(std::to_string(s) + ".jsonl", one_line(sources[s])));
    ReadRow before, after;
    rows.read(0, before);
    for (const Format to : {Format::kMessages, Format::kAlpaca, Format::kShareGpt, Format::kPromptCompletion, Format::kText})
      for (const char* extension : {".jsonl", ".json", ".csv", ".tsv"}) {
        if (to != Format::kShareGpt && (std::string(extension) == ".json" || std::string(extension) == ".tsv")) continue;  // they are written as the others are
        SCOPED_TRACE(sources[s] + " → " + std::string(name(to)) + extension);
        Json row;
        if (!convert_row(before.example, before.json, rows.files()[0].format(), to, {}, row).empty()) {
          ++left_out;
          continue;
        }
        const std::string path = folder.path("out" + std::to_string(++written) + extension);
        convert_rows(rows, to, {}, kAny, path, {});
        const Rows back = open(path);
        ASSERT_EQ(back.size(), 1u);
        ASSERT_TRUE(back.usable(0)) << back.files()[0].report().problems.first[0].text();
        back.read(0, after);
        // A pair of texts may become a chat, a chat of two turns a pair, and a pair a text: then the words are compared.
        const auto words_of = [](const Example& e) {
          if (e.kind == Example::Kind::kChat) return e.messages;
          if (e.kind == Example::Kind::kText) return Json(e.text);
          return Json::parse(R"([{"role":"user"},{"role":"assistant"}])").patch(Json::array({Json{{"op", "add"}, {"path", "/0/content"}, {"value", e.prompt}}, Json{{"op", "replace"}, {"path", "/1"}, {"value", read_message({{"role", "assistant"}, {"content", e.completion}}, "")}}}));
        };
        if (to == Format::kText && before.example.kind == Example::Kind::kCompletion) {
          EXPECT_EQ(after.example.text, before.example.prompt + before.example.completion);
        } else {
          EXPECT_EQ(words_of(after.example), words_of(before.example));
        }
        EXPECT_EQ(after.example.tools, before.example.tools);
        if (std::string(extension) == ".jsonl" && before.json.contains("id")) {
          EXPECT_EQ(after.json["id"], before.json["id"]);
        }
      }
  }
  EXPECT_GT(written, 40);
  EXPECT_GT(left_out, 20);
}

TEST(Convert, KeepsNoFileWhenTooManyRowsAreLost) {
  TempFolder folder;
  const Rows rows = open(folder.file("a.jsonl", R"({"text":"a"})" "\n"));
  expect_error(ErrorCode::kInvalidInput, {"a.jsonl:1", "plain text has no turns"}, [&] { convert_rows(rows, Format::kMessages, {}, kAny, folder.path("b.jsonl"), {}); });
  EXPECT_FALSE(std::filesystem::exists(folder.path("b.jsonl")));
}

TEST(LabelStudio, ThereAndBack) {
  TempFolder folder;
  const Rows rows = open(folder.file("a.jsonl", pair_row("你好", "hello", "greeting") + pair_row("bye", "再见", "parting")));
  EXPECT_EQ(write_tasks(rows, "topic", folder.path("tasks.json"), {}), 2);
  const Json tasks = Json::parse(read_file(folder.path("tasks.json")));
  EXPECT_EQ(tasks[0]["data"]["prompt"], "你好");
  EXPECT_EQ(tasks[0]["predictions"][0]["result"][0]["value"]["choices"][0], "greeting");
  EXPECT_TRUE(is_label_studio(folder.path("tasks.json")));
  EXPECT_FALSE(is_label_studio(folder.path("a.jsonl")));
  const auto report = read_tasks(folder.path("tasks.json"), folder.path("back.jsonl"), false, kAny, {});
  EXPECT_EQ(report.tasks, 2);
  EXPECT_EQ(report.annotated, 0);
  const Rows back = open(folder.path("back.jsonl"));
  ReadRow a, b;
  for (uint32_t r = 0; r < 2; ++r) {
    rows.read(r, a);
    back.read(r, b);
    EXPECT_EQ(a.json, b.json);
  }
  expect_error(ErrorCode::kInvalidInput, {"no task has an annotation"}, [&] { read_tasks(folder.path("tasks.json"), folder.path("c.jsonl"), true, kAny, {}); });
}

TEST(LabelStudio, TakesTheValueOfMostAnnotators) {
  const auto annotation = [](const char* who, const char* choice, bool cancelled = false) {
    return Json{{"completed_by", {{"email", who}}}, {"was_cancelled", cancelled}, {"result", {{{"from_name", "quality"}, {"type", "choices"}, {"value", {{"choices", {choice}}}}}}}};
  };
  Json task = {{"data", {{"row", {{"prompt", "p"}, {"completion", "c"}}}}},
               {"annotations", {annotation("a@x", "good"), annotation("b@x", "bad"), annotation("c@x", "bad"), annotation("d@x", "good", true)}}};
  task["annotations"][0]["result"].push_back(Json::parse(R"({"from_name":"answer","type":"textarea","value":{"text":["better"]}})"));
  task["annotations"][1]["result"].push_back(Json::parse(R"({"from_name":"span","type":"labels","value":{"start":1,"end":3,"text":"xy","labels":["NAME"]}})"));
  task["annotations"][1]["result"].push_back(Json::parse(R"({"from_name":"stars","type":"rating","value":{"rating":4}})"));
  Json row;
  ASSERT_EQ(row_of_task(task, row), "");
  EXPECT_EQ(row["labels"]["quality"], "bad");
  EXPECT_EQ(row["labels"]["stars"], 4);
  EXPECT_EQ(row["labels"]["span"][0]["labels"][0], "NAME");
  EXPECT_EQ(row["completion"], "better");
  ASSERT_EQ(row["annotations"].size(), 3u) << "cancelled ones do not count";
  EXPECT_EQ(row["annotations"][0]["annotator"], "a@x");
  for (const char* chat : {R"({"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"c"}]})", R"({"conversations":[{"from":"human","value":"q"},{"from":"chatgpt","value":"c"}]})"}) {
    task["data"]["row"] = Json::parse(chat);
    ASSERT_EQ(row_of_task(task, row), "");
    EXPECT_THAT(row.dump(), testing::HasSubstr("\"better\"}"));
  }
  for (const char* wrong : {R"({"annotations":[]})", R"({"data":{},"annotations":3})", R"({"data":{},"annotations":[1]})", R"({"data":{},"annotations":[{"result":[1]}]})",
                            R"({"data":{},"annotations":[{"result":[{"value":3}]}]})", R"({"data":{},"annotations":[{}]})"})
    EXPECT_NE(row_of_task(Json::parse(wrong), row), "") << wrong;
}

}  // namespace
}  // namespace hone::data
