// What the routes share.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "serve/http/router.h"
#include "serve/models/answers.h"
#include "serve/models/catalog.h"
#include "serve/models/pool.h"

namespace hone::serve {

struct Service {
  const Catalog& catalog;
  ModelPool& pool;
  Answers& answers;
  std::string version;
  std::function<http::ServerMetrics()> server_metrics;
  uint64_t max_blob_bytes = uint64_t{64} << 30;  // of a file that a client sends into the store
};

/// Routes in Ollama's dialect (/api/…), OpenAI's (/v1/…), Anthropic's (/v1/messages), and of none (/, /web/*, /health, /metrics, /tokenize, /detokenize).
/// `service` must outlive the router.
void add_ollama_routes(http::Router& router, Service& service);
void add_openai_routes(http::Router& router, Service& service);
void add_anthropic_routes(http::Router& router, Service& service);
void add_plain_routes(http::Router& router, Service& service);

/// Adds a route whose errors are answered in the shape of its API.
void add_route(http::Router& router, std::string method, std::string path, http::Role role, http::Router::Route route, http::Router::BodyOpener open_body = {});

using Exchange = std::shared_ptr<http::Exchange>;
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start);
int64_t nanoseconds(double seconds);
/// "2026-01-31T12:00:00.123456789Z"
std::string timestamp(std::chrono::system_clock::time_point at);
std::string timestamp_now();
/// "chatcmpl-" and 24 characters (124 bits) from the system's source of secrets: nobody guesses them. Throws Error{kInternal}.
std::string random_id(const std::string& prefix);

/// Cancels those that are not over; when_gone: once the client has gone away.
using OpenAnswers = std::vector<std::weak_ptr<OpenAnswer>>;
void cancel(const OpenAnswers& answers);
void cancel_when_gone(const Exchange& exchange, OpenAnswers answers);

/// The error an outcome ended with, kCancelled included (the server is stopping); nullopt when it is whole.
std::optional<Error> failure_of(const infer::Outcome& outcome);

}  // namespace hone::serve
