#include "infer/generate.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

#include "infer/output.h"

namespace hone::infer {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

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
  Output output(options.stop);
  const auto show = [&](const std::string& text) { return text.empty() || !on_text || on_text(text); };

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
    open = show(output.push(decoder.push(id)));
    if (!open) result.finish = Finish::kCancelled;
    if (open && output.ended()) {
      result.finish = Finish::kStop;
      break;
    }
  }
  if (open && !show(output.finish(decoder.finish()))) result.finish = Finish::kCancelled;
  result.decode_seconds = seconds_since(start);
  result.text = output.text();
  return result;
}

}  // namespace hone::infer
