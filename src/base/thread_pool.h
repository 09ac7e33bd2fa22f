// A fixed set of worker threads for data-parallel loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace hone {

/// Runs loops over [0, tasks). The caller works too, so a pool of one has no threads of its own. Which worker runs which
/// task is not fixed; results stay deterministic because every task writes its own output and reduces in a fixed order.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(task, worker) for every task in [0, tasks), worker in [0, size()). Returns when all are done; the first
  /// exception thrown by a body is rethrown here. A call from inside a body runs its loop on the calling thread (as
  /// worker 0), so do not index per-worker memory from a nested loop.
  void run(int64_t tasks, FunctionRef<void(int64_t task, int worker)> body);

  /// Calls body(begin, end) on contiguous ranges that cover [0, n); each range holds at least `grain` items except the
  /// last. The split depends on n and grain alone, not on the number of threads.
  void ranges(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body);

  /// The process-wide pool; $HONE_THREADS or the number of CPUs this process may use.
  static ThreadPool& global();

 private:
  static constexpr uint32_t kClosed = uint32_t{1} << 31;
  struct Job;
  void work(int worker);
  void run_tasks(Job& job, int worker);

  std::mutex submit_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<Job*> job_{nullptr};
  std::atomic<uint32_t> gate_{kClosed};  // workers inside the job, and whether no more may enter
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace hone
