// One answer, waited for.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/engine.h"

namespace hone::infer {

struct Generation {
  std::vector<int32_t> ids;  // of the answer, without the stop token
  std::string text;
  Finish finish = Finish::kStop;
  int64_t prompt_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};

/// Submits one request and waits for its end. `on_text` (may be empty) receives the answer in pieces of complete UTF-8, never past a
/// stop string, on the calling thread; returning false cancels. So does `interrupted` (may be empty), which is asked while nothing comes: a
/// long prompt is cancelled before its first token. Throws what submit throws, and the request's own error.
Generation generate(Engine& engine, Request request, const std::function<bool(std::string_view)>& on_text, const std::function<bool()>& interrupted = {});

/// All requests at once; on_answer(i, answer) is called on the calling thread as each ends, in no fixed order; returning false cancels
/// the rest, as `interrupted` does (asked while nothing comes). At most `window` wait in the engine at a time.
void generate_all(Engine& engine, std::vector<Request> requests, int64_t window, const std::function<bool(size_t, Generation)>& on_answer, const std::function<bool()>& interrupted = {});

}  // namespace hone::infer
