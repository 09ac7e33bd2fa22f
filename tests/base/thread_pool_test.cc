#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/error.h"

namespace hone {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  ThreadPool pool(3);
  for (int64_t tasks : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(tasks));
    pool.run(tasks, [&](int64_t task, int worker) {
      EXPECT_GE(worker, 0);
      EXPECT_LT(worker, 3);
      ++seen[static_cast<size_t>(task)];
    });
    for (auto& count : seen) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, RangesCoverWithoutOverlap) {
  ThreadPool pool(2);
  std::vector<std::atomic<int>> seen(101);
  pool.ranges(101, 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
  });
  for (auto& count : seen) EXPECT_EQ(count, 1);
}

TEST(ThreadPool, PassesOnTheFirstException) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.run(100, [](int64_t task, int) {
    if (task == 50) throw Error(ErrorCode::kInvalidInput, "task", "refused");
  }),
               Error);
  int64_t done = 0;
  pool.run(1, [&](int64_t, int) { ++done; });
  EXPECT_EQ(done, 1);
}

// A loop does not wait for workers that sleep through it, so they may arrive while the next one runs.
TEST(ThreadPool, ManyShortLoopsInARow) {
  ThreadPool pool(4);
  for (int64_t loop = 0; loop < 5000; ++loop) {
    std::atomic<int64_t> sum{0};
    const int64_t tasks = 2 + loop % 7;
    pool.run(tasks, [&](int64_t task, int) { sum += task + loop; });
    ASSERT_EQ(sum, tasks * loop + tasks * (tasks - 1) / 2);
  }
}

TEST(ThreadPool, NestedLoopsRunOnTheCallingThread) {
  ThreadPool pool(2);
  std::atomic<int> count{0};
  pool.run(8, [&](int64_t, int) { pool.run(8, [&](int64_t, int) { ++count; }); });
  EXPECT_EQ(count, 64);
}

}  // namespace
}  // namespace hone
