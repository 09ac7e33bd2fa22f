#include "serve/http/server.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <malloc.h>
#include <netinet/tcp.h>
#include <unordered_map>

#include "base/error.h"
#include "serve/http/connection.h"

namespace hone::serve::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr size_t kMaxTurnedAway = 512;
constexpr std::chrono::seconds kTrimInterval{2};

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Admission admission, Handler handler, Refusal refusal)
      : workers_(static_cast<size_t>(options.workers)),
        shared_{std::move(options), std::move(admission), std::move(handler), std::move(refusal), io_, workers_},
        acceptor_(io_), timer_(io_), retry_(io_) {
    const ServerOptions& o = shared_.options;
    if (!o.tls_certificate.empty()) tls_ = tls_context(o.tls_certificate, o.tls_key);
    error_code error;
    const auto found = tcp::resolver(io_).resolve(o.host, std::to_string(o.port), error);
    const auto fail = [&](const char* what) {
      if (error)
        throw Error(ErrorCode::kIo, fmt::format("{}:{}", o.host, o.port), fmt::format("cannot {}: {}", what, error.message()),
                    error == asio::error::address_in_use ? "another server runs there: stop it, or choose another --port" : "check --host and --port");
    };
    fail("find the address");
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    fail("open a socket");
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(endpoint, error);
    fail("listen");
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    fail("listen");
    endpoint_ = acceptor_.local_endpoint();
  }

  ~Impl() {
    workers_.stop();
    workers_.join();
  }

  void run(const std::function<bool()>& stop, const std::function<void()>& cancel) {
    stop_ = stop;
    cancel_ = cancel;
    accept();
    tick();
    for (;;) try {
        io_.run();
        return;
      } catch (const std::exception&) {
        // Memory is short: one step was lost, the others go on.
      }
  }

  tcp::endpoint endpoint() const { return endpoint_; }
  ServerMetrics metrics() const {
    return {open_, accepted_, refused_, shared_.requests, shared_.too_slow};
  }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (stopping()) return;
      if (!error) {
        try {
          take(std::move(socket));
        } catch (const std::exception&) {
          ++refused_;
        }
        return accept();
      }
      // Out of file descriptors, most likely: some become free when connections end.
      retry_.expires_after(std::chrono::milliseconds(100));
      retry_.async_wait([this](error_code e) {
        if (!e && !stopping()) accept();
      });
    });
  }

  void take(tcp::socket socket) {
    ++accepted_;
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    // A peer whose machine vanished is noticed within two minutes, also while it only waits.
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(60), ignored);
    socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(15), ignored);
    socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>(4), ignored);
    if (connections_.size() >= shared_.options.max_connections) make_room();
    const bool full = connections_.size() >= shared_.options.max_connections;
    if (full) ++refused_;
    if (full && turned_away_.size() >= kMaxTurnedAway) return;
    auto stream = tls_ ? tls_socket(std::move(socket), *tls_) : plain_socket(std::move(socket));
    auto connection = std::make_shared<Connection>(shared_, std::move(stream), [this](Connection* closed) {
      connections_.erase(closed);
      turned_away_.erase(closed);
      open_ = static_cast<int64_t>(connections_.size());
      if (stopping() && connections_.empty() && turned_away_.empty()) io_.stop();
    });
    (full ? turned_away_ : connections_).emplace(connection.get(), connection);
    open_ = static_cast<int64_t>(connections_.size());
    if (full) connection->turn_away();
    else connection->start();
  }

  // Whoever has been idle for longest gives its place to a new one.
  void make_room() {
    std::shared_ptr<Connection> longest;
    for (const auto& [raw, connection] : connections_)
      if ((!longest || connection->idle_since() < longest->idle_since()) && connection->idle()) longest = connection;
    if (!longest) return;
    if (turned_away_.size() >= kMaxTurnedAway) return longest->close();
    turned_away_.insert(connections_.extract(longest.get()));
    longest->turn_away();
  }

  bool stopping() const { return shared_.stopping; }

  std::vector<std::shared_ptr<Connection>> all() const {
    std::vector<std::shared_ptr<Connection>> list;
    for (const auto* connections : {&connections_, &turned_away_})
      for (const auto& [raw, connection] : *connections) list.push_back(connection);
    return list;
  }

  void tick() {
    timer_.expires_after(std::chrono::milliseconds(100));
    timer_.async_wait([this](error_code error) {
      if (!error) tick();
    });
    const auto now = std::chrono::steady_clock::now();
    // Once the allocator has seen a large body, it keeps the room of the following ones.
    if (shared_.large_body_ended && now - trimmed_at_ > kTrimInterval) {
      shared_.large_body_ended = false;
      trimmed_at_ = now;
      ::malloc_trim(0);
    }
    if (!stopping() && stop_()) {
      shared_.stopping = true;
      stopped_at_ = now;
      error_code ignored;
      acceptor_.close(ignored);
      for (const auto& connection : all()) connection->stop();
      if (connections_.empty() && turned_away_.empty()) return io_.stop();
    }
    if (stopping() && !cancelled_ && now - stopped_at_ > shared_.options.stop_time) {
      cancelled_ = true;
      cancel_();
    }
    if (cancelled_ && now - stopped_at_ > shared_.options.stop_time + std::chrono::seconds(3)) {
      for (const auto& connection : all()) connection->close();
      return io_.stop();
    }
  }

  asio::io_context io_{1};
  asio::thread_pool workers_;
  Shared shared_;
  std::unique_ptr<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  tcp::endpoint endpoint_;
  asio::steady_timer timer_, retry_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_, turned_away_;  // those within the limit; those that are told so
  std::function<bool()> stop_;
  std::function<void()> cancel_;
  std::chrono::steady_clock::time_point stopped_at_, trimmed_at_;
  bool cancelled_ = false;
  std::atomic<int64_t> open_ = 0, accepted_ = 0, refused_ = 0;
};

Server::Server(ServerOptions options, Admission admission, Handler handler, Refusal refusal)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(admission), std::move(handler), std::move(refusal))) {}
Server::~Server() = default;
uint16_t Server::port() const { return impl_->endpoint().port(); }
std::string Server::address() const {
  const auto endpoint = impl_->endpoint();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", endpoint.address().to_string(), endpoint.port())
                                    : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}
ServerMetrics Server::metrics() const { return impl_->metrics(); }
void Server::run(const std::function<bool()>& stop, const std::function<void()>& cancel) { impl_->run(stop, cancel); }

}  // namespace hone::serve::http
