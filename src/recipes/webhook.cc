#include "recipes/webhook.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "store/http_client.h"

namespace hone::recipes {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGrace{1};  // for what is interrupted to end
constexpr size_t kMaxAnswer = 64 << 10;  // bytes; nobody reads it

}  // namespace

struct Webhook::Impl {
  explicit Impl(WebhookOptions given) : options(std::move(given)), origin(store::parse_url(options.url).origin()) {}

  void run() {
    loop();
    const std::lock_guard lock(mutex);
    ended = true;
    over.notify_all();
  }

  void loop() {
    for (;;) {
      std::string message;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return closing || !queue.empty(); });
        if (queue.empty()) return;
        if (closing && Clock::now() >= end) return fail(fmt::format("{} messages were not sent before the run ended", queue.size()));
        message = std::move(queue.front());
        queue.pop_front();
      }
      const std::string why = send(message);
      const std::lock_guard lock(mutex);
      if (!why.empty()) fail(why);
    }
  }

  // Empty when the other side took it.
  std::string send(const std::string& message) {
    const auto limit = Clock::now() + options.time_limit;
    try {
      store::HttpOptions http;
      http.insecure = true;  // the user wrote http:// himself
      http.connect_limit = http.silence_limit = options.time_limit;
      http.interrupted = [&] {
        const std::lock_guard lock(mutex);
        return Clock::now() >= limit || (closing && Clock::now() >= end);
      };
      store::HttpClient client(http);  // of its own: alarms are rare, and a server closes what is idle
      store::HttpRequest request;
      request.method = "POST";
      request.url = options.url;
      request.headers = {{"Content-Type", "application/json"}};
      request.body = message;
      request.limit = kMaxAnswer;
      const store::HttpResponse answer = client.send(request);
      return answer.status >= 200 && answer.status < 300 ? "" : fmt::format("it answered with status {}", answer.status);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInterrupted ? "no answer within the time limit" : error.message();
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  // With the lock held.
  void fail(const std::string& why) {
    if (failed) return;
    failed = true;
    failure = fmt::format("{}: {}; alarms go on, but may not arrive there", origin, why);
  }

  const WebhookOptions options;
  const std::string origin;
  std::mutex mutex;
  std::condition_variable wake, over;
  std::deque<std::string> queue;
  bool closing = false, failed = false, ended = false;
  Clock::time_point end{};
  std::optional<std::string> failure;
  std::thread thread;
};

Webhook::Webhook(WebhookOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {
  impl_->thread = std::thread([impl = impl_] { impl->run(); });
}
Webhook::~Webhook() { close(); }

void Webhook::post(std::string json) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closing) return;
  if (impl_->queue.size() >= impl_->options.queue) return impl_->fail(fmt::format("more than {} messages wait", impl_->options.queue));
  impl_->queue.push_back(std::move(json));
  impl_->wake.notify_one();
}

void Webhook::close() {
  std::unique_lock lock(impl_->mutex);
  if (impl_->closing) return;
  impl_->closing = true;
  impl_->end = Clock::now() + impl_->options.patience_at_end;
  impl_->wake.notify_one();
  const bool ended = impl_->over.wait_until(lock, impl_->end + kGrace, [this] { return impl_->ended; });
  if (!ended) impl_->fail("no answer when the run ended");
  lock.unlock();
  if (ended) impl_->thread.join();
  else impl_->thread.detach();
}

std::optional<std::string> Webhook::take_failure() {
  const std::lock_guard lock(impl_->mutex);
  return std::exchange(impl_->failure, std::nullopt);
}

std::string webhook_message(const std::string& run, const Notice& notice) {
  const nlohmann::ordered_json json = {{"run", run}, {"kind", notice.kind}, {"serious", notice.serious}, {"step", notice.step}, {"value", notice.value}, {"bound", notice.bound},
                                       {"advice", advice(notice.kind)}, {"text", fmt::format("{}, step {}: {}", run, notice.step, notice.text())}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace hone::recipes
