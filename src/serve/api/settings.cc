#include "serve/api/settings.h"

#include <algorithm>
#include <charconv>
#include <random>

#include "base/error.h"
#include "serve/api/notes.h"
#include "store/parameters.h"

namespace hone::serve {
namespace {

using store::kMaxStopBytes, store::kMaxStops, store::kMaxTokens;
constexpr size_t kMaxBiases = 1024;

void take_stops(const Fields& fields, const char* name, std::vector<std::string>& stops) {
  if (!fields.has(name)) return;
  stops = fields.strings(name, kMaxStops);
  std::erase_if(stops, [](const std::string& stop) { return stop.empty(); });
  for (const std::string& stop : stops)
    if (stop.size() > kMaxStopBytes) fields.refuse(name, fmt::format("texts of at most {} bytes", kMaxStopBytes));
}

// What is not read: refused where it would change answers, else told of, as the table of parameters says.
void look_at_others(const Json& options, const Fields& fields) {
  for (const auto& [name, value] : options.items()) {
    const store::Parameter* p = store::find_parameter(name);
    if (value.is_null() || (p && p->effect == store::ParameterEffect::kRead)) continue;
    const auto neutral = [&] { return value.is_boolean() ? value.get<bool>() == (p->neutral != 0) : value.is_number() && value.get<double>() == p->neutral; };
    if (!p) note_once(fmt::format("the option {} of a request is unknown and has no effect ({})", dump(name.substr(0, 40)), store::parameter_hint(name.substr(0, 40))));
    else if (p->effect == store::ParameterEffect::kPassedOver && !neutral()) note_once(fmt::format("the option {} of a request is passed over, as by Ollama: {}", name, p->meaning));
    else if (p->effect == store::ParameterEffect::kRefused && !neutral())
      throw Error(ErrorCode::kUnsupported, fields.path(name.c_str()), fmt::format("only {} is possible: {}", p->neutral, p->meaning));
  }
}

void take_penalties(const Fields& fields, PenaltyOptions& penalties) {
  if (const auto value = fields.number("presence_penalty", -2, 2)) penalties.presence = static_cast<float>(*value);
  if (const auto value = fields.number("frequency_penalty", -2, 2)) penalties.frequency = static_cast<float>(*value);
}

// {"50256": -100}: token ids as text, −100 to 100.
void take_bias(const Json& bias, PenaltyOptions& penalties) {
  if (bias.size() > kMaxBiases) throw Error(ErrorCode::kInvalidInput, "logit_bias", fmt::format("at most {} tokens", kMaxBiases));
  const Fields fields(bias, "logit_bias");
  for (const auto& [token, value] : bias.items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), id);
    if (error != std::errc() || end != token.data() + token.size() || id < 0) throw Error(ErrorCode::kInvalidInput, "logit_bias", fmt::format("expected token ids as names, found {}", dump(token)));
    penalties.bias[id] = static_cast<float>(fields.number(token.c_str(), -100, 100).value_or(0));
  }
}

void take_seed(const Fields& fields, infer::SamplerOptions& sampler) {
  if (const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX); seed && *seed != -1) sampler.seed = static_cast<uint64_t>(*seed);
}

void take_common(const Fields& fields, infer::SamplerOptions& sampler) {
  if (const auto value = fields.number("temperature", 0, 100)) sampler.temperature = static_cast<float>(*value);
  if (const auto value = fields.integer("top_k", -1, INT32_MAX)) sampler.top_k = static_cast<int32_t>(std::max<int64_t>(*value, 0));
  if (const auto value = fields.number("top_p", 0, 1)) sampler.top_p = std::max(static_cast<float>(*value), 1e-6f);
  if (const auto value = fields.number("min_p", 0, 1)) sampler.min_p = static_cast<float>(*value);
  take_seed(fields, sampler);
}

void take_ollama(const Json& options, Settings& settings) {
  const Fields fields(options, "options");
  infer::SamplerOptions& sampler = settings.generate.sampler;
  take_common(fields, sampler);
  if (const auto value = fields.number("repeat_penalty", 1e-3, 10)) sampler.repeat_penalty = static_cast<float>(*value);
  if (const auto value = fields.integer("repeat_last_n", -1, INT32_MAX)) sampler.repeat_last_n = *value < 0 ? INT32_MAX : static_cast<int32_t>(*value);
  if (const auto value = fields.integer("num_predict", -2, kMaxTokens)) settings.max_tokens = *value > 0 ? *value : -1;
  if (const auto value = fields.integer("num_ctx", 0, kMaxTokens)) settings.context = *value;
  take_stops(fields, "stop", settings.generate.stop);
  take_penalties(fields, settings.penalties);
  look_at_others(options, fields);
}

}  // namespace

uint64_t random_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

Settings ollama_settings(const Json& defaults, const Json& options) {
  Settings settings;
  settings.generate.sampler = {.temperature = 0.8f, .top_k = 40, .top_p = 0.9f, .min_p = 0, .repeat_penalty = 1.1f, .repeat_last_n = 64, .seed = random_seed()};
  for (const Json* some : {&defaults, &options})
    if (!some->is_null()) take_ollama(*some, settings);
  return settings;
}

Settings openai_settings(const Json& defaults, const Fields& request) {
  Settings settings;
  infer::SamplerOptions& sampler = settings.generate.sampler;
  sampler = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .repeat_last_n = 64, .seed = random_seed()};
  if (defaults.is_object()) take_ollama(defaults, settings);
  take_common(request, sampler);
  for (const char* name : {"repetition_penalty", "repeat_penalty"})
    if (const auto value = request.number(name, 1e-3, 10)) sampler.repeat_penalty = static_cast<float>(*value);
  for (const char* name : {"max_tokens", "max_completion_tokens"})
    if (const auto value = request.integer(name, 0, kMaxTokens)) settings.max_tokens = *value;
  take_stops(request, "stop", settings.generate.stop);
  take_penalties(request, settings.penalties);
  if (const Json* bias = request.object("logit_bias")) take_bias(*bias, settings.penalties);
  return settings;
}

Settings anthropic_settings(const Json& defaults, const Fields& request) {
  Settings settings;
  settings.generate.sampler = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .repeat_last_n = 64, .seed = random_seed()};
  if (defaults.is_object()) take_ollama(defaults, settings);
  take_common(request, settings.generate.sampler);
  const auto tokens = request.integer("max_tokens", 1, kMaxTokens);
  if (!tokens) throw Error(ErrorCode::kInvalidInput, "max_tokens", "expected how many tokens the answer may have", "every request needs it");
  settings.max_tokens = *tokens;
  take_stops(request, "stop_sequences", settings.generate.stop);
  return settings;
}

std::shared_ptr<infer::TokenFilter> filter_of(const Settings& settings, std::shared_ptr<infer::TokenFilter> json) {
  if (!settings.penalties.any()) return json;
  return std::make_shared<Penalties>(settings.penalties, std::move(json));
}

int64_t context_of(const Settings& settings, int64_t model_context) {
  return settings.context > 0 ? std::min(settings.context, model_context) : model_context;
}

int64_t room(const Settings& settings, int64_t prompt, int64_t context) {
  const int64_t left = std::max<int64_t>(context - prompt, 0);
  return settings.max_tokens >= 0 ? std::min(settings.max_tokens, left) : left;
}

}  // namespace hone::serve
