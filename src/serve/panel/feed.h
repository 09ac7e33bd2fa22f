// A run as it goes, and the pages that watch it.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "serve/http/message.h"
#include "serve/panel/record.h"

namespace hone::serve::panel {

/// Every event has a number, and so has a snapshot: a page subscribes, asks for a snapshot, and drops the events up to its number.
/// All functions may be called from any thread; none waits for a page.
class Feed {
 public:
  /// Takes `change` of the record and tells every subscriber what it returns, and the alarms when they changed.
  template <class Change>
  void publish(Change change) {
    const std::lock_guard lock(mutex_);
    if (!record_ || ended_) return;
    tell(change(*record_));
    if (Json alarms = record_->changed_alarms(); !alarms.is_null()) tell(std::move(alarms));
  }
  void begin(const recipes::TrainPlan& plan);
  /// The last event; ends every stream. Only the first call counts.
  void end(const std::string& status);
  /// Ends the streams that are still open, whatever they were told.
  void close();

  /// Answers with server-sent events, the first of which is {"event": "hello", "seq"}.
  void subscribe(const std::shared_ptr<http::Exchange>& exchange);
  /// Null before the plan is known.
  std::optional<Record> copy(uint64_t& sequence) const;
  /// Record::metrics, without a copy of the record; empty before the plan is known.
  std::string metrics() const;

 private:
  void tell(Json event);

  mutable std::mutex mutex_;
  std::optional<Record> record_;
  uint64_t sequence_ = 0;
  bool ended_ = false;
  std::vector<std::shared_ptr<http::Exchange>> pages_;
};

}  // namespace hone::serve::panel
