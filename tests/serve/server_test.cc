// The transport under clients that read slowly, send slowly or leave.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "serve/http/server.h"

namespace hone::serve::http {
namespace {

using namespace std::chrono_literals;

class RunningServer {
 public:
  RunningServer(ServerOptions options, Server::Handler handler)
      : server_(with_any_port(std::move(options)), [](Request&) { return std::nullopt; }, std::move(handler),
                [](const Request&, int status, const std::string& message) { return Response{status, "text/plain", message, {}}; }),
        thread_([this] { server_.run([this] { return stop_.load(); }, [this] { cancelled_ = true; }); }) {}
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

 private:
  static ServerOptions with_any_port(ServerOptions options) {
    options.port = 0;
    return options;
  }
  std::atomic<bool> stop_ = false, cancelled_ = false;
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
  for (int i = 0; i < 500; ++i) {
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
  RunningServer server(options, [](std::shared_ptr<Exchange> exchange) { exchange->send({200, "text/plain", std::string(64 << 20, 'x'), {}}); });
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

TEST(Server, AForgottenRequestIsAnswered) {
  RunningServer server({}, [](std::shared_ptr<Exchange>) {});
  const int fd = server.connect();
  say(fd, "GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(hear(fd).starts_with("HTTP/1.1 500"));
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
