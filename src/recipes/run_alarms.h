// The alarms of a run while it trains, and the address that is told of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recipes/health.h"
#include "recipes/webhook.h"

namespace hone::recipes {

class RunAlarms {
 public:
  /// `memory_limit`: bytes that the run may use. `room_helps`: TrainPlan's.
  RunAlarms(const AlarmSettings& settings, uint64_t memory_limit, bool room_helps, std::string run);

  /// Judges a report, and hands alarms that begin to the webhook at once.
  template <class Report>
  void add(const Report& report) {
    health_.add(report);
    send();
  }

  /// The alarms that began since the last call.
  std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }
  /// Why the webhook failed, once.
  std::optional<std::string> take_failure() { return webhook_ ? webhook_->take_failure() : std::nullopt; }
  /// Waits a little for what the webhook has not sent yet; what take_failure would say then.
  std::optional<std::string> close();

 private:
  void send();
  Health health_;
  std::string run_;
  std::optional<Webhook> webhook_;
  std::vector<Notice> notices_;
};

}  // namespace hone::recipes
