#include "serve/http/socket.h"

#include <boost/asio/ssl/stream.hpp>

#include "base/error.h"

namespace hone::serve::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using asio::ip::tcp;

class PlainSocket : public Socket {
 public:
  explicit PlainSocket(tcp::socket socket) : socket_(std::move(socket)) {}
  void handshake(Done done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done({}, 0); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override { socket_.async_read_some(buffer, std::move(done)); }
  void write_some(asio::const_buffer buffer, Done done) override { socket_.async_write_some(buffer, std::move(done)); }
  void finish_writing() override {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  bool has_input() const override {
    error_code ignored;
    return socket_.available(ignored) > 0;
  }
  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsSocket : public Socket {
 public:
  TlsSocket(tcp::socket socket, asio::ssl::context& context) : stream_(std::make_shared<Stream>(std::move(socket), context)) {}
  void handshake(Done done) override {
    stream_->async_handshake(asio::ssl::stream_base::server, [done = std::move(done)](error_code error) { done(error, 0); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override { stream_->async_read_some(buffer, std::move(done)); }
  void write_some(asio::const_buffer buffer, Done done) override { stream_->async_write_some(buffer, std::move(done)); }
  void finish_writing() override {
    // The close_notify of TLS; the peer's own is not waited for, the connection's timer ends it.
    stream_->async_shutdown([stream = stream_](error_code) {});
  }
  bool has_input() const override {
    error_code ignored;
    return stream_->next_layer().available(ignored) > 0 || BIO_pending(SSL_get_rbio(stream_->native_handle())) > 0 || SSL_has_pending(stream_->native_handle()) == 1;
  }
  void close() override {
    error_code ignored;
    stream_->lowest_layer().close(ignored);
  }

 private:
  using Stream = asio::ssl::stream<tcp::socket>;
  std::shared_ptr<Stream> stream_;
};

}  // namespace

std::unique_ptr<Socket> plain_socket(tcp::socket socket) { return std::make_unique<PlainSocket>(std::move(socket)); }
std::unique_ptr<Socket> tls_socket(tcp::socket socket, asio::ssl::context& context) {
  return std::make_unique<TlsSocket>(std::move(socket), context);
}

std::unique_ptr<asio::ssl::context> tls_context(const std::string& certificate, const std::string& key) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 |
                       asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression);
  const auto check = [](const error_code& error, const std::string& file, const char* what) {
    if (error)
      throw Error(ErrorCode::kInvalidInput, file, fmt::format("cannot be used as a {}: {}", what, error.message()), "give PEM files that belong together");
  };
  error_code error;
  context->use_certificate_chain_file(certificate, error);
  check(error, certificate, "TLS certificate");
  context->use_private_key_file(key, asio::ssl::context::pem, error);
  check(error, key, "TLS key");
  return context;
}

}  // namespace hone::serve::http
