#include "infer/generate.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace hone::infer {
namespace {

// Brings events of many requests to the thread that waits for them.
struct Mailbox {
  struct Letter {
    size_t request;
    std::optional<TokenEvent> event;  // else the outcome
    Outcome outcome;
  };
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Letter> letters;

  void put(Letter letter) {
    const std::lock_guard lock(mutex);
    letters.push_back(std::move(letter));
    arrived.notify_one();
  }
  // `meanwhile` is called ten times a second until a letter is there.
  template <class Meanwhile>
  Letter take(const Meanwhile& meanwhile) {
    std::unique_lock lock(mutex);
    while (!arrived.wait_for(lock, std::chrono::milliseconds(100), [&] { return !letters.empty(); })) {
      lock.unlock();
      meanwhile();
      lock.lock();
    }
    Letter letter = std::move(letters.front());
    letters.pop_front();
    return letter;
  }
};

class Sender : public Receiver {
 public:
  Sender(std::shared_ptr<Mailbox> to, size_t request) : to_(std::move(to)), request_(request) {}
  bool on_token(const TokenEvent& event) override {
    if (!event.of_prompt) to_->put({request_, event, {}});
    return true;
  }
  void on_done(const Outcome& outcome) override { to_->put({request_, std::nullopt, outcome}); }

 private:
  const std::shared_ptr<Mailbox> to_;
  const size_t request_;
};

void finish(Generation& answer, const Outcome& outcome) {
  answer.text += outcome.text;
  answer.finish = outcome.finish;
  answer.prompt_tokens = outcome.prompt_tokens;
  answer.prefill_seconds = outcome.prefill_seconds;
  answer.decode_seconds = outcome.decode_seconds;
}

}  // namespace

Generation generate(Engine& engine, Request request, const std::function<bool(std::string_view)>& on_text, const std::function<bool()>& interrupted) {
  const auto mailbox = std::make_shared<Mailbox>();
  const uint64_t number = engine.submit(std::move(request), std::make_shared<Sender>(mailbox, 0));
  Generation answer;
  const auto show = [&](const std::string& text) {
    if (!text.empty() && on_text && !on_text(text)) engine.cancel(number);
  };
  for (;;) {
    const Mailbox::Letter letter = mailbox->take([&] {
      if (interrupted && interrupted()) engine.cancel(number);
    });
    if (!letter.event) {
      if (letter.outcome.error) throw *letter.outcome.error;
      show(letter.outcome.text);
      finish(answer, letter.outcome);
      return answer;
    }
    answer.ids.push_back(letter.event->id);
    answer.text += letter.event->text;
    show(letter.event->text);
  }
}

void generate_all(Engine& engine, std::vector<Request> requests, int64_t window, const std::function<bool(size_t, Generation)>& on_answer, const std::function<bool()>& interrupted) {
  const auto mailbox = std::make_shared<Mailbox>();
  std::vector<Generation> answers(requests.size());
  std::vector<uint64_t> numbers(requests.size(), 0);
  size_t submitted = 0, ended = 0;
  std::optional<Error> failed;
  bool open = true;
  const auto stop = [&] {
    if (!open) return;
    open = false;
    for (size_t i = 0; i < submitted; ++i) engine.cancel(numbers[i]);
  };
  while (ended < submitted || (open && submitted < requests.size())) {
    for (; open && submitted < requests.size() && static_cast<int64_t>(submitted - ended) < window; ++submitted) try {
        numbers[submitted] = engine.submit(std::move(requests[submitted]), std::make_shared<Sender>(mailbox, submitted));
      } catch (const Error& error) {
        failed = error;
        stop();
        break;
      }
    if (ended == submitted) break;
    const Mailbox::Letter letter = mailbox->take([&] {
      if (open && interrupted && interrupted()) stop();
    });
    Generation& answer = answers[letter.request];
    if (letter.event) {
      answer.ids.push_back(letter.event->id);
      answer.text += letter.event->text;
      continue;
    }
    ++ended;
    if (letter.outcome.error && !failed) failed = letter.outcome.error;
    if (letter.outcome.error) stop();
    finish(answer, letter.outcome);
    if (open && !on_answer(letter.request, std::move(answer))) stop();
  }
  if (failed) throw *failed;
}

}  // namespace hone::infer
