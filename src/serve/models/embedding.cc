#include "serve/models/embedding.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace hone::serve {
namespace {

constexpr size_t kTogether = 32;  // a request with many texts leaves the queue to others

// The texts of one request on their way through the engine.
class EmbedWork : public std::enable_shared_from_this<EmbedWork> {
 public:
  EmbedWork(std::shared_ptr<ModelPool::Lease> lease, std::vector<std::vector<int32_t>> texts, std::function<bool()> gone, std::function<void(Vectors, const std::optional<Error>&)> done)
      : lease_(std::move(lease)), texts_(std::move(texts)), vectors_(texts_.size()), gone_(std::move(gone)), done_(std::move(done)) {}

  void start() {
    std::unique_lock lock(mutex_);
    go_on(lock);
  }

 private:
  class One : public infer::Receiver {
   public:
    One(std::shared_ptr<EmbedWork> work, size_t index) : work_(std::move(work)), index_(index) {}
    bool on_token(const infer::TokenEvent&) override { return true; }
    void on_done(const infer::Outcome& outcome) override { work_->take(index_, outcome); }

   private:
    std::shared_ptr<EmbedWork> work_;
    size_t index_;
  };

  void take(size_t index, const infer::Outcome& outcome) {
    std::unique_lock lock(mutex_);
    --open_;
    vectors_[index] = outcome.embedding;
    if (outcome.error) failure_ = outcome.error;
    else if (outcome.embedding.empty() && !failure_) failure_ = Error(ErrorCode::kBusy, "server", "the server is stopping", "try again later");
    go_on(lock);
  }

  // Submits what may be, and ends the work when nothing is left.
  void go_on(std::unique_lock<std::mutex>& lock) {
    if (!failure_ && gone_()) failure_ = Error(ErrorCode::kInterrupted, "client", "it went away", "");
    while (!failure_ && open_ < kTogether && next_ < texts_.size()) try {
        infer::Request request;
        request.prompt = texts_[next_];
        request.adapter = (*lease_)->adapter;
        request.embed = true;
        (*lease_)->engine().submit(std::move(request), std::make_shared<One>(shared_from_this(), next_));
        ++next_;
        ++open_;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kBusy && open_ > 0) break;  // the rest once these are done
        failure_ = error;
      }
    if (open_ > 0 || (!failure_ && next_ < texts_.size()) || over_) return;
    over_ = true;
    lock.unlock();
    done_(std::move(vectors_), failure_);
  }

  const std::shared_ptr<ModelPool::Lease> lease_;
  const std::vector<std::vector<int32_t>> texts_;
  std::mutex mutex_;
  Vectors vectors_;
  size_t next_ = 0, open_ = 0;
  bool over_ = false;
  std::optional<Error> failure_;
  const std::function<bool()> gone_;
  const std::function<void(Vectors, const std::optional<Error>&)> done_;
};

}  // namespace

void embed(std::shared_ptr<ModelPool::Lease> lease, std::vector<std::vector<int32_t>> texts, std::function<bool()> gone, std::function<void(Vectors, const std::optional<Error>&)> done) {
  for (const auto& ids : texts) {
    const auto count = static_cast<int64_t>(ids.size());
    if (ids.empty()) throw Error(ErrorCode::kInvalidInput, "input", "it holds no token", "write something to embed");
    if (count > (*lease)->context()) throw Error(ErrorCode::kInvalidInput, "input", fmt::format("{} tokens exceed a context of {}", count, (*lease)->context()), "shorten it");
  }
  std::make_shared<EmbedWork>(std::move(lease), std::move(texts), std::move(gone), std::move(done))->start();
}

void shorten(std::vector<float>& vector, size_t dimensions) {
  vector.resize(std::min(vector.size(), dimensions));
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * x;
  const auto scale = static_cast<float>(square > 0 ? 1 / std::sqrt(square) : 0);
  for (float& x : vector) x *= scale;
}

}  // namespace hone::serve
