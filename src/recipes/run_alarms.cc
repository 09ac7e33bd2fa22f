#include "recipes/run_alarms.h"

namespace hone::recipes {

RunAlarms::RunAlarms(const AlarmSettings& settings, uint64_t memory_limit, bool room_helps, std::string run) : health_(settings.bands, memory_limit, room_helps), run_(std::move(run)) {
  if (settings.webhook.empty()) return;
  WebhookOptions options;
  options.url = settings.webhook;
  webhook_.emplace(std::move(options));
}

void RunAlarms::send() {
  for (Notice& notice : health_.take_notices()) {
    if (webhook_) webhook_->post(webhook_message(run_, notice));
    notices_.push_back(std::move(notice));
  }
}

std::optional<std::string> RunAlarms::close() {
  if (webhook_) webhook_->close();
  return take_failure();
}

}  // namespace hone::recipes
