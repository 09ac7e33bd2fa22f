// Paths as people write them.
#include "base/path.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace hone {
namespace {

struct Variable {
  const char* name;
  Variable(const char* n, const char* value) : name(n) { ::setenv(n, value, 1); }
  ~Variable() { ::unsetenv(name); }
};

std::string why_not(const std::string& path) {
  try {
    return "taken: " + expanded_path(path, "--out");
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "--out");
    EXPECT_FALSE(error.hint().empty());
    return error.message();
  }
}

TEST(Path, ExpandsHomesAndVariables) {
  const Variable runs("HONE_TEST_RUNS", "/data/runs"), empty("HONE_TEST_EMPTY", "");
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  for (const auto& [written, meant] : std::vector<std::pair<std::string, std::string>>{
           {"a/b", "a/b"}, {"", ""}, {"~", home}, {"~/x", home + "/x"}, {"~root", "/root"}, {"~root/x y", "/root/x y"}, {"a/~/b", "a/~/b"}, {"a~", "a~"},
           {"$HONE_TEST_RUNS/1", "/data/runs/1"}, {"${HONE_TEST_RUNS}x", "/data/runsx"}, {"x$HONE_TEST_EMPTY.y", "x.y"}, {"$HONE_TEST_RUNS$HONE_TEST_RUNS", "/data/runs/data/runs"},
           {"a$", "a$"}, {"a$/b", "a$/b"}, {"$5", "$5"}, {"$$", "$$"}})
    EXPECT_EQ(expanded_path(written, "--out"), meant) << written;
}

TEST(Path, WordsForAShell) {
  for (const auto& [text, word] : std::vector<std::pair<std::string, std::string>>{
           {"runs/a-1.5/best", "runs/a-1.5/best"}, {"", "''"}, {"my runs/a", "'my runs/a'"}, {"it's", "'it'\\''s'"}, {"$HOME", "'$HOME'"}, {"~/x", "'~/x'"}, {"数据/行", "数据/行"}, {"a;b", "'a;b'"}, {"a*", "'a*'"}})
    EXPECT_EQ(shell_word(text), word);
}

TEST(Path, RefusesWhatItCannotExpand) {
  EXPECT_EQ(why_not("runs/$HONE_TEST_NOT_SET"), "$HONE_TEST_NOT_SET is not set");
  EXPECT_EQ(why_not("~nobody-of-this-name/x"), "~nobody-of-this-name stands for a home folder, and there is no user nobody-of-this-name");
  for (const char* more : {"${HOME:-x}", "${}", "${HOME", "${1}"}) EXPECT_NE(why_not(more).find("does not name a variable"), std::string::npos) << more;
}

TEST(Path, WhatExistsIsMeantAsItIsWritten) {
  const std::string odd = testing::TempDir() + "hone-$HONE_TEST_NOT_SET";
  std::ofstream(odd) << "x";
  EXPECT_EQ(expanded_path(odd, "--out"), odd);
  std::remove(odd.c_str());
  EXPECT_THROW(expanded_path(odd, "--out"), Error);
}

}  // namespace
}  // namespace hone
