// Bytes of one connection, through the transport, the router and the readers of the three dialects; then key files and addresses.
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstring>
#include <future>

#include "fuzz/target.h"
#include "serve/anthropic/requests.h"
#include "serve/api/errors.h"
#include "serve/http/address.h"
#include "serve/http/connection.h"
#include "serve/http/router.h"
#include "serve/ollama/requests.h"
#include "serve/openai/requests.h"

namespace hone::fuzz {
namespace {

namespace asio = boost::asio;
namespace http = serve::http;
using boost::system::error_code;

// A peer that sends `bytes` in pieces of `piece` bytes, and waits before it leaves.
class Peer : public http::Socket {
 public:
  struct Wire {
    std::string_view bytes;
    size_t piece = 0;
    std::string received;
    Done waiting;
  };
  Peer(asio::io_context& io, Wire& wire) : io_(io), wire_(wire) {}
  void handshake(Done done) override { finish(std::move(done), {}, 0); }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    const size_t size = std::min({wire_.bytes.size(), wire_.piece, buffer.size()});
    if (size == 0) {
      wire_.waiting = std::move(done);
      return;
    }
    std::memcpy(buffer.data(), wire_.bytes.data(), size);
    wire_.bytes.remove_prefix(size);
    finish(std::move(done), {}, size);
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    const size_t size = std::min(buffer.size(), wire_.piece * 16);
    wire_.received.append(static_cast<const char*>(buffer.data()), size);
    finish(std::move(done), {}, size);
  }
  void finish_writing() override {}
  bool has_input() const override { return !wire_.bytes.empty(); }
  void close() override {
    if (wire_.waiting) finish(std::exchange(wire_.waiting, {}), asio::error::operation_aborted, 0);
  }

 private:
  void finish(Done done, error_code error, size_t bytes) {
    asio::post(io_, [done = std::move(done), error, bytes] { done(error, bytes); });
  }
  asio::io_context& io_;
  Wire& wire_;
};

class CountingSink : public http::BodySink {
 public:
  uint64_t limit() const override { return 4096; }
  bool write(std::string_view piece) override { return (bytes_ += piece.size()) < 2048; }

 private:
  uint64_t bytes_ = 0;
};

http::Router router() {
  http::Router routes({.loopback = true, .keys = true, .hosts = {"example.org"}, .origins = {"https://example.org"}}, http::Keys::parse("infer sixteen-letters-key\nadmin another-sixteen-letters\n", "keys"),
                      [](const http::Request&, int status, const std::string& message) { return http::Response{status, "text/plain", message, {}}; });
  const auto add = [&](const char* path, http::Role role, auto read) {
    routes.add("POST", path, role, [read](const std::shared_ptr<http::Exchange>& exchange) {
      read(serve::parse_body(exchange->request().body));
      exchange->begin({200, "application/json", "{", {}});
      exchange->write("}");
      exchange->end();
    });
  };
  add("/api/chat", http::Role::kNone, [](const serve::Json& body) { serve::ollama::read_request(body, /*chat=*/true); });
  add("/api/generate", http::Role::kNone, [](const serve::Json& body) { serve::ollama::read_request(body, /*chat=*/false); });
  add("/v1/chat/completions", http::Role::kInfer, [](const serve::Json& body) { serve::openai::read_request(body, /*chat=*/true); });
  add("/v1/messages", http::Role::kAdmin, [](const serve::Json& body) { serve::anthropic::read_request(body); });
  routes.add("GET", "/files/*", http::Role::kNone, [](const std::shared_ptr<http::Exchange>& exchange) { exchange->send({200, "text/plain", exchange->request().path, {}}); });
  routes.add("POST", "/blobs/*", http::Role::kNone, [](const std::shared_ptr<http::Exchange>& exchange) { exchange->send({201, "text/plain", "", {}}); },
             [](const http::Request&) { return std::make_shared<CountingSink>(); });
  return routes;
}

void connection(std::string_view bytes) {
  static asio::thread_pool workers(1);
  static const http::Router routes = router();
  asio::io_context io;
  bool bug = false;
  http::ServerOptions limits;
  limits.max_header_bytes = 4096;
  limits.max_headers = 16;
  limits.max_body_bytes = 32768;
  limits.max_bodies_bytes = 65536;
  limits.max_queued_bytes = 16384;
  http::Shared shared{.options = limits,
                      .admission = [&](http::Request& request) { return routes.admit(request); },
                      .handler =
                          [&](const std::shared_ptr<http::Exchange>& exchange) {
                            try {
                              routes.dispatch(exchange);
                            } catch (const Error& error) {
                              bug = bug || error.code() == ErrorCode::kInternal;
                              exchange->send({400, "text/plain", error.what(), {}});
                            } catch (const std::exception&) {
                              bug = true;
                            }
                          },
                      .refusal = [](const http::Request&, int status, const std::string& message) { return http::Response{status, "text/plain", message, {}}; },
                      .io = io,
                      .workers = workers};
  Peer::Wire wire{.bytes = bytes, .piece = bytes.size() % 7 == 0 ? size_t{1} + bytes.size() % 31 : size_t{4096}, .received = {}, .waiting = {}};
  bool closed = false;
  {
    const auto connection = std::make_shared<http::Connection>(shared, std::make_unique<Peer>(io, wire), [&](http::Connection*) { closed = true; });
    connection->start();
    // Steps of the io thread and of the workers, until neither has any left; then the peer leaves.
    const auto settle = [&] {
      do {
        io.restart();
        io.poll();
        std::promise<void> idle;
        asio::post(workers, [&] { idle.set_value(); });
        idle.get_future().wait();
        io.restart();
      } while (io.poll() > 0);
    };
    settle();
    if (wire.waiting) std::exchange(wire.waiting, {})(asio::error::eof, 0);
    settle();
    connection->close();
    settle();
  }
  hold(!bug, "a handler answers or throws hone::Error");
  hold(closed, "a connection ends when its peer leaves");
  hold(shared.body_bytes == 0, "the bytes of bodies are given back");
  hold(wire.received.empty() || wire.received.starts_with("HTTP/1.1 "), "what is sent is an answer");
}

void run_http(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, size);
  connection(text);
  part([&] { http::Keys::parse(text, "keys"); });
  part([&] { http::parse_address(text.substr(0, text.find('\n')), "address").url(); });
  if (const auto host = http::host_name(text.substr(0, text.find('\n')))) hold(http::host_name(*host).has_value() || host->find(':') != std::string::npos, "the name of a host is one");
}

const Registered registered_http({"http", run_http, 2500,
                             {"GET ", "POST ", "HEAD ", "OPTIONS ", "PUT ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "\r\n\r\n", "\r\n", "Host: localhost\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
                              "Connection: close\r\n", "Connection: keep-alive\r\n", "Authorization: Bearer sixteen-letters-key\r\n", "Authorization: Basic Og==\r\n", "X-API-Key: another-sixteen-letters\r\n", "Origin: https://example.org\r\n",
                              "Access-Control-Request-Method: POST\r\n", "0\r\n\r\n", "5\r\nhello\r\n", "ffffffffffffffff\r\n", ";a=b", "/api/chat", "/v1/messages", "/files/%2e%2e/", "/blobs/x", "%00", "%c0%af", "?x=1", "[::1]:80", "127.0.0.1", "Upgrade: websocket\r\n"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
