// One connection: requests are read one after another, each answered through its Exchange. Lives on the server's io thread;
// only the functions marked so may be called from others.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/message.hpp>
#include <atomic>
#include <deque>
#include <mutex>

#include "serve/http/server.h"
#include "serve/http/socket.h"

namespace hone::serve::http {

/// What the connections of one server share.
struct Shared {
  ServerOptions options;
  Server::Admission admission;
  Server::Handler handler;
  Server::Refusal refusal;
  boost::asio::io_context& io;
  boost::asio::thread_pool& workers;
  std::atomic<bool> stopping = false;
  std::atomic<size_t> body_bytes = 0;
  std::atomic<int64_t> requests = 0, too_slow = 0;
  std::atomic<bool> large_body_ended = false;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, std::unique_ptr<Socket> socket, std::function<void(Connection*)> on_closed);

  void start();
  /// No request is being received or answered, and none has arrived that was not read yet.
  bool idle() const { return state_ == State::kHeader && !header_begun_ && !socket_->has_input(); }
  std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }
  /// Instead of start(), or when idle: answers 503 and closes. A peer that was answered before is only closed: it knows that idle connections end.
  void turn_away();
  /// Ends an idle connection at once, others after their answer.
  void stop();
  void close();

  // ---- from any thread, by the Exchange
  bool push(std::string bytes, bool last, bool close_after);
  void drop();
  bool gone() const;
  void when_gone(std::function<void()> callback);

 private:
  enum class State { kHandshake, kHeader, kBody, kAnswering, kLingering, kClosed };

  // A string that grows with what arrives, never with what a header announces.
  struct Text {
    using value_type = std::string;
    class reader {
     public:
      template <bool isRequest, class Fields>
      reader(boost::beast::http::header<isRequest, Fields>&, value_type& text) : text_(text) {}
      void init(const boost::optional<uint64_t>&, boost::system::error_code& error) { error = {}; }
      template <class Buffers>
      size_t put(const Buffers& buffers, boost::system::error_code& error) {
        error = {};
        size_t bytes = 0;
        for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers); ++it) {
          const boost::asio::const_buffer piece(*it);
          text_.append(static_cast<const char*>(piece.data()), piece.size());
          bytes += piece.size();
        }
        return bytes;
      }
      void finish(boost::system::error_code& error) { error = {}; }

     private:
      value_type& text_;
    };
  };
  using Parser = boost::beast::http::request_parser<Text>;

  void await_request();
  void read();
  void on_read(boost::system::error_code error, size_t bytes);
  void feed();
  bool header_done();
  void deliver();
  void delivered(bool wanted);
  void body_done(bool whole = true);
  void refuse(int status, const std::string& message);
  void flush();
  void on_written(boost::system::error_code error, size_t bytes);
  void answered();
  void linger();
  void arm(std::chrono::milliseconds time);
  void on_time();
  void charge_body();
  void discharge_body();
  uint64_t body_limit() const;
  void set_gone();
  // Runs one step; what it throws (memory is short) ends this connection alone.
  template <class Step>
  void guarded(const Step& step) {
    try {
      step();
    } catch (const std::exception&) {
      close();
    }
  }

  Shared& shared_;
  std::unique_ptr<Socket> socket_;
  std::function<void(Connection*)> on_closed_;
  boost::asio::steady_timer timer_;
  uint64_t timer_number_ = 0;
  State state_ = State::kHandshake;
  std::optional<Parser> parser_;
  Request request_;
  std::chrono::steady_clock::time_point idle_since_;
  bool asked_ = false;  // before
  bool turned_away_ = false;
  bool header_begun_ = false, reading_ = false, writing_ = false, peer_finished_ = false;
  std::string input_;  // received and not yet parsed
  char chunk_[16 << 10];
  size_t charged_ = 0, discarded_ = 0;
  std::string sending_;
  size_t sent_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::deque<std::string> queue_;
  size_t queued_ = 0;
  bool flush_posted_ = false, last_pushed_ = false, close_after_ = false, gone_ = false;
  std::vector<std::function<void()>> gone_callbacks_;
};

}  // namespace hone::serve::http
