#include "serve/models/embedding.h"

#include <algorithm>
#include <cmath>
#include <future>

namespace hone::serve {
namespace {

class Waiting : public infer::Receiver {
 public:
  bool on_token(const infer::TokenEvent&) override { return true; }
  void on_done(const infer::Outcome& outcome) override { promise_.set_value(outcome); }
  infer::Outcome wait() { return promise_.get_future().get(); }

 private:
  std::promise<infer::Outcome> promise_;
};

constexpr size_t kTogether = 8;  // a request with many texts leaves the queue to others

}  // namespace

std::vector<std::vector<float>> embed(const Resident& model, const std::vector<std::vector<int32_t>>& texts) {
  for (const auto& ids : texts) {
    const auto count = static_cast<int64_t>(ids.size());
    if (ids.empty()) throw Error(ErrorCode::kInvalidInput, "input", "it holds no token", "write something to embed");
    if (count > model.context()) throw Error(ErrorCode::kInvalidInput, "input", fmt::format("{} tokens exceed a context of {}", count, model.context()), "shorten it");
  }
  std::vector<std::vector<float>> vectors;
  while (vectors.size() < texts.size()) {
    const size_t begin = vectors.size();
    std::vector<std::shared_ptr<Waiting>> waiting;
    for (size_t i = begin; i < std::min(texts.size(), begin + kTogether); ++i) {
      infer::Request request;
      request.prompt = texts[i];
      request.adapter = model.adapter;
      request.embed = true;
      auto receiver = std::make_shared<Waiting>();
      try {
        model.engine().submit(std::move(request), receiver);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kBusy || waiting.empty()) throw;
        break;  // the rest once these are done
      }
      waiting.push_back(std::move(receiver));
    }
    for (const auto& receiver : waiting) {
      infer::Outcome outcome = receiver->wait();
      if (outcome.error) throw *outcome.error;
      if (outcome.embedding.empty()) throw Error(ErrorCode::kBusy, "server", "the server is stopping", "try again later");
      vectors.push_back(std::move(outcome.embedding));
    }
  }
  return vectors;
}

void shorten(std::vector<float>& vector, size_t dimensions) {
  vector.resize(std::min(vector.size(), dimensions));
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * x;
  const auto scale = static_cast<float>(square > 0 ? 1 / std::sqrt(square) : 0);
  for (float& x : vector) x *= scale;
}

}  // namespace hone::serve
