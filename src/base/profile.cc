#include "base/profile.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

namespace hone::profile {
namespace detail {
std::atomic<bool> recording{false};
}

namespace {

using Clock = std::chrono::steady_clock;
using Key = std::tuple<std::string, Phase, std::string>;

struct Record {
  std::mutex lock;
  std::map<Key, Entry> entries;

  void add(const char* op, Phase phase, const std::string& kernel, double seconds, const Cost& cost) {
    const std::lock_guard guard(lock);
    Entry& entry = entries[{op, phase, kernel}];
    ++entry.calls;
    entry.seconds += seconds;
    entry.cost.flops += cost.flops;
    entry.cost.bytes += cost.bytes;
  }
};

Record& record() {
  static Record instance;
  return instance;
}

thread_local Scope* innermost = nullptr;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::kForward: return "forward";
    case Phase::kBackward: return "backward";
    case Phase::kRecompute: return "recompute";
    case Phase::kUpdate: return "update";
  }
  return "unknown";
}

void start() {
  const std::lock_guard guard(record().lock);
  record().entries.clear();
  detail::recording = true;
}

std::vector<Entry> stop() {
  detail::recording = false;
  const std::lock_guard guard(record().lock);
  std::vector<Entry> list;
  for (auto& [key, entry] : record().entries) {
    std::tie(entry.op, entry.phase, entry.kernel) = key;
    list.push_back(std::move(entry));
  }
  record().entries.clear();
  std::stable_sort(list.begin(), list.end(), [](const Entry& a, const Entry& b) { return a.seconds > b.seconds; });
  return list;
}

Phase Scope::inherited_phase() {
  if (!innermost) return Phase::kForward;
  return innermost->phase_ == Phase::kBackward ? Phase::kRecompute : innermost->phase_;
}

void Scope::enter(const char* op, Phase phase) {
  op_ = op;
  phase_ = phase;
  outer_ = innermost;
  innermost = this;
  begin_ = Clock::now();
}

void Scope::leave() {
  const double seconds = seconds_since(begin_);
  innermost = outer_;
  if (outer_) outer_->inside_ += seconds;
  record().add(op_, phase_, "", seconds - inside_, cost_);
}

KernelTimer::~KernelTimer() {
  const double seconds = seconds_since(begin_);
  if (innermost) {
    innermost->cost_.flops += cost_.flops;
    innermost->cost_.bytes += cost_.bytes;
  }
  record().add(innermost ? innermost->op_ : "outside", innermost ? innermost->phase_ : Phase::kForward, kernel_, seconds, cost_);
}

}  // namespace hone::profile
