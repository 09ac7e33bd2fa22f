// Where the time of a training step goes: which operation ran in which pass, how long, with how much arithmetic and traffic.
// Costs one relaxed load per scope while off.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::profile {

/// kRecompute is a forward operation run again within a backward pass, by checkpointing.
enum class Phase : uint8_t { kForward, kBackward, kRecompute, kUpdate };
std::string_view name(Phase phase);

/// Floating-point operations (a multiply-add is two) and bytes read and written once each.
struct Cost {
  double flops = 0, bytes = 0;
};

/// One line of the record. `kernel` is empty for an operation as a whole, else names one of its kernels and the sizes.
struct Entry {
  std::string op;
  Phase phase = Phase::kForward;
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;  // without the time of operations inside
  Cost cost;           // of its kernels
};

namespace detail {
extern std::atomic<bool> recording;
}
inline bool enabled() { return detail::recording.load(std::memory_order_relaxed); }

/// Forgets what was recorded and starts anew, on all threads.
void start();
/// Stops and returns the record, longest first.
std::vector<Entry> stop();

/// Names the operation that runs on this thread while it lives. `op` must outlive the record (a literal).
class Scope {
 public:
  /// Forward, or recomputation when it begins within a backward pass.
  explicit Scope(const char* op) {
    if (enabled()) enter(op, inherited_phase());
  }
  Scope(const char* op, Phase phase) {
    if (enabled()) enter(op, phase);
  }
  ~Scope() {
    if (op_) leave();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  friend class KernelTimer;
  static Phase inherited_phase();
  void enter(const char* op, Phase phase);
  void leave();

  const char* op_ = nullptr;
  Phase phase_ = Phase::kForward;
  Scope* outer_ = nullptr;
  double inside_ = 0;  // seconds of scopes within this one
  Cost cost_;
  std::chrono::steady_clock::time_point begin_;
};

/// Times one kernel for the operation of this thread.
class KernelTimer {
 public:
  KernelTimer(std::string kernel, Cost cost) : kernel_(std::move(kernel)), cost_(cost), begin_(std::chrono::steady_clock::now()) {}
  ~KernelTimer();
  KernelTimer(const KernelTimer&) = delete;
  KernelTimer& operator=(const KernelTimer&) = delete;

 private:
  std::string kernel_;
  Cost cost_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace hone::profile
