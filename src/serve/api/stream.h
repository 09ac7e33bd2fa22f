// One answer in pieces: lines of JSON, or server-sent events.
#pragma once

#include <string>

#include "serve/api/service.h"

namespace hone::serve {

/// Begins its exchange's answer with the first piece. Not for several threads at once.
class Stream {
 public:
  enum class Kind { kLines, kEvents };
  Stream(Exchange exchange, Kind kind) : exchange_(std::move(exchange)), kind_(kind) {}

  /// One object: a line, or an event without a name. False when nobody will read it.
  bool send(const Json& json);
  /// An event with a name.
  bool send(const std::string& event, const Json& json);
  /// Text as it is.
  bool write(std::string text);
  /// Nothing happens where it never began.
  void end();

  bool begun() const { return begun_; }
  bool gone() const { return exchange_->gone(); }
  const Exchange& exchange() const { return exchange_; }

 private:
  Exchange exchange_;
  Kind kind_;
  bool begun_ = false;
};

}  // namespace hone::serve
