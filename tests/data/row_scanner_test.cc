#include "data/row_scanner.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/csv.h"
#include "data/dataset.h"
#include "data/row_json.h"
#include "data_fixture.h"

namespace hone::data {
namespace {

using ::testing::ElementsAre;

struct Scanned {
  std::vector<std::string> rows;
  std::vector<uint64_t> lines;
  std::vector<bool> too_large;
};

template <class Scan>
Scanned collect(const InputFile& file, Container container, Scan scan) {
  Scanned found;
  scan([&](const RawRow& row) {
    found.rows.emplace_back(row.bytes);
    found.lines.push_back(row.line);
    found.too_large.push_back(row.too_large);
    // What a random read sees: the row's place, and whatever follows it, trimmed.
    if (!row.too_large) {
      EXPECT_EQ(file.read(row.begin, row.end - row.begin), row.bytes);
      const uint64_t more = std::min<uint64_t>(file.size() - row.begin, row.end - row.begin + 1);
      const std::string with_more = file.read(row.begin, more);
      if (std::string(" \t\r\n,").find(with_more.back()) != std::string::npos) {
        EXPECT_EQ(trim_row(container, with_more), row.bytes);
      }
    }
  });
  return found;
}

Scanned jsonl(const std::string& bytes, uint64_t limit = 1 << 20) {
  TempFolder folder;
  const InputFile file(folder.file("rows.jsonl", bytes));
  return collect(file, Container::kJsonl, [&](RowSink sink) { scan_jsonl(file, limit, sink); });
}

Scanned json(const std::string& bytes, uint64_t limit = 1 << 20) {
  TempFolder folder;
  const InputFile file(folder.file("rows.json", bytes));
  return collect(file, Container::kJson, [&](RowSink sink) { scan_json(file, limit, sink); });
}

Scanned csv(const std::string& bytes, char delimiter = ',', uint64_t limit = 1 << 20) {
  TempFolder folder;
  const InputFile file(folder.file("rows.csv", bytes));
  return collect(file, Container::kCsv, [&](RowSink sink) { scan_csv(file, delimiter, limit, sink); });
}

TEST(JsonlScanner, FindsRowsBetweenBlankLines) {
  const Scanned found = jsonl("\xef\xbb\xbf{\"a\":1}\r\n\n  \t\n  {\"b\":2} \n{\"c\":3}");
  EXPECT_THAT(found.rows, ElementsAre("{\"a\":1}", "{\"b\":2}", "{\"c\":3}"));
  EXPECT_THAT(found.lines, ElementsAre(1, 4, 5));
}

TEST(JsonlScanner, MarksRowsThatAreTooLarge) {
  const Scanned found = jsonl("12345678\n123456789\n12345678\r\n1\n", 8);
  EXPECT_THAT(found.too_large, ElementsAre(false, true, false, false));
  EXPECT_THAT(found.rows, ElementsAre("12345678", "12345678", "12345678", "1"));
}

TEST(JsonlScanner, JoinsRowsAcrossChunks) {
  const std::string big(3 << 20, 'x');
  const Scanned found = jsonl("a\n" + big + "\nb\n", 4 << 20);
  ASSERT_EQ(found.rows.size(), 3u);
  EXPECT_EQ(found.rows[1], big);
  EXPECT_EQ(found.rows[2], "b");
}

TEST(JsonScanner, FindsElementsOfAnArray) {
  const Scanned found = json("\n[ {\"a\": [1, {\"x\": \"]},\\\"\"}]} ,\n\n 12, \"s,]\" ,null\n, [] ]  \n");
  EXPECT_THAT(found.rows, ElementsAre("{\"a\": [1, {\"x\": \"]},\\\"\"}]}", "12", "\"s,]\"", "null", "[]"));
  EXPECT_THAT(found.lines, ElementsAre(2, 4, 4, 4, 5));
}

TEST(JsonScanner, FindsTheArrayUnderData) {
  const Scanned found = json(R"({"info": {"data": [9], "n": "]"}, "k\"ey": 3, "data": [{"a":1},{"b":2}], "more": [1,2]})");
  EXPECT_THAT(found.rows, ElementsAre("{\"a\":1}", "{\"b\":2}"));
}

TEST(JsonScanner, MarksElementsThatAreTooLarge) {
  EXPECT_THAT(json("[\"12345678\",1]", 8).too_large, ElementsAre(true, false));
  EXPECT_TRUE(json("[]").rows.empty());
}

TEST(JsonScanner, NamesTheLineWhereTheStructureBreaks) {
  const std::vector<std::pair<std::string, std::string>> broken = {
      {"[{\"a\":1}\n{\"b\":2}]", "rows.json:2: expected , or ]"},
      {"[1,\n]", "rows.json:2: expected a value after the comma"},
      {"[1,2]\n x", "rows.json:2: expected the end of the file"},
      {"[{\"a\":\n[}]", "rows.json:2: '}' closes a bracket"},
      {"\n[{\"a\": \"x", "ends inside the value that begins on line 2"},
      {"[1, 2", "the file ends"},
      {"{\"rows\": [1]}", "no array under \"data\""},
      {"{\"data\": {}}", "no array under \"data\""},
      {"{\"data\": [1]", "before its array is closed"},
      {"{data: [1]}", "expected a key in quotes"},
      {"[,1]", "expected a value"},
      {"hello", "expected [ or {"},
      {std::string("[1]\0", 4), "found byte 0x00"},
  };
  for (const auto& [bytes, part] : broken) {
    SCOPED_TRACE(bytes);
    expect_error(ErrorCode::kInvalidInput, {part}, [&, &text = bytes] { json(text); });
  }
  expect_error(ErrorCode::kInvalidInput, {"a million deep"}, [] { json(std::string(3 << 20, '[')); });
}

TEST(CsvScanner, FindsRecordsWithLineEndsInQuotes) {
  const Scanned found = csv("\xef\xbb\xbf" "a,b\r\n\"x\r\ny\",\"q\"\"\n\"\r\n\r\n1,2\n3,");
  EXPECT_THAT(found.rows, ElementsAre("a,b", "\"x\r\ny\",\"q\"\"\n\"", "1,2", "3,"));
  EXPECT_THAT(found.lines, ElementsAre(1, 2, 6, 7));
}

TEST(CsvScanner, AQuoteInsideAFieldDoesNotOpenOne) {
  EXPECT_THAT(csv("a\n5\" pipe\nb\n").rows, ElementsAre("a", "5\" pipe", "b"));
}

TEST(CsvScanner, RefusesAnEndlessQuote) {
  expect_error(ErrorCode::kInvalidInput, {"rows.csv:2", "never closed"}, [] { csv("a\n\"x\ny\nz\n"); });
  expect_error(ErrorCode::kInvalidInput, {"rows.csv:2", "larger than a row"},
               [] { csv("a\n\"" + std::string(100, 'x') + "\"\n", ',', 50); });
}

TEST(Csv, SplitsFields) {
  std::vector<std::string> fields;
  EXPECT_EQ(split_csv("a,\"b,\"\"c\"\"\n\",,\"\"", ',', fields), "");
  EXPECT_THAT(fields, ElementsAre("a", "b,\"c\"\n", "", ""));
  EXPECT_EQ(split_csv("x;\"y;z\"", ';', fields), "");
  EXPECT_THAT(fields, ElementsAre("x", "y;z"));
  EXPECT_EQ(split_csv("a,\"b", ',', fields), "the quote of field 2 is never closed");
}

// tests/golden/csv: what Python's csv module reads from the same bytes.
TEST(Csv, ReadsWhatPythonReads) {
  std::ifstream golden(HONE_GOLDEN_DIR "/csv/rows.json");
  const auto cases = nlohmann::json::parse(golden);
  ASSERT_GT(cases.size(), 150u);
  for (const auto& golden_case : cases) {
    const std::string text = golden_case["text"], delimiter = golden_case["delimiter"];
    SCOPED_TRACE(golden_case["text"].dump());
    std::vector<std::vector<std::string>> rows;
    for (const std::string& record : csv(text, delimiter[0]).rows) EXPECT_EQ(split_csv(record, delimiter[0], rows.emplace_back()), "");
    EXPECT_EQ(nlohmann::json(rows), golden_case["rows"]);
  }
}

TEST(CsvScanner, CountsLinesByWhateverEndsThem) {
  EXPECT_THAT(csv("a,b\r\"x\ry\",1\r\r2,3\r").lines, ElementsAre(1, 2, 5));
  EXPECT_THAT(jsonl("{\"a\":1}\r\r{\"b\":2}\r").lines, ElementsAre(1, 3));
  EXPECT_THAT(jsonl("{\"a\":1}\r\r{\"b\":2}\r").rows, ElementsAre("{\"a\":1}", "{\"b\":2}"));
  EXPECT_THAT(json("[1,\r2,\r\r3]").lines, ElementsAre(1, 2, 4));
}

TEST(Csv, GuessesTheDelimiter) {
  EXPECT_EQ(guess_delimiter("a;b\r1,2,3,4"), ';');
  EXPECT_EQ(guess_delimiter("\"a\n;;;\",b\n"), ',');
  TempFolder folder;
  EXPECT_EQ(delimiter_of(InputFile(folder.file("a.tsv", "question, long, answer\n"))), '\t') << "its name says so";
  EXPECT_EQ(guess_delimiter("a,b,c"), ',');
  EXPECT_EQ(guess_delimiter("a;b,c;d"), ';');
  EXPECT_EQ(guess_delimiter("\"a,b,c\"\tb"), '\t');
  EXPECT_EQ(guess_delimiter("text"), ',');
}

TEST(Container, IsFoundFromNameAndBytes) {
  TempFolder folder;
  const auto found = [&](const char* name, const char* bytes) { return detect_container(InputFile(folder.file(name, bytes))); };
  EXPECT_EQ(found("a.jsonl", "["), Container::kJsonl);
  EXPECT_EQ(found("a.CSV", "a"), Container::kCsv);
  EXPECT_EQ(found("a.tsv", "a"), Container::kCsv);
  EXPECT_EQ(found("a.json", " [1]"), Container::kJson);
  EXPECT_EQ(found("a.json", "{\"a\":1}\n{\"a\":2}\n"), Container::kJsonl);
  EXPECT_EQ(found("a.json", "{\"a\":1}"), Container::kJsonl);
  EXPECT_EQ(found("a.json", "{\"data\":[1]}\n"), Container::kJson);
  EXPECT_EQ(found("a.json", "{\n\"data\":[1]}\n"), Container::kJson);
  EXPECT_EQ(found("rows", "\xef\xbb\xbf{\"a\":1}\n"), Container::kJsonl);
  expect_error(ErrorCode::kInvalidInput, {"a.txt", "neither"}, [&] { found("a.txt", "hello"); });
}

TEST(InputFile, RefusesWhatCannotBeRows) {
  TempFolder folder;
  const auto open = [&](const std::string& bytes) { InputFile file(folder.file("f", bytes)); };
  expect_error(ErrorCode::kUnsupported, {"gzip"}, [&] { open("\x1f\x8b\x08"); });
  expect_error(ErrorCode::kUnsupported, {"Parquet"}, [&] { open("PAR1...."); });
  expect_error(ErrorCode::kUnsupported, {"UTF-32", "iconv"}, [&] { open(std::string("\xff\xfe\0\0{\0\0\0", 8)); });
  expect_error(ErrorCode::kUnsupported, {"UTF-16", "without its mark", "iconv"}, [&] { open(std::string("{\0\"\0", 4)); });
  expect_error(ErrorCode::kInvalidInput, {"UTF-16", "half a surrogate pair", "byte 7"}, [&] { open(std::string("\xff\xfe\x3d\xd8{\0", 6)); });
  expect_error(ErrorCode::kInvalidInput, {"UTF-16", "half a character"}, [&] { open(std::string("\xff\xfe{\0\"", 5)); });
  expect_error(ErrorCode::kInvalidInput, {"empty"}, [&] { open(""); });
  expect_error(ErrorCode::kNotFound, {"no such file"}, [&] { InputFile file(folder.path("absent")); });
  expect_error(ErrorCode::kInvalidInput, {"not a regular file"}, [&] { InputFile file(folder.path(".")); });
}

std::string utf16(std::u16string_view text, bool big_endian) {
  std::string bytes = big_endian ? "\xfe\xff" : "\xff\xfe";
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
    bytes += big_endian ? high : low;
    bytes += big_endian ? low : high;
  }
  return bytes;
}

TEST(InputFile, ReadsUtf16ByItsMark) {
  TempFolder folder;
  for (const bool big_endian : {false, true}) {
    const InputFile file(folder.file("rows.jsonl", utf16(u"{\"text\":\"中 é 🙂\"}\r\n{\"text\":\"b\"}\r\n", big_endian)));
    const Scanned found = collect(file, Container::kJsonl, [&](RowSink sink) { scan_jsonl(file, 1 << 20, sink); });
    EXPECT_THAT(found.rows, ElementsAre("{\"text\":\"中 é 🙂\"}", "{\"text\":\"b\"}"));
    EXPECT_EQ(detect_container(InputFile(folder.file("rows", utf16(u"[1]", big_endian)))), Container::kJson);
  }
}

// A UTF-16 file that is touched is read again, and one that is changed is told from it.
TEST(InputFile, SeesChangesOfUtf16) {
  TempFolder folder;
  const std::string path = folder.file("rows.jsonl", utf16(u"{\"text\":\"a\"}\n{\"text\":\"b\"}\n", false));
  DataConfig config;
  DatasetConfig dataset_config;
  dataset_config.path = path;
  Dataset dataset(dataset_config, config, 0, false);
  folder.file("rows.jsonl", utf16(u"{\"text\":\"a\"}\n{\"text\":\"b\"}\n", false));
  dataset.check_unchanged();
  folder.file("rows.jsonl", utf16(u"{\"text\":\"a\"}\n{\"text\":\"c\"}\n", false));
  expect_error(ErrorCode::kIo, {"changed"}, [&] { dataset.check_unchanged(); });
}

TEST(Utf8, AcceptsOnlyWellFormedText) {
  for (const std::string good : {"", "plain ascii text", "中文 é 🙂", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_EQ(valid_utf8(good), good.size()) << good;
  }
  // Overlong, surrogate, above U+10FFFF, lone continuation, cut short, and bytes UTF-8 never uses.
  for (const std::string bad : {"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
                                "\xe4\xb8", "\xf0\x9f\x99", "\xff", "\xc3"}) {
    EXPECT_EQ(valid_utf8("12345678" + bad), 8u);
    EXPECT_EQ(valid_utf8("123" + bad + "1234567890"), 3u);
  }
}

}  // namespace
}  // namespace hone::data
