#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/rng.h"

namespace hone {
namespace {

TEST(Arena, BlocksNeverOverlapAndFreedNeighboursJoin) {
  Arena arena(size_t{64} << 20);
  std::map<std::byte*, size_t> live;
  const Rng rng{3, 1, 0};
  for (uint64_t i = 0; i < 4000; ++i) {
    if (live.size() > 40 || (!live.empty() && rng.uniform(2 * i) < 0.45f)) {
      auto at = live.begin();
      std::advance(at, static_cast<long>(rng.bits(2 * i + 1) % live.size()));
      for (size_t b = 0; b < at->second; b += 4096) ASSERT_EQ(at->first[b], static_cast<std::byte>(at->second)) << "a block was written by another's owner";
      arena.free(at->first, at->second);
      live.erase(at);
      continue;
    }
    const size_t bytes = 1 + rng.bits(2 * i) % 900000;
    auto* block = static_cast<std::byte*>(arena.allocate(bytes));
    ASSERT_NE(block, nullptr);
    ASSERT_EQ(reinterpret_cast<size_t>(block) % Arena::kAlignment, 0u);
    std::memset(block, static_cast<int>(bytes & 0xFF), bytes);
    const auto next = live.lower_bound(block);
    if (next != live.end()) {
      ASSERT_LE(block + bytes, next->first);
    }
    if (next != live.begin()) {
      ASSERT_LE(std::prev(next)->first + std::prev(next)->second, block);
    }
    live.emplace(block, bytes);
  }
  for (const auto& [block, bytes] : live) arena.free(block, bytes);
  // Everything joined again: the whole range is one block.
  EXPECT_NE(arena.allocate(size_t{64} << 20), nullptr);
  EXPECT_EQ(arena.allocate(1), nullptr);
}

TEST(Arena, StepsOfOtherLengthsTouchNoMoreThanTheLongest) {
  Arena arena(size_t{1} << 30);
  for (const size_t tokens : {512, 358, 490, 100, 511, 300}) {
    std::vector<std::pair<void*, size_t>> kept;
    for (int layer = 0; layer < 20; ++layer) {
      for (const size_t width : {576, 1536, 192}) kept.emplace_back(arena.allocate(2 * tokens * width), 2 * tokens * width);
      void* temporary = arena.allocate(tokens * 3000);
      arena.free(temporary, tokens * 3000);
    }
    while (!kept.empty()) {
      void* gradient = arena.allocate(tokens * 4000);
      arena.free(kept.back().first, kept.back().second);
      kept.pop_back();
      arena.free(gradient, tokens * 4000);
    }
  }
  EXPECT_LE(arena.touched(), size_t{20} * 512 * 2 * (576 + 1536 + 192) + 512 * 7000);
}

TEST(Arena, GivesPagesBackAndIsUsableAfterwards) {
  Arena arena(size_t{16} << 20);
  void* first = arena.allocate(4 << 20);
  void* second = arena.allocate(4 << 20);
  std::memset(second, 1, 4 << 20);
  arena.free(first, 4 << 20);
  arena.free(second, 4 << 20);
  arena.give_back();
  EXPECT_EQ(arena.touched(), 0u);
  auto* again = static_cast<unsigned char*>(arena.allocate(8 << 20));
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again[6 << 20], 0);
}

}  // namespace
}  // namespace hone
