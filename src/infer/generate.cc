#include "infer/generate.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

namespace hone::infer {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Bytes at the end of `text` that could be the beginning of a stop string, and so must be held back.
size_t held_back(std::string_view text, const std::vector<std::string>& stops) {
  size_t held = 0;
  for (const std::string& stop : stops)
    for (size_t n = std::min(stop.size(), text.size()); n > held; --n)
      if (text.substr(text.size() - n) == std::string_view(stop).substr(0, n)) {
        held = n;
        break;
      }
  return held;
}

size_t first_stop(std::string_view text, const std::vector<std::string>& stops) {
  size_t first = std::string_view::npos;
  for (const std::string& stop : stops)
    if (!stop.empty()) first = std::min(first, text.find(stop));
  return first;
}

// Gathers the answer and passes on what can no longer become part of a stop string.
class Output {
 public:
  Output(const std::vector<std::string>& stops, const std::function<bool(std::string_view)>& on_text)
      : stops_(stops), on_text_(on_text) {}

  // False when the answer has ended: at a stop string, or because the receiver is gone.
  bool push(std::string_view piece) {
    text_ += piece;
    const size_t stop = first_stop(text_, stops_);
    if (stop != std::string::npos) {
      text_.resize(stop);
      return show(text_.size()) && false;
    }
    return show(text_.size() - held_back(text_, stops_));
  }
  void finish(std::string_view rest) {
    if (push(rest)) show(text_.size());
  }
  bool cancelled() const { return cancelled_; }
  std::string take() { return std::move(text_); }

 private:
  bool show(size_t end) {
    if (end > shown_ && on_text_ && !on_text_(std::string_view(text_).substr(shown_, end - shown_))) cancelled_ = true;
    shown_ = std::max(shown_, end);
    return !cancelled_;
  }
  const std::vector<std::string>& stops_;
  const std::function<bool(std::string_view)>& on_text_;
  std::string text_;
  size_t shown_ = 0;
  bool cancelled_ = false;
};

}  // namespace

std::vector<float> next_logits(const models::CausalLm& model, std::span<const int32_t> ids, SequenceCache& cache,
                               int64_t chunk) {
  const autograd::NoGrad no_grad;
  const auto count = static_cast<int64_t>(ids.size());
  HONE_CHECK(cache.tokens() < count, "{} tokens cached of {}", cache.tokens(), count);
  autograd::Variable last;
  while (cache.tokens() < count) {
    const int64_t begin = cache.tokens(), n = std::min(chunk, count - begin);
    std::vector<int32_t> positions(static_cast<size_t>(n));
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(begin));
    const int32_t segments[2] = {0, static_cast<int32_t>(n)};
    const nn::Sequence sequence{Tensor::from({n}, ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(n))),
                                Tensor::from({n}, std::span<const int32_t>(positions)),
                                Tensor::from({2}, std::span<const int32_t>(segments))};
    std::optional<ops::RowByRow> row_by_row;
    if (n == 1) row_by_row.emplace();
    const autograd::Variable hidden = model.hidden(sequence, nn::Pass{}, &cache);
    if (begin + n == count) last = hidden.value().rows(n - 1, n);
  }
  const ops::RowByRow row_by_row;
  const autograd::Variable logits = model.logits(last);
  const float* z = logits.value().data<float>();
  return {z, z + logits.value().elements()};
}

Generation generate(const models::CausalLm& model, const text::Tokenizer& tokenizer, std::span<const int32_t> prompt,
                    const GenerateOptions& options, SequenceCache& cache, const std::function<bool(std::string_view)>& on_text) {
  const int64_t context = model.max_positions();
  if (prompt.empty()) throw Error(ErrorCode::kInvalidInput, "prompt", "it holds no token", "write something to answer");
  if (static_cast<int64_t>(prompt.size()) >= context)
    throw Error(ErrorCode::kInvalidInput, "prompt",
                fmt::format("{} tokens leave no room in a context of {}", prompt.size(), context), "shorten it");
  Generation result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  std::vector<int32_t> ids(prompt.begin(), prompt.end());
  Sampler sampler(options.sampler);
  text::StreamDecoder decoder(tokenizer);
  Output output(options.stop, on_text);

  auto start = std::chrono::steady_clock::now();
  bool open = true;
  result.finish = Finish::kLength;
  for (int64_t produced = 0; open && produced < options.max_tokens && static_cast<int64_t>(ids.size()) < context; ++produced) {
    const std::vector<float> logits = next_logits(model, ids, cache, options.prefill_chunk);
    if (produced == 0) {
      result.prefill_seconds = seconds_since(start);
      start = std::chrono::steady_clock::now();
    }
    const int32_t id = sampler.sample(logits, ids);
    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), id) != options.stop_ids.end()) {
      result.finish = Finish::kStop;
      break;
    }
    ids.push_back(id);
    result.ids.push_back(id);
    open = output.push(decoder.push(id));
    if (!open) result.finish = Finish::kStop;
  }
  if (open) output.finish(decoder.finish());
  if (output.cancelled()) result.finish = Finish::kCancelled;
  result.decode_seconds = seconds_since(start);
  result.text = output.take();
  return result;
}

}  // namespace hone::infer
