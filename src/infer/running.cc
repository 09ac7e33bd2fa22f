#include "infer/running.h"

#include <algorithm>
#include <cmath>

namespace hone::infer {
namespace {

double seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

}  // namespace

TokenLogprob logprob_of(std::span<const float> logits, int32_t id, int32_t top, std::vector<TokenLogprob>* likeliest) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float z : logits) total += std::exp(z - highest);
  const float level = highest + static_cast<float>(std::log(total));
  if (top > 0) {
    const auto count = std::min<size_t>(static_cast<size_t>(top), logits.size());
    std::vector<int32_t> order(logits.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    const auto better = [&](int32_t a, int32_t b) {
      const float za = logits[static_cast<size_t>(a)], zb = logits[static_cast<size_t>(b)];
      return za > zb || (za == zb && a < b);
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), better);
    for (size_t i = 0; i < count; ++i) likeliest->push_back({order[i], logits[static_cast<size_t>(order[i])] - level});
  }
  return {id, logits[static_cast<size_t>(id)] - level};
}

Running::Running(uint64_t n, Request wanted, std::shared_ptr<Receiver> to, const text::Tokenizer& tokenizer)
    : number(n), request(std::move(wanted)), receiver(std::move(to)), ids(request.prompt), sampler_(request.options.sampler), decoder_(tokenizer),
      output_(request.options.stop), draft_(std::move(request.prediction), request.prompt.size()) {
  outcome.prompt_tokens = prompt_tokens();
}

void Running::show(const TokenEvent& event) {
  try {
    if (!receiver->on_token(event)) cancelled = true;
  } catch (...) {
    cancelled = true;
  }
}

void Running::prompt_logits(const float* logits, int64_t first, int64_t n, int64_t vocab) {
  if (shown_prompt == 0) show({ids[0], true, {}, 0, {}}), shown_prompt = 1;
  for (int64_t i = std::max<int64_t>(0, shown_prompt - first - 1); i < n && shown_prompt < prompt_tokens(); ++i) {
    TokenEvent event{ids[static_cast<size_t>(shown_prompt++)], true, {}, 0, {}};
    event.logprob = logprob_of({logits + i * vocab, static_cast<size_t>(vocab)}, event.id, std::max(0, request.top_logprobs), &event.top).logprob;
    show(event);
  }
}

void Running::next_token(std::span<float> logits, int64_t context) {
  if (produced == 0) {
    first_token_ = Clock::now();
    outcome.prefill_seconds = seconds(submitted, first_token_) - outcome.queue_seconds;
  }
  TokenEvent event;
  std::vector<float> before;
  if (request.top_logprobs >= 0 && request.filter) before.assign(logits.begin(), logits.end());
  if (request.filter) request.filter->apply(logits);
  event.id = sampler_.sample(logits, ids);
  if (request.filter) request.filter->accept(event.id);
  const auto& stops = request.options.stop_ids;
  const bool stops_here = std::find(stops.begin(), stops.end(), event.id) != stops.end();
  if (stops_here && !request.stop_logprob) return end(Finish::kStop);
  if (request.top_logprobs >= 0) {
    const std::span<const float> raw = before.empty() ? std::span<const float>(logits) : std::span<const float>(before);
    event.logprob = logprob_of(raw, event.id, request.top_logprobs, &event.top).logprob;
  }
  if (stops_here) {
    show(event);
    return end(Finish::kStop);
  }
  ids.push_back(event.id);
  ++produced;
  event.text = output_.push(decoder_.push(event.id));
  show(event);
  if (output_.ended()) end(Finish::kStop);
  else if (produced >= request.options.max_tokens || tokens() >= context) end(Finish::kLength);
}

void Running::next_tokens(float* logits, int64_t vocab, int64_t context) {
  const auto offered = static_cast<int64_t>(guessed.size());
  int64_t taken = 0;
  for (bool on = true; on;) {
    next_token({logits + taken * vocab, static_cast<size_t>(vocab)}, context);
    // Its keys and values are there already where the guess was right.
    on = !over && !cancelled && taken < offered && ids.back() == guessed[static_cast<size_t>(taken)];
    if (on) ++computed, ++taken;
  }
  if (offered == 0) return;
  draft_.judge(std::min(offered, taken + 1), taken);
  outcome.guessed_tokens += offered, outcome.taken_tokens += taken;
  guessed.clear();
}

void Running::report() {
  if (produced > 0) outcome.decode_seconds = seconds(first_token_, Clock::now());
  else if (outcome.prefill_seconds == 0) outcome.prefill_seconds = seconds(submitted, Clock::now()) - outcome.queue_seconds;
  outcome.answer_tokens = produced;
  if (!outcome.error && outcome.finish != Finish::kCancelled) outcome.text = output_.finish(decoder_.finish());
  try {
    receiver->on_done(outcome);
  } catch (...) {
  }
}

}  // namespace hone::infer
