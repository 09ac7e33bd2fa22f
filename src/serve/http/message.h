// One HTTP request and the way back to its sender, free of any transport.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::serve::http {

enum class Role { kNone, kInfer, kAdmin };

/// Takes a request's body piece by piece, for bodies that do not belong into memory. Pieces come one after another, on worker threads;
/// it is dropped together with the request, on any thread, when the body does not come to its end.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// Most bytes that a body may have.
  virtual uint64_t limit() const = 0;
  /// False: the rest is not wanted. The request's handler then runs at once, and its answer ends the connection.
  virtual bool write(std::string_view piece) = 0;
};

struct Request {
  std::string method;                                        // "GET"; HEAD arrives as it is
  std::string target;                                        // as sent: "/v1/models?x=1"
  std::string path;                                          // percent-decoded, without the query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // empty where a sink takes it
  std::shared_ptr<BodySink> sink;
  Role role = Role::kNone;                                   // what the sender may do
  std::vector<std::pair<std::string, std::string>> answer_headers;  // that every answer to it carries

  /// The first header of that (lower-case) name; empty when there is none.
  std::string_view header(std::string_view name) const;
  /// How often the header occurs.
  size_t count(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string type = "application/json; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// "Not Found" of 404.
std::string_view reason_phrase(int status);

/// Splits a request target into its decoded path and query; nullopt for malformed ones (no "/" in front, bad %-escapes, NUL).
std::optional<std::string> decode_path(std::string_view target);

/// The answer to one request. Every function may be called from any thread and returns at once.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  /// The whole answer.
  virtual void send(Response response) = 0;
  /// Begins an answer that comes in pieces; `response.body` is its first piece.
  virtual void begin(Response response) = 0;
  /// The next piece. False when nobody will read it: the client went away, or reads so slowly that its bounded queue is full;
  /// its connection is then closed.
  virtual bool write(std::string piece) = 0;
  virtual void end() = 0;
  /// Ends the connection without completing the answer, so that the client notices.
  virtual void drop() = 0;
  virtual bool gone() const = 0;
  /// Called once when the client goes away before the answer is complete; at once when it has already.
  virtual void when_gone(std::function<void()> callback) = 0;
};

}  // namespace hone::serve::http
