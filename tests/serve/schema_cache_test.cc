// Schemas of earlier requests: each is compiled once, refusals included.
#include "serve/schema/schema_cache.h"

#include <gtest/gtest.h>

#include "serve/api/fields.h"

namespace hone::serve {
namespace {

std::shared_ptr<const Schema> compiled() { return Schema::parse(Json::parse(R"({"type": "integer"})"), "format"); }

TEST(SchemaCache, CompilesOnce) {
  SchemaCache cache;
  int made = 0;
  const auto make = [&] { return ++made, compiled(); };
  const auto first = cache.get("a", make);
  EXPECT_EQ(cache.get("a", make), first);
  EXPECT_NE(cache.get("b", make), first);
  EXPECT_EQ(made, 2);
}

TEST(SchemaCache, KeepsRefusals) {
  SchemaCache cache;
  int made = 0;
  const auto refuse = [&]() -> std::shared_ptr<const Schema> { ++made; throw Error(ErrorCode::kUnsupported, "format.not", "is not computed"); };
  for (int i = 0; i < 3; ++i) {
    try {
      cache.get("a", refuse);
      ADD_FAILURE() << "it is refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    }
  }
  EXPECT_EQ(made, 1);
}

TEST(SchemaCache, OtherFailuresAreTriedAgain) {
  SchemaCache cache;
  int made = 0;
  const auto fail = [&]() -> std::shared_ptr<const Schema> { ++made; throw std::bad_alloc(); };
  for (int i = 0; i < 2; ++i) EXPECT_THROW(cache.get("a", fail), std::bad_alloc);
  EXPECT_EQ(made, 2);
  EXPECT_TRUE(cache.get("a", compiled));
}

TEST(SchemaCache, IsOfBoundedSize) {
  SchemaCache cache;
  int made = 0;
  const auto make = [&] { return ++made, compiled(); };
  cache.get("kept", make);
  for (int i = 0; i < 100; ++i) {
    cache.get(fmt::format("{}", i), make);
    cache.get("kept", make);
  }
  EXPECT_EQ(made, 101) << "what is asked for again stays";
  cache.get("0", make);
  EXPECT_EQ(made, 102) << "what is not goes";
  const std::string huge(size_t{1} << 20, 'x');
  cache.get(huge, make);
  cache.get(huge, make);
  EXPECT_EQ(made, 104) << "a huge one is not kept";
}

}  // namespace
}  // namespace hone::serve
