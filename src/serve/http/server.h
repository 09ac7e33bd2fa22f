// The transport: TCP or TLS connections in, requests to a handler, answers out. Every size, count and time has a limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "serve/http/message.h"

namespace hone::serve::http {

struct ServerOptions {
  std::string host = "127.0.0.1";                 // an address, or a name that stands for one
  uint16_t port = 11434;                          // 0: any free one
  std::string tls_certificate, tls_key;           // PEM files; empty: no TLS
  size_t max_connections = 256;
  uint32_t max_header_bytes = 16 << 10;
  size_t max_headers = 64;
  size_t max_body_bytes = size_t{16} << 20;
  size_t max_bodies_bytes = size_t{128} << 20;    // of all requests that are being received or answered
  size_t max_queued_bytes = size_t{1} << 20;      // of a streamed answer that its reader has not taken yet
  int workers = 16;                               // threads that run handlers: some wait while a model is loaded
  std::chrono::milliseconds header_time{15000};   // from the first wait to the end of the header
  std::chrono::milliseconds body_time{60000};     // for the whole body; where a sink takes it, for each kSinkPiece
  std::chrono::milliseconds write_time{30000};    // without any progress of a write
  std::chrono::milliseconds stop_time{10000};     // open answers get to finish after the first wish to stop
};

/// Bytes of a body that a sink is given at a time.
inline constexpr size_t kSinkPiece = size_t{256} << 10;

struct ServerMetrics {
  int64_t connections = 0, accepted = 0, refused = 0, requests = 0, too_slow = 0;
};

class Server {
 public:
  /// Runs on a worker thread once per request and must lead to send(), or begin() … end(), now or later.
  using Handler = std::function<void(std::shared_ptr<Exchange>)>;
  /// Sees a request's header before its body is read: a response refuses it, and no body is read. Sets the request's role, and its sink
  /// where the body is not to be kept in memory.
  using Admission = std::function<std::optional<Response>(Request&)>;
  /// What is sent when the transport itself refuses a request, in the shape that the path's API wants.
  using Refusal = std::function<Response(const Request&, int status, const std::string& message)>;

  /// Binds and listens. Throws Error{kIo} naming address and remedy, Error{kInvalidInput} for certificates.
  Server(ServerOptions options, Admission admission, Handler handler, Refusal refusal);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  std::string address() const;  // "127.0.0.1:11434"
  ServerMetrics metrics() const;

  /// Serves until `stop` returns true (asked ten times a second), then takes no new requests and waits for open answers, at
  /// most stop_time; `cancel` then ends what is still being computed. Returns when every connection is closed.
  void run(const std::function<bool()>& stop, const std::function<void()>& cancel);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::serve::http
