#include "serve/api/stream.h"

namespace hone::serve {

bool Stream::send(const Json& json) { return write(kind_ == Kind::kLines ? dump_line(json) + "\n" : "data: " + dump_line(json) + "\n\n"); }

bool Stream::send(const std::string& event, const Json& json) { return write("event: " + event + "\ndata: " + dump_line(json) + "\n\n"); }

bool Stream::write(std::string text) {
  if (begun_) return exchange_->write(std::move(text));
  begun_ = true;
  if (kind_ == Kind::kLines) exchange_->begin({200, "application/x-ndjson", std::move(text), {}});
  else exchange_->begin({200, "text/event-stream; charset=utf-8", std::move(text), {{"Cache-Control", "no-cache"}}});
  return !exchange_->gone();
}

void Stream::end() {
  if (begun_) exchange_->end();
}

}  // namespace hone::serve
