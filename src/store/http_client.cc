#include "store/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <algorithm>
#include <cctype>
#include <variant>

#include "store/proxy.h"

namespace hone::store {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using ErrorCode_ = boost::system::error_code;
using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;

constexpr size_t kPiece = size_t{256} << 10;
constexpr int kMaxRedirects = 10;

bool equal_names(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y)); });
}

// A connection to one origin. Operations are asynchronous underneath, because only those can be given up.
class Connection {
 public:
  Connection(asio::io_context& io, asio::ssl::context& tls, const Url& url, std::optional<Proxy> through) : proxy(std::move(through)), url_(url) {
    if (url.tls) stream_.emplace<Tls>(io, tls);
    else stream_.emplace<Plain>(io);
  }

  const Url& url() const { return url_; }
  Plain& tcp() { return std::holds_alternative<Tls>(stream_) ? beast::get_lowest_layer(std::get<Tls>(stream_)) : std::get<Plain>(stream_); }
  Tls* tls() { return std::get_if<Tls>(&stream_); }

  // Calls `start` with the stream that requests are written to.
  template <class Start>
  void with(Start start) {
    if (Tls* secure = tls()) start(*secure);
    else start(std::get<Plain>(stream_));
  }

  // Requests to this proxy name the whole address; TLS goes through a tunnel instead, in which the proxy has no part.
  const Proxy* asked_proxy() const { return proxy && !url_.tls ? &*proxy : nullptr; }

  const std::optional<Proxy> proxy;
  beast::flat_buffer buffer;  // bytes read ahead
  bool used = false;          // an answer came over it before

 private:
  Url url_;
  std::variant<std::monostate, Plain, Tls> stream_;
};

}  // namespace

struct HttpClient::Impl {
  explicit Impl(HttpOptions given) : options(std::move(given)), tls(asio::ssl::context::tls_client) {
    tls.set_default_verify_paths();  // also those of SSL_CERT_FILE and SSL_CERT_DIR
    tls.set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
  }

  [[noreturn]] void failed(const Url& url, const std::string& what, const ErrorCode_& reason) {
    connection.reset();
    if (reason.category() == asio::error::get_ssl_category() || reason.category() == asio::ssl::error::get_stream_category()) {
      if (reason != asio::ssl::error::stream_truncated)
        throw Error(hone::ErrorCode::kIo, url.origin(), fmt::format("cannot {}: {}", what, reason.message()),
                    "the server's certificate must be valid for this host and signed by an authority this machine trusts (ca-certificates, SSL_CERT_FILE)");
    }
    const bool silent = reason == beast::error::timeout || reason == asio::error::operation_aborted;
    throw TransientError(hone::ErrorCode::kIo, url.origin() + by_proxy_, fmt::format("cannot {}: {}", what, silent ? "no answer within the time limit" : reason.message()),
                         "check the address and the network; what was fetched already is kept");
  }

  // Starts an operation and runs it to its end, to the time limit, or to an interrupt. The completion sets `done`.
  template <class Start>
  ErrorCode_ run(std::chrono::milliseconds limit, Start start) {
    ErrorCode_ result = asio::error::would_block;
    bool done = false;
    if (connection) connection->tcp().expires_after(limit);
    start([&](const ErrorCode_& error, auto&&...) {
      result = error;
      done = true;
    });
    io.restart();
    while (!done) {
      io.run_one_for(std::chrono::milliseconds(100));
      if (done) break;
      if (options.interrupted && options.interrupted()) {
        if (connection) connection->tcp().cancel();
        resolver.cancel();
        while (!done && io.run_one() > 0) {
        }
        connection.reset();
        throw Error(hone::ErrorCode::kInterrupted, "network", "interrupted", "run the command again: it goes on where it stopped");
      }
      if (io.stopped()) io.restart();
    }
    return result;
  }

  void connect(const Url& url) {
    if (connection && connection->url().same_origin(url)) return;
    connection.reset();
    auto proxy = options.proxies ? proxy_for(url) : std::nullopt;
    by_proxy_ = proxy ? fmt::format(" (by the proxy {})", proxy->place()) : "";
    const std::string host = proxy ? proxy->host : url.host, port = proxy ? proxy->port : url.port;
    asio::ip::tcp::resolver::results_type places;
    ErrorCode_ error = run(options.connect_limit, [&](auto done) {
      resolver.async_resolve(host, port, [&places, done](const ErrorCode_& e, const auto& found) {
        places = found;
        done(e);
      });
    });
    if (error) failed(url, "find the host", error);
    connection = std::make_unique<Connection>(io, tls, url, std::move(proxy));
    error = run(options.connect_limit, [&](auto done) { connection->tcp().async_connect(places, done); });
    if (error) failed(url, "connect", error);
    connection->tcp().socket().set_option(asio::ip::tcp::no_delay(true), error);
    if (url.tls && connection->proxy) open_tunnel(url);
    if (Tls* secure = connection->tls()) {
      SSL_set_tlsext_host_name(secure->native_handle(), url.host.c_str());
      secure->set_verify_callback(asio::ssl::host_name_verification(url.host));
      error = run(options.connect_limit, [&](auto done) { secure->async_handshake(asio::ssl::stream_base::client, done); });
      if (error) failed(url, "agree on a secure connection", error);
    }
  }

  // Asks the proxy for a way to the host, on which TLS is spoken from then on.
  void open_tunnel(const Url& url) {
    const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]", target = host + ":" + url.port;
    http::request<http::empty_body> request{http::verb::connect, target, 11};
    request.set(http::field::host, target);
    request.set(http::field::user_agent, "hone");
    if (!connection->proxy->authorization.empty()) request.set(http::field::proxy_authorization, connection->proxy->authorization);
    ErrorCode_ error = run(options.connect_limit, [&](auto done) { http::async_write(connection->tcp(), request, done); });
    if (error) failed(url, "ask the proxy", error);
    http::response_parser<http::empty_body> parser;
    parser.header_limit(64 << 10);
    parser.skip(true);  // what follows a good answer is the tunnel
    error = run(options.connect_limit, [&](auto done) { http::async_read_header(connection->tcp(), connection->buffer, parser, done); });
    if (error) malformed_or_cut(url, "read the proxy's answer", error);
    const auto status = static_cast<int>(parser.get().result_int());
    if (status / 100 != 2) refused_by_proxy(url, status);
    if (connection->buffer.size() > 0) refused_by_proxy(url, 0);  // nobody speaks before the client in TLS
  }

  [[noreturn]] void refused_by_proxy(const Url& url, int status) {
    const std::string place = connection->proxy->place(), variable = url.tls ? "HTTPS_PROXY" : "HTTP_PROXY";
    connection.reset();
    if (status == 407) throw Error(hone::ErrorCode::kInvalidInput, place, "the proxy wants a name and a password, or other ones", fmt::format("write them into {}: http://NAME:PASSWORD@{}", variable, place));
    const std::string what = status == 0 ? "the proxy does not let TLS through" : fmt::format("the proxy refuses the way to {}: HTTP {}", url.origin(), status);
    if (status >= 500) throw TransientError(hone::ErrorCode::kIo, place, what, "check the address, and the proxy's rules");
    throw Error(hone::ErrorCode::kIo, place, what, fmt::format("check the proxy's rules, or name the host in NO_PROXY ({} and NO_PROXY say what goes through a proxy)", variable));
  }

  http::request<http::span_body<const char>> message(const HttpRequest& request, const Url& url, bool with_credentials) const {
    http::request<http::span_body<const char>> m;
    m.version(11);
    m.method_string(request.method);
    const Proxy* proxy = connection->asked_proxy();
    m.target(proxy ? url.text() : url.target);
    if (proxy && !proxy->authorization.empty()) m.set(http::field::proxy_authorization, proxy->authorization);
    const std::string origin = url.origin();
    m.set(http::field::host, origin.substr(origin.find("://") + 3));
    m.set(http::field::user_agent, "hone");
    m.set(http::field::accept, "*/*");
    for (const auto& [name, value] : request.headers) m.set(name, value);
    if (with_credentials && !request.authorization.empty()) m.set(http::field::authorization, request.authorization);
    m.body() = beast::span<const char>(request.body.data(), request.body.size());
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") m.content_length(request.body.size());
    return m;
  }

  // One request on one connection, no redirects.
  HttpResponse exchange(const HttpRequest& request, const Url& url, bool with_credentials, const BodySink* sink) {
    connect(url);
    const bool reused = connection->used;
    auto m = message(request, url, with_credentials);
    http::request_serializer<http::span_body<const char>> serializer(m);
    HttpResponse response;
    response.url = url;
    http::response_parser<http::buffer_body> parser;
    parser.header_limit(64 << 10);
    parser.body_limit(boost::none);
    if (request.method == "HEAD") parser.skip(true);
    ErrorCode_ error;
    do {  // in pieces, so that the time limit is one of silence
      error = run(options.silence_limit, [&](auto done) { connection->with([&](auto& stream) { http::async_write_some(stream, serializer, done); }); });
    } while (!error && !serializer.is_done());
    // A server that refuses may close before it has read everything: its answer still counts.
    const ErrorCode_ written = error;
    error = run(options.silence_limit, [&](auto done) { connection->with([&](auto& stream) { http::async_read_header(stream, connection->buffer, parser, done); }); });
    if (error && reused) {  // closed since the last answer
      connection.reset();
      return exchange(request, url, with_credentials, sink);
    }
    if (error) malformed_or_cut(url, written ? "send the request" : "read the answer", written ? written : error);
    connection->used = true;
    response.status = static_cast<int>(parser.get().result_int());
    if (response.status == 407 && connection->asked_proxy()) refused_by_proxy(url, response.status);
    for (const auto& field : parser.get()) response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    const bool streamed = sink && (response.status == 200 || response.status == 206);
    const std::unique_ptr<char[]> piece(new char[kPiece]);
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = piece.get();
      body.size = kPiece;
      error = run(options.silence_limit, [&](auto done) { connection->with([&](auto& stream) { http::async_read_some(stream, connection->buffer, parser, done); }); });
      if (error == http::error::need_buffer) error = {};
      if (error) malformed_or_cut(url, "read the answer to its end", error);
      const size_t got = kPiece - body.size;
      if (streamed) {
        if (got > 0) (*sink)(response, piece.get(), got);
        continue;
      }
      response.body.append(piece.get(), got);
      if (response.body.size() > request.limit) {
        connection.reset();
        throw Error(hone::ErrorCode::kInvalidInput, url.text(), fmt::format("the answer is larger than {} bytes", request.limit), "check that the address is a model registry");
      }
    }
    if (!parser.keep_alive() || written) connection.reset();
    return response;
  }

  [[noreturn]] void malformed_or_cut(const Url& url, const std::string& what, const ErrorCode_& error) {
    const bool cut = error == http::error::end_of_stream || error == http::error::partial_message;
    if (!cut && error.category() == make_error_code(http::error::bad_version).category()) {
      connection.reset();
      throw Error(hone::ErrorCode::kInvalidInput, url.origin(), fmt::format("the answer is not HTTP: {}", error.message()), "check the address and the port");
    }
    failed(url, what, cut ? ErrorCode_(asio::error::connection_reset) : error);
  }

  HttpResponse send(const HttpRequest& request, const BodySink* sink) {
    Url url = parse_url(request.url);
    const Url first = url;
    for (int redirects = 0;; ++redirects) {
      if (!url.tls && !options.insecure)
        throw Error(hone::ErrorCode::kInvalidInput, url.origin(), "plain http is neither private nor checked", "use https, or add --insecure for a server of your own");
      HttpResponse response = exchange(request, url, url.same_origin(first), sink);
      const int s = response.status;
      const bool reading = request.method == "GET" || request.method == "HEAD";
      const bool redirect = s == 307 || s == 308 || (reading && (s == 301 || s == 302 || s == 303));
      const auto location = response.header("location");
      if (!redirect || !location) return response;
      if (redirects == kMaxRedirects) throw Error(hone::ErrorCode::kInvalidInput, first.text(), "redirects in circles", "check the address");
      const Url next = resolve(url, *location);
      if (url.tls && !next.tls) throw Error(hone::ErrorCode::kInvalidInput, url.origin(), fmt::format("redirects from https to {}", next.origin()), "a server that does so cannot be trusted with this download");
      url = next;
    }
  }

  HttpOptions options;
  asio::io_context io;
  asio::ssl::context tls;
  asio::ip::tcp::resolver resolver{io};
  std::unique_ptr<Connection> connection;
  std::string by_proxy_;  // for messages: how the last connection goes
};

HttpClient::HttpClient(HttpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request) { return impl_->send(request, nullptr); }
HttpResponse HttpClient::send(const HttpRequest& request, BodySink sink) {
  try {
    return impl_->send(request, &sink);
  } catch (...) {
    impl_->connection.reset();  // the rest of an answer that the sink refused is never read
    throw;
  }
}

std::optional<std::string> HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_names(key, name)) return value;
  return std::nullopt;
}

std::string describe(const HttpResponse& response) {
  std::string words = response.body.substr(0, 300);
  for (char& c : words)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return fmt::format("HTTP {}{}{}", response.status, words.empty() ? "" : ": ", words);
}

}  // namespace hone::store
