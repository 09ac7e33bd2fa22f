#include "serve/api/service.h"

#include <openssl/rand.h>

#include <array>
#include <ctime>

#include "serve/api/errors.h"

namespace hone::serve {

void add_route(http::Router& router, std::string method, std::string path, http::Role role, http::Router::Route route, http::Router::BodyOpener open_body) {
  router.add(std::move(method), std::move(path), role, [route = std::move(route)](const Exchange& exchange) {
    try {
      route(exchange);
    } catch (...) {
      exchange->send(error_response(exchange->request(), current_error()));
    }
  }, std::move(open_body));
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
int64_t nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

std::string timestamp(std::chrono::system_clock::time_point at) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:09}Z", std::string_view(text, size), ns % 1'000'000'000);
}

std::string timestamp_now() { return timestamp(std::chrono::system_clock::now()); }

std::string random_id(const std::string& prefix) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  static constexpr size_t kFair = 256 / kLetters.size() * kLetters.size();  // bytes from here on would favour the first letters
  std::string id = prefix;
  std::array<unsigned char, 32> bytes{};
  while (id.size() < prefix.size() + 24) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw Error(ErrorCode::kInternal, "random numbers", "the system gives none");
    for (const unsigned char byte : bytes)
      if (byte < kFair && id.size() < prefix.size() + 24) id += kLetters[byte % kLetters.size()];
  }
  return id;
}

void cancel(const OpenAnswers& answers) {
  for (const auto& weak : answers)
    if (const auto answer = weak.lock()) answer->cancel();
}

void cancel_when_gone(const Exchange& exchange, OpenAnswers answers) {
  exchange->when_gone([answers = std::move(answers)] { cancel(answers); });
}

std::optional<Error> failure_of(const infer::Outcome& outcome) {
  if (outcome.error) return outcome.error;
  if (outcome.finish == infer::Finish::kCancelled) return Error(ErrorCode::kInterrupted, "server", "the answer was ended before it was complete", "the server is stopping; try again later");
  return std::nullopt;
}

}  // namespace hone::serve
