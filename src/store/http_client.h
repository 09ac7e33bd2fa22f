// HTTP/1.1 over TCP and TLS, one request at a time, with time limits.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "store/url.h"

namespace hone::store {

/// The network or the other side failed in a way that trying again may mend: no connection, a cut, silence, status 5xx or 429.
class TransientError : public Error {
 public:
  using Error::Error;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string url = {};
  Headers headers = {};
  std::string authorization = {};  // value of that header; never sent to another host than the request's own
  std::string_view body = {};      // of PUT, POST and PATCH
  size_t limit = size_t{16} << 20;  // bytes of an answer that is kept in memory
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;  // empty when it went to a sink
  Url url;           // that answered, after redirects

  /// The header's value, names without regard to case.
  std::optional<std::string> header(std::string_view name) const;
};

struct HttpOptions {
  bool insecure = false;  // plain http:// may be spoken; certificates of https:// are always checked
  bool proxies = true;    // go through those that the environment names (store/proxy.h)
  std::chrono::milliseconds connect_limit{15000}, silence_limit{30000};  // silence: no byte for so long
  std::function<bool()> interrupted = {};  // asked several times a second
};

/// Takes the body of a successful answer piece by piece.
using BodySink = FunctionRef<void(const HttpResponse& head, const char* data, size_t bytes)>;

/// Keeps one connection open for the next request to the same host. Not for use by several threads at once.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();

  /// Sends and waits for the answer, whatever its status. GET, HEAD and uploads follow redirects (at most ten, never from
  /// https to http); what is `authorization` stays with the first host. Throws TransientError for failures of the network,
  /// Error{kInvalidInput} for what is not HTTP or too large, Error{kInterrupted}.
  HttpResponse send(const HttpRequest& request);
  /// The same, but the body of an answer with status 200 or 206 goes to `sink`.
  HttpResponse send(const HttpRequest& request, BodySink sink);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "HTTP 404: manifest unknown": status and what the body says, for messages.
std::string describe(const HttpResponse& response);

}  // namespace hone::store
