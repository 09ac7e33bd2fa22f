#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hone {
namespace {

// Long enough to bridge the gap between two kernels of a training step, short enough not to burn an idle core.
constexpr int kSpins = 20000;

thread_local bool inside_loop = false;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

int default_threads() {
  if (const char* text = std::getenv("HONE_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > 1024)
      throw Error(ErrorCode::kInvalidInput, "HONE_THREADS", fmt::format("expected 1 to 1024, found \"{}\"", text),
                  "unset it to use every CPU of this process");
    return static_cast<int>(n);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

struct ThreadPool::Job {
  FunctionRef<void(int64_t, int)> body;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_lock;
};

ThreadPool::ThreadPool(int threads) {
  HONE_CHECK(threads >= 1, "threads = {}", threads);
  for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& thread : workers_) thread.join();
}

void ThreadPool::run_tasks(Job& job, int worker) {
  inside_loop = true;
  for (int64_t task; (task = job.next.fetch_add(1, std::memory_order_relaxed)) < job.tasks;) {
    if (job.failed.load(std::memory_order_relaxed)) break;
    try {
      job.body(task, worker);
    } catch (...) {
      std::lock_guard lock(job.error_lock);
      if (!job.error) job.error = std::current_exception();
      job.failed.store(true);
    }
  }
  inside_loop = false;
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spin) relax();
    generation_.wait(seen, std::memory_order_acquire);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    // Once counted, the job stays where it is until this worker leaves; behind a closed gate there is none.
    if ((gate_.fetch_add(1, std::memory_order_acq_rel) & kClosed) == 0) run_tasks(*job_.load(std::memory_order_acquire), worker);
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) == (kClosed | 1)) gate_.notify_all();
  }
}

void ThreadPool::run(int64_t tasks, FunctionRef<void(int64_t, int)> body) {
  if (tasks <= 0) return;
  if (inside_loop || workers_.empty() || tasks == 1) {
    const bool nested = inside_loop;
    inside_loop = true;
    struct Restore {
      bool value;
      ~Restore() { inside_loop = value; }
    } restore{nested};
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  std::lock_guard lock(submit_);
  Job job{body, tasks, {}, {}, {}, {}};
  job_.store(&job, std::memory_order_release);
  gate_.fetch_and(~kClosed, std::memory_order_acq_rel);
  generation_.fetch_add(1, std::memory_order_acq_rel);
  generation_.notify_all();
  run_tasks(job, 0);
  // Only workers that took part are waited for: one that has not woken up yet must not hold up a loop that is done without it.
  gate_.fetch_or(kClosed, std::memory_order_acq_rel);
  for (int spin = 0; spin < kSpins && gate_.load(std::memory_order_acquire) != kClosed; ++spin) relax();
  for (uint32_t inside; (inside = gate_.load(std::memory_order_acquire)) != kClosed;) gate_.wait(inside, std::memory_order_acquire);
  if (job.error) std::rethrow_exception(job.error);
}

void ThreadPool::ranges(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  run((n + grain - 1) / grain, [&](int64_t task, int) { body(task * grain, std::min(n, (task + 1) * grain)); });
}

ThreadPool& ThreadPool::global() {
  static ThreadPool pool(default_threads());
  return pool;
}

}  // namespace hone
