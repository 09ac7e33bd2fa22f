// The transport under clients that read slowly, send slowly or leave.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "serve/http/server.h"

namespace hone::serve::http {
namespace {

using namespace std::chrono_literals;

class RunningServer {
 public:
  RunningServer(ServerOptions options, Server::Handler handler, Server::Admission admission = [](Request&) { return std::nullopt; })
      : server_(with_any_port(std::move(options)), std::move(admission), std::move(handler),
                [](const Request&, int status, const std::string& message) { return Response{status, "text/plain", message, {}}; }),
        thread_([this] {
          server_.run(
              [this] {
                if (held_) at_rest_ = true;
                while (held_) std::this_thread::sleep_for(1ms);
                return stop_.load();
              },
              [this] { cancelled_ = true; });
        }) {}
  ~RunningServer() {
    stop_ = true;
    thread_.join();
  }
  int connect(int receive_buffer = 0) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  ServerMetrics metrics() const { return server_.metrics(); }
  void stop() { stop_ = true; }
  bool cancelled() const { return cancelled_; }
  // The thread of all connections does nothing until go_on().
  void hold() {
    held_ = true;
    while (!at_rest_) std::this_thread::sleep_for(1ms);
  }
  void go_on() { held_ = false; }

 private:
  static ServerOptions with_any_port(ServerOptions options) {
    options.port = 0;
    return options;
  }
  std::atomic<bool> stop_ = false, cancelled_ = false, held_ = false, at_rest_ = false;
  Server server_;
  std::thread thread_;
};

void say(int fd, const std::string& text) { EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size())); }

std::string hear(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<size_t>(n));
  ::close(fd);
  return text;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

const std::string kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Server, ASlowReaderIsCutOff) {
  std::atomic<int> written = 0;
  std::atomic<bool> refused = false;
  {
    ServerOptions options;
    options.max_queued_bytes = 64 << 10;
    RunningServer server(options, [&](std::shared_ptr<Exchange> exchange) {
      exchange->begin({});
      for (; written < 100000 && !refused; ++written)
        if (!exchange->write(std::string(4096, 'x'))) refused = true;
      EXPECT_TRUE(exchange->gone());
    });
    const int fd = server.connect(/*receive_buffer=*/4096);
    say(fd, kGet);
    EXPECT_TRUE(eventually([&] { return refused.load(); }));
    EXPECT_EQ(server.metrics().too_slow, 1);
    ::close(fd);
  }
  EXPECT_LT(written, 5000);  // what the system's own buffers take, and the queue
}

TEST(Server, AWriteThatStallsEnds) {
  ServerOptions options;
  options.write_time = 200ms;
  RunningServer server(options, [](std::shared_ptr<Exchange> exchange) { exchange->send({200, "text/plain", std::string(16 << 20, 'x'), {}}); });
  const int fd = server.connect(4096);
  say(fd, kGet);
  EXPECT_TRUE(eventually([&] { return server.metrics().too_slow == 1 && server.metrics().connections == 0; }));
  ::close(fd);
}

TEST(Server, ClientsThatLeaveAreNoticed) {
  std::atomic<bool> gone = false;
  std::shared_ptr<Exchange> kept;
  RunningServer server({}, [&](std::shared_ptr<Exchange> exchange) {
    kept = exchange;
    exchange->when_gone([&] { gone = true; });
  });
  const int fd = server.connect();
  say(fd, kGet);
  EXPECT_TRUE(eventually([&] { return server.metrics().requests == 1; }));
  EXPECT_FALSE(gone);
  ::close(fd);
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
  EXPECT_FALSE(kept->write("x"));
  kept.reset();
}

TEST(Server, SlowSendersAreEnded) {
  ServerOptions options;
  options.header_time = options.body_time = 200ms;
  RunningServer server(options, [](std::shared_ptr<Exchange> exchange) { exchange->send({}); });
  EXPECT_EQ(hear(server.connect()), "");
  int fd = server.connect();
  say(fd, "GET /x HTTP/1.1\r\nHo");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 408"));
  fd = server.connect();
  say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 408"));
}

TEST(Server, BodiesShareABudget) {
  ServerOptions options;
  options.max_body_bytes = 1 << 20;
  options.max_bodies_bytes = 1 << 20;
  std::atomic<int> answered = 0;
  RunningServer server(options, [&](std::shared_ptr<Exchange> exchange) { exchange->send({}), ++answered; });
  const std::string head = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n";
  const int first = server.connect(), second = server.connect();
  say(first, head + std::string(800000, 'x'));
  std::this_thread::sleep_for(300ms);
  say(second, head + std::string(800000, 'x'));
  EXPECT_TRUE(hear(second).starts_with("HTTP/1.1 503"));
  say(first, std::string(100000, 'x'));
  EXPECT_TRUE(hear(first).starts_with("HTTP/1.1 200"));
  const int third = server.connect();
  say(third, head + std::string(900000, 'x'));
  EXPECT_TRUE(hear(third).starts_with("HTTP/1.1 200"));
}

// Whoever is one too many can say all it has to say, and then reads why it was turned away.
TEST(Server, ConnectionsBeyondTheLimitAreToldSo) {
  ServerOptions options;
  options.max_connections = 1;
  std::shared_ptr<Exchange> kept;
  std::atomic<bool> busy = false;
  RunningServer server(options, [&](std::shared_ptr<Exchange> exchange) { kept = std::move(exchange), busy = true; });
  const int first = server.connect();
  say(first, kGet);
  EXPECT_TRUE(eventually([&] { return busy.load(); }));
  const int second = server.connect();
  say(second, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_TRUE(eventually([&] { return server.metrics().refused == 1; }));
  std::this_thread::sleep_for(100ms);
  say(second, std::string(100000, 'x'));
  const std::string answer = hear(second);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503") && answer.ends_with("\r\n\r\ntoo many open connections")) << answer;
  kept->send({});
  kept.reset();  // it must not outlive its server
  EXPECT_EQ(server.metrics().connections, 1);
  ::close(first);
}

TEST(Server, TheLongestIdleMakesRoom) {
  ServerOptions options;
  options.max_connections = 2;
  RunningServer server(options, [](std::shared_ptr<Exchange> exchange) { exchange->send({}); });
  const auto accepted = [&](int64_t count) {
    EXPECT_TRUE(eventually([&] { return server.metrics().accepted == count; }));
    std::this_thread::sleep_for(100ms);
  };
  const int first = server.connect();
  say(first, kGet);
  accepted(1);
  const int second = server.connect();
  accepted(2);
  const int third = server.connect();
  accepted(3);
  const std::string answered = hear(first);
  EXPECT_TRUE(answered.starts_with("HTTP/1.1 200") && answered.find("503") == std::string::npos) << answered;
  const int fourth = server.connect();
  accepted(4);
  say(second, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_TRUE(hear(second).starts_with("HTTP/1.1 503")) << "it was about to ask";
  for (const int fd : {third, fourth}) {
    say(fd, "GET /x HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 200"));
  }
  EXPECT_EQ(server.metrics().refused, 0);
}

// On a machine that is short of time, a new connection may be seen before the request that another has sent.
TEST(Server, WhoeverHasAskedIsNotIdle) {
  ServerOptions options;
  options.max_connections = 2;
  RunningServer server(options, [](std::shared_ptr<Exchange> exchange) { exchange->send({}); });
  const int first = server.connect();
  EXPECT_TRUE(eventually([&] { return server.metrics().accepted == 1; }));
  std::this_thread::sleep_for(50ms);
  const int second = server.connect();
  EXPECT_TRUE(eventually([&] { return server.metrics().accepted == 2; }));
  std::this_thread::sleep_for(50ms);
  server.hold();
  const int third = server.connect();
  say(first, "GET /x HTTP/1.0\r\n\r\n");
  server.go_on();
  EXPECT_TRUE(hear(first).starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(hear(second).starts_with("HTTP/1.1 503"));
  say(third, "GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(hear(third).starts_with("HTTP/1.1 200"));
}

TEST(Server, AForgottenRequestIsAnswered) {
  RunningServer server({}, [](std::shared_ptr<Exchange>) {});
  const int fd = server.connect();
  say(fd, "GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 500"));
}

// Counts what it is given; ends or fails where it is told to.
struct CountingSink : BodySink {
  struct Seen {
    std::atomic<uint64_t> bytes = 0, pieces = 0, largest = 0, dropped = 0;
  };
  Seen& seen;
  const uint64_t most, enough;
  CountingSink(Seen& s, uint64_t m, uint64_t e) : seen(s), most(m), enough(e) {}
  ~CountingSink() override { ++seen.dropped; }
  uint64_t limit() const override { return most; }
  bool write(std::string_view piece) override {
    seen.bytes += piece.size();
    ++seen.pieces;
    seen.largest = std::max<uint64_t>(seen.largest, piece.size());
    if (enough == 7) throw std::runtime_error("a sink that fails");
    return seen.bytes < enough;
  }
};

class SinkTest : public testing::Test {
 protected:
  static std::string head(uint64_t bytes) { return fmt::format("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", bytes); }
  std::string ask(uint64_t bytes, uint64_t sent, uint64_t limit, uint64_t enough) {
    ServerOptions options;
    options.max_body_bytes = options.max_bodies_bytes = size_t{1} << 20;
    options.body_time = 400ms;
    RunningServer server(options, [this](std::shared_ptr<Exchange> exchange) { exchange->send({200, "text/plain", fmt::format("{} of a body of {}", seen_.bytes.load(), exchange->request().body.size()), {}}); },
                         [=, this](Request& request) -> std::optional<Response> {
                           request.sink = std::make_shared<CountingSink>(seen_, limit, enough);
                           return std::nullopt;
                         });
    const int fd = server.connect();
    say(fd, head(bytes));
    const std::string piece(1 << 20, 'x');
    for (uint64_t left = sent; left > 0;) {
      const ssize_t n = ::send(fd, piece.data(), std::min<uint64_t>(left, piece.size()), MSG_NOSIGNAL);
      if (n <= 0) break;
      left -= static_cast<uint64_t>(n);
    }
    return hear(fd);
  }
  CountingSink::Seen seen_;
};

TEST_F(SinkTest, TakesWhatIsLargerThanTheMemoryForBodies) {
  const uint64_t bytes = (uint64_t{20} << 20) + 17;
  EXPECT_TRUE(ask(bytes, bytes, UINT64_MAX, UINT64_MAX).ends_with(fmt::format("{} of a body of 0", bytes)));
  EXPECT_GT(seen_.pieces, 40u);
  EXPECT_LE(seen_.largest, kSinkPiece + (32 << 10));
  EXPECT_EQ(seen_.dropped, 1u);
}

TEST_F(SinkTest, RefusesWhatIsAnnouncedTooLarge) {
  EXPECT_TRUE(ask(1001, 0, 1000, UINT64_MAX).starts_with("HTTP/1.1 413"));
  EXPECT_EQ(seen_.pieces, 0u);
  EXPECT_EQ(seen_.dropped, 1u);
}

TEST_F(SinkTest, AnEmptyBodyIsWhole) {
  EXPECT_TRUE(ask(0, 0, 1000, UINT64_MAX).ends_with("0 of a body of 0"));
}

TEST_F(SinkTest, MayHaveEnough) {
  EXPECT_NE(ask(uint64_t{2} << 20, uint64_t{2} << 20, UINT64_MAX, 1).find("of a body of 0"), std::string::npos);
  EXPECT_EQ(seen_.pieces, 1u);
}

TEST_F(SinkTest, MayFail) {
  EXPECT_NE(ask(uint64_t{2} << 20, uint64_t{2} << 20, UINT64_MAX, 7).find("of a body of 0"), std::string::npos);
  EXPECT_EQ(seen_.pieces, 1u);
  EXPECT_EQ(seen_.dropped, 1u);
}

TEST_F(SinkTest, IsDroppedWithABodyThatStops) {
  EXPECT_TRUE(ask(uint64_t{2} << 20, uint64_t{1} << 20, UINT64_MAX, UINT64_MAX).starts_with("HTTP/1.1 408"));
  EXPECT_LT(seen_.bytes, uint64_t{2} << 20);
  EXPECT_EQ(seen_.dropped, 1u);
}

TEST(Server, ALineBetweenChunksIsBounded) {
  RunningServer server({}, [](std::shared_ptr<Exchange> exchange) { exchange->send({}); });
  const std::string head = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  int fd = server.connect();
  say(fd, head + "1;a=b\r\nx\r\n0\r\n\r\n");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 200"));
  for (const char* begun : {"1;", "0\r\nTrailer: "}) {
    fd = server.connect();
    say(fd, head + begun + std::string(200 << 10, 'x'));
    EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 400")) << begun;
  }
}

TEST(Server, WhatAHandlerThrowsEndsItsRequestOnly) {
  RunningServer server({}, [](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().target == "/throws") throw std::runtime_error("x");
    exchange->send({200, "text/plain", "fine", {}});
  });
  int fd = server.connect();
  say(fd, "GET /throws HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 500"));
  fd = server.connect();
  say(fd, "GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(hear(fd).ends_with("fine"));
}

TEST(Server, StopsAfterOpenAnswers) {
  ServerOptions options;
  options.stop_time = 300ms;
  std::shared_ptr<Exchange> kept;
  std::atomic<bool> asked = false;
  RunningServer server(options, [&](std::shared_ptr<Exchange> exchange) {
    exchange->begin({200, "text/plain", "begun ", {}});
    kept = exchange;
    asked = true;
  });
  const int fd = server.connect(), idle = server.connect();
  say(fd, kGet);
  EXPECT_TRUE(eventually([&] { return asked.load(); }));
  server.stop();
  EXPECT_EQ(hear(idle), "");
  EXPECT_TRUE(eventually([&] { return server.cancelled(); }));
  kept->write("ended");
  kept->end();
  kept.reset();
  EXPECT_TRUE(hear(fd).ends_with("5\r\nended\r\n0\r\n\r\n"));
}

}  // namespace
}  // namespace hone::serve::http
