#include "serve/models/answers.h"

namespace hone::serve {

bool OpenAnswer::on_token(const infer::TokenEvent& event) {
  if (cancelled_) return false;
  const Part part = event.of_prompt ? Part{} : splitter_.push(event.text);
  return sink_->on_token(event, part) && !cancelled_;
}

void OpenAnswer::on_done(const infer::Outcome& outcome) {
  Part rest = splitter_.push(outcome.text);
  Part last = splitter_.finish();
  rest.thinking += last.thinking;
  rest.content += last.content;
  rest.calls.insert(rest.calls.end(), std::make_move_iterator(last.calls.begin()), std::make_move_iterator(last.calls.end()));
  const std::shared_ptr<AnswerSink> sink = std::move(sink_);
  sink->on_end(rest, outcome);
  std::shared_ptr<ModelPool::Lease> lease;
  const std::lock_guard lock(mutex_);
  lease.swap(lease_);
}

void OpenAnswer::cancel() {
  cancelled_ = true;
  std::shared_ptr<ModelPool::Lease> lease;  // keeps the model while its engine is called, outside the lock
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    lease = lease_;
    number = number_;
  }
  if (lease && number) (*lease)->engine().cancel(number);
}

std::shared_ptr<OpenAnswer> Answers::start(std::shared_ptr<ModelPool::Lease> lease, infer::Request request, const SplitOptions& split, std::shared_ptr<AnswerSink> sink) {
  auto answer = std::make_shared<OpenAnswer>(lease, split, std::move(sink));
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(open_, [](const auto& open) { return open.expired(); });
    open_.push_back(answer);
  }
  request.adapter = (*lease)->adapter;
  const uint64_t number = (*lease)->engine().submit(std::move(request), answer);
  {
    const std::lock_guard lock(answer->mutex_);
    answer->number_ = number;
  }
  if (answer->cancelled_) (*lease)->engine().cancel(number);
  return answer;
}

void Answers::cancel_all() {
  std::vector<std::weak_ptr<OpenAnswer>> open;
  {
    const std::lock_guard lock(mutex_);
    open = open_;
  }
  for (const auto& weak : open)
    if (const auto answer = weak.lock()) answer->cancel();
}

}  // namespace hone::serve
