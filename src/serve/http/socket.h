// A connected stream, plain or TLS, behind one face; all calls on the thread of its io_context.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>

namespace hone::serve::http {

class Socket {
 public:
  using Done = std::function<void(boost::system::error_code, size_t bytes)>;
  virtual ~Socket() = default;
  virtual void handshake(Done done) = 0;
  virtual void read_some(boost::asio::mutable_buffer buffer, Done done) = 0;
  virtual void write_some(boost::asio::const_buffer buffer, Done done) = 0;
  /// Tells the peer that nothing more comes; what the peer still sends can be read.
  virtual void finish_writing() = 0;
  /// Whether something was received that nobody has read yet.
  virtual bool has_input() const = 0;
  virtual void close() = 0;
};

std::unique_ptr<Socket> plain_socket(boost::asio::ip::tcp::socket socket);
std::unique_ptr<Socket> tls_socket(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& context);

/// A server's context with the certificate chain and key of two PEM files; TLS 1.2 at least. Throws Error{kInvalidInput}.
std::unique_ptr<boost::asio::ssl::context> tls_context(const std::string& certificate, const std::string& key);

}  // namespace hone::serve::http
