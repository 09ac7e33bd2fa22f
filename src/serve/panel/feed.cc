#include "serve/panel/feed.h"

namespace hone::serve::panel {
namespace {

std::string as_event(const Json& json) { return "data: " + dump_line(json) + "\n\n"; }

}  // namespace

void Feed::tell(Json event) {
  event["seq"] = ++sequence_;
  const std::string text = as_event(event);
  std::erase_if(pages_, [&](const auto& page) { return !page->write(text); });
}

void Feed::begin(const recipes::TrainPlan& plan) {
  const std::lock_guard lock(mutex_);
  record_.emplace(plan.bands, plan.available_memory, plan.room_helps);
  if (plan.resumed_from > 0) {
    runs::RunStore store(runs::RunStore::default_path());
    record_->add_past(store, plan.run_id);
  }
  tell(record_->begin(plan));
}

void Feed::end(const std::string& status) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  if (record_) tell(record_->end(status));
  ended_ = true;
  for (const auto& page : pages_) page->end();
  pages_.clear();
}

void Feed::close() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (const auto& page : pages_) page->end();
  pages_.clear();
}

void Feed::subscribe(const std::shared_ptr<http::Exchange>& exchange) {
  const std::lock_guard lock(mutex_);
  http::Response response{200, "text/event-stream; charset=utf-8", "retry: 2000\n" + as_event({{"event", "hello"}, {"seq", sequence_}}), {{"Cache-Control", "no-store"}}};
  exchange->begin(std::move(response));
  if (!ended_) return pages_.push_back(exchange);
  if (record_) exchange->write(as_event({{"event", "end"}, {"seq", sequence_}}));
  exchange->end();
}

std::optional<Record> Feed::copy(uint64_t& sequence) const {
  const std::lock_guard lock(mutex_);
  sequence = sequence_;
  return record_;
}

std::string Feed::metrics() const {
  const std::lock_guard lock(mutex_);
  return record_ ? record_->metrics() : "";
}

}  // namespace hone::serve::panel
