// Tells an address of what happens in a run, beside the run.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "recipes/health.h"

namespace hone::recipes {

struct WebhookOptions {
  std::string url;  // http or https
  size_t queue = 32;                                // messages that wait; further ones are dropped
  std::chrono::milliseconds time_limit{10000};      // of one message, from finding the host to the end of the answer
  std::chrono::milliseconds patience_at_end{3000};  // for what still waits when the run ends
};

/// Posts JSON on a thread of its own. Whoever posts never waits for the network and never fails because of it; only the destructor
/// waits, for `patience_at_end`.
class Webhook {
 public:
  /// Throws Error{kInvalidInput} for what is not an http or https address.
  explicit Webhook(WebhookOptions options);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  void post(std::string json);
  /// Gives what waits its time, then ends the thread; post does nothing afterwards.
  void close();
  /// Why the first message failed, once; never names more of the address than its host.
  std::optional<std::string> take_failure();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // with the thread: one that hangs in the system's look-up of names is left behind
};

/// {"run", "kind", "serious", "step", "value", "bound", "advice", "text"}; numbers that are not finite are null.
std::string webhook_message(const std::string& run, const Notice& notice);

}  // namespace hone::recipes
