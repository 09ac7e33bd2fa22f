// /api/generate and /api/chat; the routes about models are in model_routes.cc.
#include <mutex>

#include "serve/api/errors.h"
#include "serve/ollama/answer.h"
#include "serve/ollama/requests.h"

namespace hone::serve {
namespace ollama {

namespace {

constexpr size_t kMaxBatch = 256;

// A request without words: the model is loaded, or given up when it is not to be kept.
void load_only(Service& service, const Exchange& exchange, const AnswerRequest& request) {
  AnswerShape shape{.model = request.model, .chat = request.chat, .prompt = {}, .started = Clock::now()};
  const bool unload = request.keep_alive && *request.keep_alive == 0;
  if (unload) service.pool.unload(request.model);
  else service.pool.acquire(request.model, request.keep_alive);
  Json json = frame(shape, /*done=*/true);
  json["done_reason"] = unload ? "unload" : "load";
  exchange->send(json_response(json));
}

void answer(Service& service, const Exchange& exchange, bool chat) {
  const auto started = Clock::now();
  const Json body = parse_body(exchange->request().body);
  const AnswerRequest request = read_request(body, chat);
  if (request.empty) return load_only(service, exchange, request);
  auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, request.keep_alive));
  PreparedAnswer prepared = prepare(**lease, request);
  prepared.shape.started = started;
  prepared.shape.load_seconds = lease->load_seconds();
  auto sink = std::make_shared<Sink>(exchange, std::move(prepared.shape), (*lease)->files.tokenizer);
  cancel_when_gone(exchange, {service.answers.start(std::move(lease), std::move(prepared.request), prepared.split, std::move(sink))});
}

// The answers of /api/batch: lines in the order in which they end, each with the index of its request.
class Batch {
 public:
  Batch(Exchange exchange, size_t open) : stream_(std::move(exchange), Stream::Kind::kLines), open_(open) {}
  // False when nobody reads the answers any more.
  bool finish(size_t index, Json json) {
    Json line = {{"index", index}};
    line.update(json);
    const std::lock_guard lock(mutex_);
    stream_.send(line);
    if (--open_ == 0) stream_.end();
    return !stream_.gone();
  }
  bool gone() const { return stream_.gone(); }

 private:
  std::mutex mutex_;
  Stream stream_;
  size_t open_;
};

class BatchSink : public AnswerSink {
 public:
  BatchSink(std::shared_ptr<Batch> batch, size_t index, AnswerShape shape, const text::Tokenizer& tokenizer)
      : batch_(std::move(batch)), index_(index), collected_(std::move(shape), tokenizer) {}
  bool on_token(const infer::TokenEvent& token, const Part& part) override {
    collected_.take(token, part);
    return !batch_->gone();
  }
  void on_end(const Part& rest, const infer::Outcome& outcome) override {
    infer::TokenEvent none;
    none.id = -1;
    collected_.take(none, rest);
    const auto failure = failure_of(outcome);
    batch_->finish(index_, failure ? failed(*failure) : collected_.last(outcome));
  }
  static Json failed(const Error& error) { return {{"error", in_words(error)}, {"status", status_of(error.code())}}; }

 private:
  std::shared_ptr<Batch> batch_;
  size_t index_;
  Collected collected_;
};

void batch(Service& service, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Json* requests = Fields(body).array("requests", kMaxBatch);
  if (!requests || requests->empty()) throw Error(ErrorCode::kInvalidInput, "requests", "expected a list of requests as /api/generate or /api/chat take them");
  const auto answers = std::make_shared<Batch>(exchange, requests->size());
  OpenAnswers open;
  for (size_t i = 0; i < requests->size(); ++i) {
    try {
      const auto started = Clock::now();
      const Json& one = (*requests)[i];
      const AnswerRequest request = read_request(one, one.is_object() && one.contains("messages"));
      if (request.empty) throw Error(ErrorCode::kInvalidInput, request.chat ? "messages" : "prompt", "it is empty");
      auto lease = std::make_shared<ModelPool::Lease>(service.pool.acquire(request.model, request.keep_alive));
      PreparedAnswer prepared = prepare(**lease, request);
      prepared.shape.started = started;
      prepared.shape.load_seconds = lease->load_seconds();
      auto sink = std::make_shared<BatchSink>(answers, i, std::move(prepared.shape), (*lease)->files.tokenizer);
      open.push_back(service.answers.start(std::move(lease), std::move(prepared.request), prepared.split, std::move(sink)));
    } catch (...) {
      answers->finish(i, BatchSink::failed(current_error()));  // the others are not hurt
    }
  }
  cancel_when_gone(exchange, std::move(open));
}

}  // namespace

void add_answer_routes(http::Router& router, Service& service) {
  for (const bool chat : {false, true})
    add_route(router, "POST", chat ? "/api/chat" : "/api/generate", http::Role::kInfer, [&service, chat](const Exchange& exchange) { answer(service, exchange, chat); });
  add_route(router, "POST", "/api/batch", http::Role::kInfer, [&service](const Exchange& exchange) { batch(service, exchange); });
}

}  // namespace ollama

void add_ollama_routes(http::Router& router, Service& service) {
  ollama::add_answer_routes(router, service);
  ollama::add_model_routes(router, service);
}

}  // namespace hone::serve
