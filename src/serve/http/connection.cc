#include "serve/http/connection.h"

#include <boost/asio/post.hpp>
#include <ctime>

#include "base/error.h"

namespace hone::serve::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

constexpr size_t kLargeBody = size_t{1} << 20;
constexpr size_t kLingerBytes = size_t{4} << 20;
constexpr std::chrono::milliseconds kLingerTime{2000};
constexpr const char* kFull = "too many open connections";

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  return std::string(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

// One request's way back; turns answers into bytes for its connection.
class Answer : public Exchange {
 public:
  Answer(std::shared_ptr<Connection> connection, Request request, bool http11, bool keep_alive)
      : connection_(std::move(connection)), request_(std::move(request)), http11_(http11), keep_alive_(keep_alive) {}
  ~Answer() override {
    if (finished_) return;
    if (begun_) drop();
    else send({500, "text/plain; charset=utf-8", "the request was dropped\n", {}});
  }
  const Request& request() const override { return request_; }

  void send(Response response) override {
    const std::lock_guard lock(mutex_);
    if (begun_ || finished_) return;
    finished_ = true;
    std::string bytes = head(response, fmt::format("Content-Length: {}\r\n", response.body.size()), keep_alive_);
    if (request_.method != "HEAD") bytes += response.body;
    connection_->push(std::move(bytes), /*last=*/true, !keep_alive_);
  }
  void begin(Response response) override {
    const std::lock_guard lock(mutex_);
    if (begun_ || finished_) return;
    begun_ = true;
    if (!http11_) keep_alive_ = false;
    std::string bytes = head(response, http11_ ? "Transfer-Encoding: chunked\r\n" : "", keep_alive_);
    if (!response.body.empty()) bytes += framed(std::move(response.body));
    connection_->push(std::move(bytes), /*last=*/false, /*close_after=*/false);
  }
  bool write(std::string piece) override {
    const std::lock_guard lock(mutex_);
    if (!begun_ || finished_) return false;
    if (piece.empty()) return !connection_->gone();
    return connection_->push(framed(std::move(piece)), /*last=*/false, /*close_after=*/false);
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    if (!begun_ || finished_) return;
    finished_ = true;
    connection_->push(http11_ && request_.method != "HEAD" ? "0\r\n\r\n" : "", /*last=*/true, !keep_alive_);
  }
  void drop() override {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    connection_->drop();
  }
  bool gone() const override { return connection_->gone(); }
  void when_gone(std::function<void()> callback) override { connection_->when_gone(std::move(callback)); }

 private:
  std::string head(const Response& response, const std::string& framing, bool keep_alive) const {
    std::string text = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\n{}X-Content-Type-Options: nosniff\r\nConnection: {}\r\n", response.status,
                                   reason_phrase(response.status), date(), response.type, framing, keep_alive ? "keep-alive" : "close");
    for (const auto* headers : {&request_.answer_headers, &response.headers})
      for (const auto& [name, value] : *headers) text += fmt::format("{}: {}\r\n", name, value);
    return text + "\r\n";
  }
  std::string framed(std::string piece) const {
    if (request_.method == "HEAD") return {};
    return http11_ ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece) : piece;
  }

  const std::shared_ptr<Connection> connection_;
  const Request request_;
  const bool http11_;
  std::mutex mutex_;
  bool keep_alive_, begun_ = false, finished_ = false;
};

}  // namespace

Connection::Connection(Shared& shared, std::unique_ptr<Socket> socket, std::function<void(Connection*)> on_closed)
    : shared_(shared), socket_(std::move(socket)), on_closed_(std::move(on_closed)), timer_(shared.io) {}

void Connection::start() {
  arm(shared_.options.header_time);
  socket_->handshake([self = shared_from_this()](error_code error, size_t) {
    if (self->state_ != State::kHandshake) return;
    if (error) self->close();
    else self->guarded([&] { self->await_request(); });
  });
}

void Connection::await_request() {
  state_ = State::kHeader;
  header_begun_ = false;
  idle_since_ = std::chrono::steady_clock::now();
  request_ = {};
  parser_.emplace();
  parser_->header_limit(shared_.options.max_header_bytes);
  parser_->body_limit(boost::none);  // set once the header says where the body goes
  parser_->eager(false);
  {
    const std::lock_guard lock(mutex_);
    last_pushed_ = close_after_ = false;
    gone_callbacks_.clear();
  }
  if (shared_.stopping) return close();
  if (turned_away_) return refuse(503, kFull);
  arm(shared_.options.header_time);
  if (!input_.empty()) feed();
  else read();
}

void Connection::read() {
  if (reading_) return;
  if (peer_finished_) return close();
  reading_ = true;
  socket_->read_some(asio::buffer(chunk_), [self = shared_from_this()](error_code error, size_t bytes) { self->guarded([&] { self->on_read(error, bytes); }); });
}

void Connection::on_read(error_code error, size_t bytes) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) {
    // While an answer is being made, a peer that closed its side counts as gone: it cannot be told from one that left.
    peer_finished_ = true;
    return close();
  }
  if (state_ == State::kLingering) {
    discarded_ += bytes;
    return discarded_ > kLingerBytes ? close() : read();
  }
  input_.append(chunk_, bytes);
  if (state_ == State::kHeader || state_ == State::kBody) feed();
}

void Connection::feed() {
  while (state_ == State::kHeader || state_ == State::kBody) {
    if (state_ == State::kHeader) {
      // Blank lines before a request line are tolerated, as RFC 9112 asks.
      if (!header_begun_) input_.erase(0, std::min(input_.find_first_not_of("\r\n"), input_.size()));
      if (!input_.empty()) header_begun_ = true;
    }
    error_code error;
    const size_t used = input_.empty() ? 0 : parser_->put(asio::buffer(input_), error);
    input_.erase(0, used);
    if (error && error != beast::http::error::need_more) {
      if (error == beast::http::error::header_limit) return refuse(431, fmt::format("the header is larger than {} bytes", shared_.options.max_header_bytes));
      if (error == beast::http::error::body_limit) return refuse(413, fmt::format("the body is larger than {} bytes", body_limit()));
      if (error == beast::http::error::bad_version) return refuse(505, "HTTP/1.0 and HTTP/1.1 are spoken here");
      return refuse(400, fmt::format("malformed HTTP: {}", error.message()));
    }
    if (state_ == State::kHeader) {
      if (parser_->is_header_done()) {
        asked_ = true;
        if (!header_done()) return;
        continue;
      }
    } else {
      charge_body();
      if (shared_.body_bytes > shared_.options.max_bodies_bytes) return refuse(503, "the bodies of open requests fill the memory set aside for them");
      if (request_.sink && (parser_->is_done() || charged_ >= kSinkPiece)) return deliver();
      if (parser_->is_done()) return body_done();
    }
    if (input_.empty() || error == beast::http::error::need_more) {
      // Chunk extensions and trailers have no limit of their own.
      if (input_.size() > shared_.options.max_header_bytes) return refuse(400, fmt::format("a line between chunks is longer than {} bytes", shared_.options.max_header_bytes));
      return read();
    }
    if (used == 0) return refuse(400, "malformed HTTP");
  }
}

// False when the request was refused.
bool Connection::header_done() {
  const auto& message = parser_->get();
  request_.method = std::string(message.method_string());
  request_.target = std::string(message.target());
  for (const auto& field : message.base()) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    request_.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  if (request_.headers.size() > shared_.options.max_headers) return refuse(431, fmt::format("more than {} header lines", shared_.options.max_headers)), false;
  const auto path = decode_path(request_.target);
  if (!path) return refuse(400, "malformed request target"), false;
  request_.path = *path;
  if (auto refused = shared_.admission(request_)) {
    state_ = State::kAnswering;
    const bool clean = parser_->is_done() && message.keep_alive();
    Answer(shared_from_this(), std::move(request_), message.version() >= 11, clean).send(std::move(*refused));
    return false;
  }
  if (const auto announced = parser_->content_length(); announced && *announced > body_limit()) return refuse(413, fmt::format("the body is larger than {} bytes", body_limit())), false;
  parser_->body_limit(body_limit());
  state_ = State::kBody;
  parser_->eager(true);
  if (parser_->is_done()) return body_done(), false;
  arm(shared_.options.body_time);
  if (request_.header("expect") == "100-continue" && message.version() >= 11) push("HTTP/1.1 100 Continue\r\n\r\n", /*last=*/false, /*close_after=*/false);
  return true;
}

void Connection::charge_body() {
  const size_t now = parser_->get().body().size();
  shared_.body_bytes += now - charged_;
  charged_ = now;
}

void Connection::discharge_body() {
  if (charged_ > kLargeBody) shared_.large_body_ended = true;
  shared_.body_bytes -= charged_;
  charged_ = 0;
}

uint64_t Connection::body_limit() const { return request_.sink ? request_.sink->limit() : shared_.options.max_body_bytes; }

// Hands what has arrived to the sink; nothing is read meanwhile.
void Connection::deliver() {
  timer_.cancel();
  ++timer_number_;
  auto piece = std::make_shared<const std::string>(std::exchange(parser_->get().body(), {}));
  asio::post(shared_.workers, [self = shared_from_this(), sink = request_.sink, piece] {
    bool wanted = false;
    try {
      wanted = sink->write(*piece);
    } catch (...) {
      // The handler finds the sink unfinished, and says so.
    }
    asio::post(self->shared_.io, [self, wanted] { self->guarded([&] { self->delivered(wanted); }); });
  });
}

void Connection::delivered(bool wanted) {
  if (state_ != State::kBody) return;  // closed meanwhile, or the server stops
  charge_body();
  if (!wanted || parser_->is_done()) return body_done(wanted);
  arm(shared_.options.body_time);
  feed();
}

// `whole`: all of the body was read.
void Connection::body_done(bool whole) {
  state_ = State::kAnswering;
  timer_.cancel();
  ++timer_number_;
  ++shared_.requests;
  request_.body = std::move(parser_->get().body());
  const bool keep_alive = whole && parser_->get().keep_alive() && !shared_.stopping;
  auto answer = std::make_shared<Answer>(shared_from_this(), std::move(request_), parser_->get().version() >= 11, keep_alive);
  asio::post(shared_.workers, [this, self = shared_from_this(), answer = std::move(answer)]() mutable {
    try {
      shared_.handler(std::move(answer));
    } catch (...) {
      // Nobody is left to answer: the last owner of the exchange says so.
    }
  });
  if (whole && input_.empty()) read();  // to notice that the peer leaves
}

void Connection::refuse(int status, const std::string& message) {
  if (state_ == State::kClosed) return;
  state_ = State::kAnswering;
  request_.sink.reset();
  std::string().swap(parser_->get().body());
  discharge_body();
  Answer(shared_from_this(), request_, /*http11=*/true, /*keep_alive=*/false).send(shared_.refusal(request_, status, message));
}

bool Connection::push(std::string bytes, bool last, bool close_after) {
  const std::lock_guard lock(mutex_);
  if (gone_ || last_pushed_) return false;
  // A whole answer may be larger than the queue: it is there already, and sending it computes nothing more.
  if (!last && queued_ + bytes.size() > shared_.options.max_queued_bytes) {
    ++shared_.too_slow;
    gone_ = true;
    asio::post(shared_.io, [self = shared_from_this()] { self->close(); });
    return false;
  }
  queued_ += bytes.size();
  if (!bytes.empty()) queue_.push_back(std::move(bytes));
  last_pushed_ = last;
  close_after_ = close_after;
  if (!flush_posted_) {
    flush_posted_ = true;
    asio::post(shared_.io, [self = shared_from_this()] { self->guarded([&] { self->flush(); }); });
  }
  return true;
}

void Connection::flush() {
  bool finished = false;
  {
    const std::lock_guard lock(mutex_);
    flush_posted_ = false;
    if (writing_ || state_ == State::kClosed) return;
    sending_.clear();
    sent_ = 0;
    for (const std::string& piece : queue_) sending_ += piece;
    queue_.clear();
    finished = sending_.empty() && last_pushed_;
  }
  if (finished) return answered();
  if (sending_.empty()) return;
  writing_ = true;
  on_written({}, 0);
}

void Connection::on_written(error_code error, size_t bytes) {
  if (state_ == State::kClosed) return;
  if (error) return close();
  sent_ += bytes;
  {
    const std::lock_guard lock(mutex_);
    queued_ -= bytes;
  }
  if (sent_ < sending_.size()) {
    if (state_ == State::kAnswering) arm(shared_.options.write_time);
    socket_->write_some(asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
                        [self = shared_from_this()](error_code e, size_t n) { self->guarded([&] { self->on_written(e, n); }); });
    return;
  }
  writing_ = false;
  if (state_ == State::kAnswering) {
    timer_.cancel();
    ++timer_number_;
  }
  flush();
}

void Connection::answered() {
  if (state_ != State::kAnswering) return;
  discharge_body();
  bool ends = false;
  {
    const std::lock_guard lock(mutex_);
    ends = close_after_;
  }
  if (ends || shared_.stopping) return linger();
  await_request();
}

// What the peer still sends is read for a while: closing at once would make the system take back the answer.
void Connection::linger() {
  state_ = State::kLingering;
  socket_->finish_writing();
  if (peer_finished_) return close();
  arm(kLingerTime);
  read();
}

void Connection::arm(std::chrono::milliseconds time) {
  const uint64_t number = ++timer_number_;
  timer_.expires_after(time);
  timer_.async_wait([self = shared_from_this(), number](error_code error) {
    if (!error && number == self->timer_number_) self->guarded([&] { self->on_time(); });
  });
}

void Connection::on_time() {
  if (state_ == State::kBody || (state_ == State::kHeader && header_begun_)) return refuse(408, "the request did not arrive in time");
  if (state_ == State::kAnswering) ++shared_.too_slow;
  // On a machine that is short of time, a request may have arrived in time without having been read.
  if (idle() || state_ != State::kHeader) return close();
  arm(shared_.options.header_time);
}

void Connection::stop() {
  if (state_ == State::kHeader || state_ == State::kHandshake || state_ == State::kLingering) return close();
  if (state_ == State::kBody) return refuse(503, "the server is stopping");
}

void Connection::turn_away() {
  turned_away_ = true;
  if (asked_) return close();
  if (state_ == State::kHeader) return refuse(503, kFull);
  start();
  arm(kLingerTime);
}

void Connection::set_gone() {
  std::vector<std::function<void()>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    if (!last_pushed_) callbacks.swap(gone_callbacks_);
    gone_callbacks_.clear();
  }
  for (const auto& callback : callbacks) callback();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  const auto self = shared_from_this();
  discharge_body();
  parser_.reset();
  request_.sink.reset();
  timer_.cancel();
  socket_->close();
  set_gone();
  on_closed_(this);
}

void Connection::drop() {
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
  }
  asio::post(shared_.io, [self = shared_from_this()] { self->close(); });
}

bool Connection::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

void Connection::when_gone(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (last_pushed_) return;
    if (!gone_) {
      gone_callbacks_.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

}  // namespace hone::serve::http
