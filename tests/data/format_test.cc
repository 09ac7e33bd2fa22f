#include "data/format.h"

#include <gmock/gmock.h>

#include <fmt/format.h>

#include "data/row_fields.h"
#include "data_fixture.h"

namespace hone::data {
namespace {

RowFormat settle(const std::string& row, Format wanted = Format::kAuto, std::map<std::string, std::string> columns = {}) {
  return settle_format(wanted, columns, {Json::parse(row)}, "rows.jsonl");
}

Example read(const std::string& row, Format wanted = Format::kAuto, std::map<std::string, std::string> columns = {}) {
  Example example;
  const auto issue = settle(row, wanted, std::move(columns)).read(Json::parse(row), example);
  if (issue) ADD_FAILURE() << name(issue->kind) << ": " << issue->message;
  return example;
}

std::string turns(const Example& example) {
  std::string text;
  for (const Json& message : example.messages) {
    text += message["role"].get<std::string>() + ":" + message["content"].get<std::string>() + "|";
  }
  return text;
}

TEST(Format, Messages) {
  const Example example = read(R"({"messages": [{"role":"system","content":"s"},{"role":"user","content":"q"},
      {"role":"assistant","content":"a"}]})");
  EXPECT_EQ(example.kind, Example::Kind::kChat);
  EXPECT_EQ(turns(example), "system:s|user:q|assistant:a|");
  EXPECT_TRUE(example.tools.is_null());
}

TEST(Format, MessagesWithToolsAndParts) {
  const Example example = read(R"({"tools": [{"name":"f","zeta":1,"alpha":2}], "messages": [
      {"role":"developer","content":"s"},
      {"role":"user","content":[{"type":"text","text":"q1"},{"type":"text","text":"q2"}]},
      {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{}}}]},
      {"role":"function","content":"42"}, {"role":"tool","content":"43","tool_call_id":"x"},
      {"role":"assistant","content":"a","tool_calls":[]}]})");
  EXPECT_EQ(turns(example), "system:s|user:q1q2|assistant:|tool:42|tool:43|assistant:a|");
  EXPECT_EQ(example.tools.dump(), R"([{"type":"function","function":{"name":"f","zeta":1,"alpha":2}}])");  // the order of keys is kept
  EXPECT_TRUE(example.messages[2].contains("tool_calls"));
  EXPECT_EQ(example.messages[4]["tool_call_id"], "x");
  EXPECT_FALSE(example.messages[5].contains("tool_calls"));
}

TEST(Format, Alpaca) {
  EXPECT_EQ(turns(read(R"({"instruction":"i","input":"","output":"o","text":"ignored"})")), "user:i|assistant:o|");
  EXPECT_EQ(turns(read(R"({"instruction":"i","input":"x","output":"o"})")), "user:i\nx|assistant:o|");
  EXPECT_EQ(turns(read(R"({"instruction":"i","output":"o","system":"s","history":[["q","a"]]})")),
            "system:s|user:q|assistant:a|user:i|assistant:o|");
  EXPECT_EQ(turns(read(R"({"question":"i","answer":"o"})", Format::kAuto, {{"instruction", "question"}, {"output", "answer"}})),
            "user:i|assistant:o|");
}

TEST(Format, ShareGpt) {
  EXPECT_EQ(turns(read(R"({"system":"s","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})")),
            "system:s|user:q|assistant:a|");
  const Example calls = read(R"({"tools":"[{\"name\":\"f\"}]","conversations":[{"from":"human","value":"q"},
      {"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},{"from":"observation","value":"1"},
      {"from":"gpt","value":"a"}]})");
  EXPECT_EQ(turns(calls), "user:q|assistant:|tool:1|assistant:a|");
  EXPECT_EQ(calls.messages[1]["tool_calls"].dump(), R"([{"type":"function","function":{"name":"f","arguments":{"x":1}}}])");
  EXPECT_EQ(calls.tools.size(), 1u);
  // The messages format under the key of the other.
  EXPECT_EQ(turns(read(R"({"conversations":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})")),
            "user:q|assistant:a|");
}

TEST(Format, PromptCompletionAndText) {
  const Example pair = read(R"({"prompt":"p","completion":"c"})");
  EXPECT_EQ(pair.kind, Example::Kind::kCompletion);
  EXPECT_EQ(pair.prompt + "|" + pair.completion, "p|c");
  EXPECT_EQ(read(R"({"prompt":"p","response":"r"})").completion, "r");
  EXPECT_EQ(read(R"({"prompt":"p","response":"r"})", Format::kPromptCompletion).completion, "r");
  const Example text = read(R"({"text":"t","id":5})");
  EXPECT_EQ(text.kind, Example::Kind::kText);
  EXPECT_EQ(text.text, "t");
  EXPECT_EQ(read(R"({"body":"t"})", Format::kText, {{"text", "body"}}).text, "t");
}

TEST(Format, SaysWhyItCannotBeFound) {
  expect_error(ErrorCode::kInvalidInput, {"rows.jsonl", "question, answer", "format", "columns"},
               [] { settle(R"({"question":"q","answer":"a"})"); });
  expect_error(ErrorCode::kInvalidInput, {"no column \"promt\"", "prompt, completion"},
               [] { settle(R"({"prompt":"p","completion":"c"})", Format::kAuto, {{"promt", "x"}}); });
  expect_error(ErrorCode::kInvalidInput, {"disagree", "alpaca", "text"}, [] {
    settle_format(Format::kAuto, {}, {Json::parse(R"({"instruction":"i","output":"o"})"), Json::parse(R"({"text":"t"})")}, "f");
  });
}

// JSON written as text inside a row is nested as deep as its writer likes: what would exhaust the stack is no JSON.
TEST(Format, DeepJsonInTextIsNoJson) {
  const std::string deep = std::string(300000, '[') + std::string(300000, ']');
  EXPECT_TRUE(parse_json_text(deep).is_discarded());
  EXPECT_TRUE(parse_json_text("{").is_discarded());
  EXPECT_EQ(parse_json_text(R"( {"a": "[[[["} )")["a"], "[[[[");
  EXPECT_TRUE(parse_json_text(std::string(kMaxTextNesting, '[') + std::string(kMaxTextNesting, ']')).is_array());
  Example example;
  const Json turns = {{{"from", "human"}, {"value", "q"}}, {{"from", "function_call"}, {"value", R"({"name": "f", "arguments": )" + deep + "}"}}, {{"from", "observation"}, {"value", "1"}}, {{"from", "gpt"}, {"value", "a"}}};
  const Json call = {{"conversations", turns}};
  EXPECT_TRUE(settle_format(Format::kShareGpt, {}, {call}, "f").read(call, example));
  const Json tools = {{"messages", {{{"role", "user"}, {"content", "q"}}, {{"role", "assistant"}, {"content", "a"}}}}, {"tools", deep}};
  EXPECT_TRUE(settle_format(Format::kMessages, {}, {tools}, "f").read(tools, example));
}

TEST(Format, NullColumnsAreAbsent) {
  const std::string alpaca = R"({"messages":null,"prompt":null,"instruction":"i","input":null,"output":"o","history":null,"images":null})";
  EXPECT_EQ(turns(read(alpaca)), "user:i|assistant:o|");
  EXPECT_EQ(turns(read(R"({"messages":"","instruction":"i","output":"o"})")), "user:i|assistant:o|") << "as CSV writes it";
  const Example chat = read(R"({"messages":[{"role":"user","content":"q","name":null,"tool_calls":null},{"role":"assistant","content":"a","tool_calls":null}],"tools":null})");
  EXPECT_EQ(chat.messages.dump(), R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])");
  // The first row may be the poorest.
  EXPECT_EQ(settle_format(Format::kAuto, {}, {Json::parse(R"({"id":1})"), Json::parse(alpaca)}, "f").format, Format::kAlpaca);
}

TEST(Format, ConversationalPromptAndCompletion) {
  const Example example = read(R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
      {"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}],"tools":[{"name":"f"}]})");
  EXPECT_EQ(example.kind, Example::Kind::kChat);
  EXPECT_EQ(turns(example), "system:s|user:a|assistant:b|user:c|assistant:d|");
  EXPECT_EQ(example.messages[2]["weight"], 0) << "of the prompt nothing is learned";
  EXPECT_FALSE(example.messages[4].contains("weight"));
  EXPECT_EQ(example.tools.size(), 1u);
  EXPECT_EQ(turns(read(R"({"prompt":[{"role":"user","content":"a"}],"completion":"b"})")), "user:a|assistant:b|");
}

TEST(Format, SystemColumnsOfEveryChatFormat) {
  EXPECT_EQ(turns(read(R"({"system":"s","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})")), "system:s|user:q|assistant:a|");
  EXPECT_EQ(turns(read(R"({"system":"s","conversations":[{"from":"system","value":"s"},{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})")),
            "system:s|user:q|assistant:a|");
}

TEST(Format, RolesByEveryUsualName) {
  EXPECT_EQ(turns(read(R"({"messages":[{"role":"System","content":"s"},{"role":"human","content":"q"},{"role":"model","content":"a"}]})")),
            "system:s|user:q|assistant:a|");
  EXPECT_EQ(turns(read(R"({"conversations":[{"from":"prompter","value":"q"},{"from":"ChatGPT","value":"a"}]})")), "user:q|assistant:a|");
  RowFormat format{Format::kMessages, {}};
  format.roles = {{"customer", "user"}, {"agent", "assistant"}};
  Example example;
  EXPECT_FALSE(format.read(Json::parse(R"({"messages":[{"role":"customer","content":"q"},{"role":"agent","content":"a"}]})"), example));
  EXPECT_EQ(turns(example), "user:q|assistant:a|");
}

TEST(Format, FunctionCallsInARowAreOneTurn) {
  const Example example = read(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"let me see"},
      {"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":2}}"},
      {"from":"observation","value":"1"},{"from":"observation","value":"2"},{"from":"gpt","value":"a"}]})");
  EXPECT_EQ(turns(example), "user:q|assistant:let me see|tool:1|tool:2|assistant:a|");
  ASSERT_EQ(example.messages[1]["tool_calls"].size(), 2u);
  EXPECT_EQ(example.messages[1]["tool_calls"][1]["function"]["arguments"]["x"], 2);
}

TEST(Format, EdgesAndRepeatedTurnsAsTheSettingsSay) {
  const Json row = Json::parse(R"({"conversations":[{"from":"system","value":"s"},{"from":"gpt","value":"hello"},{"from":"human","value":"q1"},
      {"from":"human","value":"q2"},{"from":"gpt","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"bye"}]})");
  RowFormat format{Format::kShareGpt, {}};
  Example example;
  EXPECT_FALSE(format.read(row, example));
  EXPECT_EQ(turns(example), "system:s|assistant:hello|user:q1|user:q2|assistant:a|assistant:b|");
  EXPECT_TRUE(example.notes.leading_assistant && example.notes.trailing_turns && example.notes.repeated_turns);
  format.turns = {EdgeTurns::kTrim, EdgeTurns::kKeep, RepeatedTurns::kMerge};
  EXPECT_FALSE(format.read(row, example));
  EXPECT_EQ(turns(example), "system:s|user:q1\n\nq2|assistant:a\n\nb|user:bye|");
  for (const TurnRules& rules : {TurnRules{EdgeTurns::kDrop, EdgeTurns::kTrim, RepeatedTurns::kKeep}, TurnRules{EdgeTurns::kKeep, EdgeTurns::kDrop, RepeatedTurns::kKeep},
                                 TurnRules{EdgeTurns::kKeep, EdgeTurns::kTrim, RepeatedTurns::kDrop}}) {
    format.turns = rules;
    const auto issue = format.read(row, example);
    ASSERT_TRUE(issue);
    EXPECT_EQ(issue->kind, ProblemKind::kDroppedTurns) << issue->message;
    EXPECT_FALSE(is_malformed(issue->kind)) << "a row that a setting leaves out is no fault of the file";
  }
  // Turns that count differently in the loss cannot be one.
  format.turns = {EdgeTurns::kKeep, EdgeTurns::kTrim, RepeatedTurns::kMerge};
  const auto merged = [&](const char* first, const char* second) {
    const std::string text = fmt::format(R"({{"conversations":[{{"from":"human","value":"q"}},{{"from":"gpt","value":"a"{}}},{{"from":"gpt","value":"b"{}}}]}})", first, second);
    const auto issue = format.read(Json::parse(text), example);
    return issue ? issue->message : turns(example);
  };
  EXPECT_NE(merged(R"(,"weight":0)", "").find("its weight is 1, that one's 0"), std::string::npos);
  EXPECT_NE(merged("", R"(,"weight":0)").find("its weight is 0, that one's 1"), std::string::npos);
  EXPECT_EQ(merged(R"(,"weight":0)", R"(,"weight":0)"), "user:q|assistant:a\n\nb|");
  const Example plain = read(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})");
  EXPECT_FALSE(plain.notes.leading_assistant || plain.notes.trailing_turns || plain.notes.repeated_turns);
}

TEST(Format, TellsUnknownFieldsFromKnownOnes) {
  const auto unknown = [](const std::string& row) { return unknown_fields(Json::parse(row), settle(row)); };
  EXPECT_THAT(unknown(R"({"messages":[],"id":1,"source":"x","prompt":"q","tools":null,"reward":2})"), testing::ElementsAre("reward"));
  EXPECT_THAT(unknown(R"({"conversations":[{"from":"human","value":"q","emotion":"glad"}],"system":"s"})"), testing::ElementsAre("conversations[].emotion"));
  EXPECT_THAT(unknown(R"({"instruction":"i","output":"o","text":"t","notes":"n"})"), testing::ElementsAre("notes"));
}

// docs/data.md names every field of the table.
TEST(Format, DocumentsEveryKnownField) {
  std::ifstream file(HONE_SOURCE_DIR "/docs/data.md");
  const std::string docs{std::istreambuf_iterator<char>(file), {}};
  for (const RowField& field : row_fields()) EXPECT_NE(docs.find(fmt::format("`{}`", field.name)), std::string::npos) << field.name;
}

struct BadRow {
  std::string row;
  Format format;
  ProblemKind kind;
  std::string part;  // of the message
};

TEST(Format, NamesEveryMalformedRow) {
  const auto chat = [](const std::string& list) { return "{\"messages\":[" + list + "]}"; };
  const std::string user = R"({"role":"user","content":"q"})", bot = R"({"role":"assistant","content":"a"})";
  const Format messages = Format::kMessages;
  const std::vector<BadRow> rows = {
      {R"({"messages":"not json"})", messages, ProblemKind::kWrongType, "must be a list"},
      {R"({"messages":null})", messages, ProblemKind::kMissingKey, "messages"},
      {R"({"other":1})", messages, ProblemKind::kMissingKey, "messages"},
      {chat(""), messages, ProblemKind::kEmptyChat, "no turns"},
      {chat("7"), messages, ProblemKind::kWrongType, "turn 1 must be an object"},
      {chat(R"({"content":"q"})"), messages, ProblemKind::kMissingKey, "no \"role\""},
      {chat(R"({"role":"user"})"), messages, ProblemKind::kMissingKey, "no \"content\""},
      {chat(R"({"role":5,"content":"q"})"), messages, ProblemKind::kWrongType, "role"},
      {chat(R"({"role":"robot","content":"q"})"), messages, ProblemKind::kUnknownRole, "\"robot\""},
      {chat(R"({"role":"user","content":5})"), messages, ProblemKind::kWrongType, "messages[0].content: expected a string"},
      {chat(R"({"role":"user","content":[{"type":"image_url"}]})"), messages, ProblemKind::kWrongType, "image_url are not understood"},
      {chat(bot), messages, ProblemKind::kRoleOrder, "no user turn"},
      {chat(user), messages, ProblemKind::kRoleOrder, "no assistant turn"},
      {chat(user + R"(,{"role":"system","content":"s"},)" + bot), messages, ProblemKind::kRoleOrder, "must be the first"},
      {chat(user + R"(,{"role":"tool","content":"1"},)" + bot), messages, ProblemKind::kRoleOrder, "tool"},
      {chat(user + R"(,{"role":"assistant","content":" \n"})"), messages, ProblemKind::kEmptyAnswer, "turn 2"},
      {chat(R"({"role":"user","content":""},)" + bot), messages, ProblemKind::kEmptyPrompt, "turn 1"},
      {chat(user + R"(,{"role":"assistant","content":"","tool_calls":"x"})"), messages, ProblemKind::kWrongType, "tool_calls"},
      {R"({"messages":[],"tools":"{"})", messages, ProblemKind::kWrongType, "tools"},
      {R"({"instruction":"i"})", Format::kAlpaca, ProblemKind::kMissingKey, "output"},
      {chat(user + R"(,{"role":"assistant","content":"<think>so"})"), messages, ProblemKind::kEmptyAnswer, "never closed"},
      {R"({"instruction":"i","output":"\n<think>\nso and so"})", Format::kAlpaca, ProblemKind::kEmptyAnswer, "never closed"},
      {R"({"instruction":"i","output":""})", Format::kAlpaca, ProblemKind::kEmptyAnswer, "assistant"},
      {R"({"instruction":"","output":"o"})", Format::kAlpaca, ProblemKind::kEmptyPrompt, "user"},
      {R"({"instruction":"i","output":3})", Format::kAlpaca, ProblemKind::kWrongType, "found number"},
      {R"({"instruction":"i","output":"o","history":[["q"]]})", Format::kAlpaca, ProblemKind::kWrongType, "history"},
      {R"({"conversations":[{"from":"alien","value":"q"}]})", Format::kShareGpt, ProblemKind::kUnknownRole, "alien"},
      {R"({"conversations":[{"from":"gpt","value":"a"}]})", Format::kShareGpt, ProblemKind::kRoleOrder, "no user turn"},
      {R"({"system":"x","messages":[{"role":"system","content":"y"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})", messages,
       ProblemKind::kRoleOrder, "two system messages"},
      {R"({"prompt":[{"role":"user"}],"completion":[{"role":"assistant","content":"a"}]})", Format::kPromptCompletion, ProblemKind::kMissingKey,
       "\"prompt\": turn 1 has no \"content\""},
      {R"({"prompt":"p","completion":"c","system":"s"})", Format::kPromptCompletion, ProblemKind::kRefusedField, "system"},
      {R"({"prompt":"p","completion":"c","label":false})", Format::kPromptCompletion, ProblemKind::kRefusedField, "KTO"},
      {R"({"prompt":"p","completion":"c","label":"False"})", Format::kPromptCompletion, ProblemKind::kRefusedField, "KTO"},
      {R"({"prompt":"p","completion":" ","images":"[]"})", Format::kPromptCompletion, ProblemKind::kEmptyAnswer, "completion"},
      {R"({"messages":[],"images":["a.png"]})", messages, ProblemKind::kRefusedField, "images"},
      {R"({"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"call f"}]})", Format::kShareGpt,
       ProblemKind::kWrongType, "function call"},
      {R"({"prompt":"p"})", Format::kPromptCompletion, ProblemKind::kMissingKey, "completion"},
      {R"({"prompt":"p","completion":" "})", Format::kPromptCompletion, ProblemKind::kEmptyAnswer, "completion"},
      {R"({"prompt":"","completion":"c"})", Format::kPromptCompletion, ProblemKind::kEmptyPrompt, "prompt"},
      {R"({"text":"\n"})", Format::kText, ProblemKind::kEmptyText, "text"},
      {R"({"text":["t"]})", Format::kText, ProblemKind::kWrongType, "found array"},
  };
  for (const BadRow& bad : rows) {
    SCOPED_TRACE(bad.row);
    Example example;
    const auto issue = RowFormat{bad.format, {}}.read(Json::parse(bad.row), example);
    ASSERT_TRUE(issue.has_value());
    EXPECT_EQ(name(issue->kind), name(bad.kind)) << issue->message;
    EXPECT_NE(issue->message.find(bad.part), std::string::npos) << issue->message;
  }
}

TEST(RowJson, NamesEveryMalformedRow) {
  Json row;
  const auto kind = [&](std::string_view bytes) {
    const auto issue = parse_json_row(bytes, 8, row);
    return issue ? std::string(name(issue->kind)) : "good";
  };
  EXPECT_EQ(kind(R"({"a": [[[[[[[1]]]]]]], "s": "[[[[[[[[[[[["})"), "good");
  EXPECT_EQ(kind(R"({"a": [[[[[[[[1]]]]]]]]})"), "nested too deep");
  EXPECT_EQ(kind(std::string(100000, '[')), "nested too deep");
  EXPECT_EQ(kind(R"({"a": )"), "bad JSON");
  EXPECT_EQ(kind(R"({"a": 1} {"b": 2})"), "bad JSON");
  EXPECT_EQ(kind(R"({'a': 1})"), "bad JSON");
  EXPECT_EQ(kind(R"({"a": "\ud800"})"), "bad JSON");
  EXPECT_EQ(kind("{\"a\": \"\x01\"}"), "bad JSON");
  EXPECT_EQ(kind(R"({"a": 1e999})"), "bad JSON");
  EXPECT_EQ(kind("[1]"), "not an object");
  EXPECT_EQ(kind("\"text\""), "not an object");
  EXPECT_EQ(kind("{\"a\": \"\xff\"}"), "not UTF-8");
  EXPECT_EQ(kind("{\"a\": \"\xed\xa0\x80\"}"), "not UTF-8");
}

TEST(RowJson, ReadsCsvRecords) {
  Json row;
  EXPECT_FALSE(parse_csv_row("1,,\"x\"", ',', {"a", "", "b"}, row));
  EXPECT_EQ(row.dump(), R"({"a":"1","b":"x"})");
  EXPECT_FALSE(parse_csv_row("1", ',', {"a", "b"}, row));
  EXPECT_EQ(row.dump(), R"({"a":"1"})") << "a field that is not there is absent";
  EXPECT_FALSE(parse_csv_row("1,2,,", ',', {"a", "b"}, row));
  EXPECT_EQ(row.dump(), R"({"a":"1","b":"2"})");
  EXPECT_EQ(parse_csv_row("1,2,3", ',', {"a", "b"}, row)->kind, ProblemKind::kBadCsv);
  EXPECT_EQ(parse_csv_row("1,\"2", ',', {"a", "b"}, row)->kind, ProblemKind::kBadCsv);
  EXPECT_EQ(parse_csv_row("1,\xff", ',', {"a", "b"}, row)->kind, ProblemKind::kNotUtf8);
}

TEST(Config, ReadsWords) {
  EXPECT_EQ(parse_format("sharegpt", "data.format"), Format::kShareGpt);
  EXPECT_EQ(parse_cut_off_policy("drop", "x"), CutOffPolicy::kDrop);
  EXPECT_EQ(parse_container("tsv", "x"), Container::kCsv);
  EXPECT_EQ(parse_train_on("all", "x"), TrainOn::kAll);
  expect_error(ErrorCode::kInvalidInput, {"data.format", "\"alpacca\"", "did you mean \"alpaca\"?"},
               [] { parse_format("alpacca", "data.format"); });
  EXPECT_EQ(parse_bad_row_limit("1%", "x").allowed(299), 2);
  EXPECT_EQ(parse_bad_row_limit("0.5", "x").allowed(10), 5);
  EXPECT_EQ(parse_bad_row_limit("100", "x").allowed(5), 100);
  EXPECT_EQ(parse_bad_row_limit("0", "x").allowed(1000), 0);
  for (const char* bad : {"", "%", "-1", "101%", "1.5", "ten", "nan", "5 %"}) {
    expect_error(ErrorCode::kInvalidInput, {"max_bad_rows"}, [&] { parse_bad_row_limit(bad, "max_bad_rows"); });
  }
}

}  // namespace
}  // namespace hone::data
