// The webhook against servers that take, refuse, keep silent, or are not there.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "recipes/run_alarms.h"

namespace hone::recipes {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A loopback server that keeps what it gets and answers every request the same way; an empty answer: never.
class Loopback {
 public:
  explicit Loopback(std::string answer) : answer_(std::move(answer)) {
    listening_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listening_, 64), 0);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Loopback() {
    ::shutdown(listening_, SHUT_RDWR);
    ::close(listening_);
    thread_.join();
    for (const int fd : silent_) ::close(fd);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hooks/secret"; }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (int fd; (fd = ::accept(listening_, nullptr, nullptr)) >= 0;) {
      std::string text;
      char buffer[4096];
      size_t whole = SIZE_MAX;
      for (ssize_t n; text.size() < whole && (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
        text.append(buffer, static_cast<size_t>(n));
        const size_t body = text.find("\r\n\r\n"), length = text.find("Content-Length: ");
        if (body != std::string::npos && length != std::string::npos) whole = body + 4 + std::stoul(text.substr(length + 16));
      }
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(text);
      }
      if (answer_.empty()) {
        silent_.push_back(fd);
        continue;
      }
      ::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }
  const std::string answer_;
  int listening_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<int> silent_;
  std::thread thread_;
};

constexpr const char *kTaken = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", *kRefused = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

nlohmann::json body_of(const std::string& request) { return nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4)); }

StepReport step_of(int64_t step, double grad_norm) {
  StepReport r;
  r.step = step;
  r.loss = r.smoothed = 2;
  r.grad_norm = grad_norm;
  return r;
}

TEST(Webhook, IsToldOfEachAlarmThatBegins) {
  const Loopback server(kTaken);
  AlarmSettings settings;
  settings.webhook = server.url();
  RunAlarms alarms(settings, 0, false, "run-7");
  alarms.add(step_of(1, 1));
  alarms.add(step_of(2, 9));
  for (int64_t step = 3; step <= 150; ++step) alarms.add(step_of(step, 8));  // goes on: the same alarm
  for (int64_t step = 151; step <= 300; ++step) alarms.add(step_of(step, 1));
  alarms.add(step_of(301, NAN));
  alarms.add(step_of(302, 7));
  EXPECT_EQ(alarms.close(), std::nullopt);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_TRUE(requests[0].starts_with("POST /hooks/secret HTTP/1.1\r\n")) << requests[0];
  EXPECT_NE(requests[0].find("Content-Type: application/json\r\n"), std::string::npos);
  const auto first = body_of(requests[0]), second = body_of(requests[1]), third = body_of(requests[2]);
  EXPECT_EQ(first["run"], "run-7");
  EXPECT_EQ(first["kind"], "grad_norm_high");
  EXPECT_EQ(first["step"], 2);
  EXPECT_EQ(first["value"], 9);
  EXPECT_EQ(first["bound"], 5);
  EXPECT_EQ(first["serious"], true);
  EXPECT_EQ(first["advice"], advice("grad_norm_high"));
  EXPECT_EQ(second["kind"], "not_finite");
  EXPECT_TRUE(second["value"].is_null());
  EXPECT_EQ(third["kind"], "grad_norm_high") << "after 150 quiet steps it begins anew";
  EXPECT_EQ(third["step"], 302);
  EXPECT_EQ(alarms.take_notices().size(), 3u);
}

// Posts several messages; the failure must be told once, and posting must not take time.
std::string only_failure(WebhookOptions options, int messages, std::chrono::milliseconds at_most) {
  Webhook hook(std::move(options));
  const auto begun = Clock::now();
  for (int i = 0; i < messages; ++i) hook.post("{}");
  EXPECT_LT(Clock::now() - begun, 200ms) << "posting waits";
  hook.close();
  EXPECT_LT(Clock::now() - begun, at_most);
  const auto failure = hook.take_failure();
  EXPECT_EQ(hook.take_failure(), std::nullopt) << "told twice";
  return failure.value_or("none");
}

TEST(Webhook, FailsOnceAndNamesNoSecret) {
  const Loopback refusing(kRefused);
  const std::string failure = only_failure({refusing.url()}, 5, 5s);
  EXPECT_NE(failure.find("status 500"), std::string::npos) << failure;
  EXPECT_EQ(failure.find("secret"), std::string::npos) << failure;
  EXPECT_EQ(refusing.requests().size(), 5u) << "later alarms are tried all the same";
  std::string url;
  {
    const Loopback gone(kTaken);
    url = gone.url();
  }
  EXPECT_NE(only_failure({url}, 2, 5s).find("cannot connect"), std::string::npos);
}

TEST(Webhook, NeverHoldsUpWhoPosts) {
  const Loopback silent("");
  WebhookOptions options{silent.url()};
  options.time_limit = 60s;
  options.patience_at_end = 300ms;
  const std::string failure = only_failure(options, 3, 3s);
  EXPECT_NE(failure.find("no answer"), std::string::npos) << failure;
  options.queue = 2;
  EXPECT_NE(only_failure(options, 50, 3s).find("more than 2 messages wait"), std::string::npos);
  options.time_limit = 200ms;
  options.queue = 32;
  options.patience_at_end = 2s;
  EXPECT_NE(only_failure(options, 2, 4s).find("no answer within the time limit"), std::string::npos);
}

TEST(Webhook, RefusesWhatIsNoAddress) {
  for (const char* wrong : {"", "ftp://h/", "hooks.example/x", "http://"}) EXPECT_THROW(Webhook({wrong}), Error) << wrong;
}

}  // namespace
}  // namespace hone::recipes
