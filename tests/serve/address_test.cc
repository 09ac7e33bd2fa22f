// What $HONE_HOST may say.
#include "serve/http/address.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace hone::serve::http {
namespace {

std::string url(std::string_view text) { return parse_address(text, "HONE_HOST").url(); }

TEST(Address, WhatIsLeftOutIsTheDefault) {
  EXPECT_EQ(Address().url(), "http://127.0.0.1:11434");
  EXPECT_EQ(url("example.org"), "http://example.org:11434");
  EXPECT_EQ(url("example.org:80"), "http://example.org:80");
  EXPECT_EQ(url(":8080"), "http://127.0.0.1:8080");
  EXPECT_EQ(url("http://example.org:1/"), "http://example.org:1");
  EXPECT_EQ(url("https://example.org"), "https://example.org:443");
  EXPECT_EQ(url("https://example.org:8443//"), "https://example.org:8443");
  EXPECT_EQ(url("[::1]:80"), "http://[::1]:80");
  EXPECT_EQ(url("[fe80::1]"), "http://[fe80::1]:11434");
  EXPECT_EQ(url("fe80::1"), "http://[fe80::1]:11434");
  EXPECT_EQ(parse_address("[::1]:80", "x").host, "::1");
  EXPECT_EQ(url(" 10.0.0.1:99 \n"), "http://10.0.0.1:99") << "as Ollama reads it";
  EXPECT_EQ(url("\"http://example.org:1\""), "http://example.org:1");
  EXPECT_EQ(url("'0.0.0.0'"), "http://127.0.0.1:11434");
}

TEST(Address, AServerThatListensEverywhereIsAskedHere) {
  EXPECT_EQ(url("0.0.0.0:5"), "http://127.0.0.1:5");
  EXPECT_EQ(url("[::]:5"), "http://[::1]:5");
  EXPECT_EQ(parse_address("0.0.0.0", "x").host, "0.0.0.0");
}

TEST(Address, WhatIsNone) {
  for (const char* bad : {"host:", "host:port", "host:65536", "host:-1", "host: 80", "ftp://host", "host/path", "user@host", "http://host:80/v1", "a b", "[::1", "host:80:90x/", "h\\x"})
    EXPECT_THROW(parse_address(bad, "HONE_HOST"), Error) << bad;
}

TEST(Address, OfTheEnvironment) {
  ::setenv("HONE_HOST", "10.0.0.1:99", 1);
  EXPECT_EQ(default_address().url(), "http://10.0.0.1:99");
  ::setenv("HONE_HOST", "", 1);
  EXPECT_EQ(default_address().url(), "http://127.0.0.1:11434");
  ::unsetenv("HONE_HOST");
  EXPECT_EQ(default_address().port, 11434);
}

}  // namespace
}  // namespace hone::serve::http
