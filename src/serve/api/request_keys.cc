#include "serve/api/request_keys.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "serve/api/notes.h"

namespace hone::serve {
namespace {

using enum KeyUse;

template <size_t N, size_t M>
constexpr std::array<KnownKey, N + M> joined(const std::array<KnownKey, N>& some, const std::array<KnownKey, M>& more) {
  std::array<KnownKey, N + M> all{};
  std::copy(some.begin(), some.end(), all.begin());
  std::copy(more.begin(), more.end(), all.begin() + N);
  return all;
}

constexpr auto kSampling = std::to_array<KnownKey>({
    {"model", kRead, ""},
    {"stream", kRead, ""},
    {"temperature", kRead, ""},
    {"top_p", kRead, ""},
    {"top_k", kRead, ""},
    {"min_p", kRead, ""},
    {"seed", kRead, ""},
});

constexpr std::string_view kBySchema = "response_format holds answers to a schema", kNotBuilt = "it is not built in";

// OpenAI's, and what vLLM, llama.cpp and others add to them.
constexpr auto kOpenAi = joined(kSampling, std::to_array<KnownKey>({
    {"stream_options", kRead, ""},
    {"keep_alive", kRead, "as Ollama's"},
    {"n", kRead, ""},
    {"max_tokens", kRead, ""},
    {"stop", kRead, ""},
    {"presence_penalty", kRead, ""},
    {"frequency_penalty", kRead, ""},
    {"repetition_penalty", kRead, ""},
    {"repeat_penalty", kRead, "the same"},
    {"logit_bias", kRead, ""},
    {"logprobs", kRead, ""},
    {"response_format", kRead, ""},
    {"user", kNoEffect, ""},
    {"metadata", kNoEffect, ""},
    {"store", kNoEffect, "nothing is kept"},
    {"service_tier", kNoEffect, ""},
    {"safety_identifier", kNoEffect, ""},
    {"prompt_cache_key", kNoEffect, ""},
    {"prompt_cache_retention", kNoEffect, ""},
    {"cache_prompt", kNoEffect, "prompts that begin alike are shared anyway"},
    {"id_slot", kNoEffect, ""},
    {"priority", kNoEffect, ""},
    {"guided_*", kRefused, kBySchema},
    {"structured_outputs", kRefused, kBySchema},
    {"json_schema", kRefused, kBySchema},
    {"grammar", kRefused, kBySchema, "\"\""},
    {"ignore_eos", kRefused, "answers end where the model ends them", "false"},
    {"min_tokens", kRefused, "answers end where the model ends them", "0"},
    {"stop_token_ids", kRefused, "write the texts as stop", "[]"},
    {"use_beam_search", kRefused, "answers are sampled", "false"},
    {"length_penalty", kRefused, "it belongs to beam search", "1"},
    {"typical_p", kRefused, kNotBuilt, "1"},
    {"tfs_z", kRefused, kNotBuilt, "1"},
    {"dry_multiplier", kRefused, kNotBuilt, "0"},
    {"dry_*", kNoEffect, "without dry_multiplier"},
    {"xtc_probability", kRefused, kNotBuilt, "0"},
    {"xtc_threshold", kNoEffect, "without xtc_probability"},
    {"dynatemp_range", kRefused, kNotBuilt, "0"},
    {"dynatemp_exponent", kNoEffect, "without dynatemp_range"},
    {"mirostat", kTold, "as by Ollama", "0"},
    {"mirostat_*", kNoEffect, "without mirostat"},
    {"samplers", kTold, "their order is hone's own"},
}));

constexpr auto kChatCompletion = joined(kOpenAi, std::to_array<KnownKey>({
    {"messages", kRead, ""},
    {"max_completion_tokens", kRead, ""},
    {"top_logprobs", kRead, ""},
    {"tools", kRead, ""},
    {"tool_choice", kRead, ""},
    {"parallel_tool_calls", kRead, ""},
    {"functions", kRefused, "the old form of tools; use tools", "[]"},
    {"function_call", kRefused, "the old form of tool_choice; use tool_choice", "\"auto\" \"none\""},
    {"prediction", kRead, ""},
    {"reasoning_effort", kRead, "none and minimal: no reasoning; low, medium, high, xhigh and max: reasoning"},
    {"thinking", kRead, "as DeepSeek's and Anthropic's: {\"type\": \"enabled\" or \"disabled\"}"},
    {"enable_thinking", kRead, "as Qwen's: reasoning or not"},
    {"chat_template_kwargs", kRead, ""},
    {"verbosity", kNoEffect, "models here do not know it"},
    {"modalities", kRefused, "answers are text", "[\"text\"]"},
    {"audio", kRefused, "answers are text"},
    {"web_search_options", kRefused, "nothing is searched"},
    {"add_generation_prompt", kNoEffect, "an answer is always asked for"},
    {"continue_final_message", kRead, "a last message of the assistant is gone on with, unless this says false"},
}));

constexpr auto kCompletion = joined(kOpenAi, std::to_array<KnownKey>({
    {"prompt", kRead, ""},
    {"suffix", kRead, ""},
    {"echo", kRead, ""},
    {"best_of", kRead, "only the value of n"},
}));

constexpr auto kResponse = joined(kSampling, std::to_array<KnownKey>({
    {"input", kRead, ""},
    {"instructions", kRead, ""},
    {"max_output_tokens", kRead, ""},
    {"keep_alive", kRead, "as Ollama's"},
    {"text", kRead, "its format"},
    {"tools", kRead, ""},
    {"tool_choice", kRead, ""},
    {"parallel_tool_calls", kRead, ""},
    {"reasoning", kRead, "its effort: none and minimal: no reasoning; low, medium, high, xhigh and max: reasoning"},
    {"truncation", kRead, ""},
    {"include", kRead, "log probabilities are refused"},
    {"top_logprobs", kRefused, "responses come without log probabilities; use /v1/chat/completions", "0"},
    {"background", kRefused, "nothing is kept between requests; use stream", "false"},
    {"previous_response_id", kRefused, "nothing is kept between requests; send the whole conversation as input"},
    {"conversation", kRefused, "nothing is kept between requests; send the whole conversation as input"},
    {"prompt", kRefused, "nothing is kept between requests; send the whole conversation as input"},
    {"presence_penalty", kRead, ""},
    {"frequency_penalty", kRead, ""},
    {"store", kNoEffect, "nothing is kept"},
    {"user", kNoEffect, ""},
    {"metadata", kNoEffect, "it is sent back"},
    {"service_tier", kNoEffect, ""},
    {"safety_identifier", kNoEffect, ""},
    {"prompt_cache_key", kNoEffect, ""},
    {"prompt_cache_retention", kNoEffect, ""},
    {"stream_options", kNoEffect, ""},
    {"max_tool_calls", kNoEffect, "of tools that run at OpenAI"},
}));

constexpr auto kMessage = joined(kSampling, std::to_array<KnownKey>({
    {"messages", kRead, ""},
    {"system", kRead, ""},
    {"max_tokens", kRead, ""},
    {"stop_sequences", kRead, ""},
    {"tools", kRead, ""},
    {"tool_choice", kRead, ""},
    {"thinking", kRead, ""},
    {"output_config", kRead, "its format"},
    {"output_format", kRead, "the older form of output_config.format"},
    {"metadata", kNoEffect, ""},
    {"service_tier", kNoEffect, ""},
    {"inference_geo", kNoEffect, ""},
    {"speed", kNoEffect, ""},
    {"cache_control", kNoEffect, "prompts that begin alike are shared anyway"},
    {"betas", kNoEffect, ""},
    {"context_management", kTold, "the conversation is taken as it is sent"},
    {"container", kRefused, "it runs at Anthropic"},
    {"mcp_servers", kRefused, "it runs at Anthropic", "[]"},
}));

constexpr auto kOllama = std::to_array<KnownKey>({
    {"model", kRead, ""},
    {"name", kRead, "the older form of model"},
    {"stream", kRead, ""},
    {"format", kRead, ""},
    {"options", kRead, ""},
    {"keep_alive", kRead, ""},
    {"think", kRead, ""},
    {"logprobs", kRead, ""},
    {"top_logprobs", kRead, ""},
    {"truncate", kRead, "false: a conversation that is too long is an error"},
    {"shift", kNoEffect, "an answer ends where the context does"},
});

constexpr auto kOllamaChat = joined(kOllama, std::to_array<KnownKey>({
    {"messages", kRead, ""},
    {"tools", kRead, ""},
    {"tool_choice", kRead, "as OpenAI's"},
    {"parallel_tool_calls", kRead, "as OpenAI's"},
}));

constexpr auto kOllamaGenerate = joined(kOllama, std::to_array<KnownKey>({
    {"prompt", kRead, ""},
    {"suffix", kRead, ""},
    {"system", kRead, ""},
    {"template", kRead, ""},
    {"context", kRead, ""},
    {"raw", kRead, ""},
    {"images", kRefused, "these models read text only", "[]"},
}));

constexpr auto kOllamaCreate = std::to_array<KnownKey>({
    {"model", kRead, ""},
    {"name", kRead, "the older form of model"},
    {"stream", kRead, ""},
    {"from", kRead, ""},
    {"files", kRead, "in place of from"},
    {"adapters", kRead, ""},
    {"template", kRead, ""},
    {"system", kRead, ""},
    {"parameters", kRead, ""},
    {"messages", kRead, ""},
    {"license", kRead, ""},
    {"quantize", kRead, ""},
    {"quantization", kRefused, "the older form of quantize; use quantize", "\"\""},
    {"modelfile", kRead, "a whole Modelfile, as older clients send it"},
    {"path", kRefused, "a path of the server's machine; send the file to /api/blobs and name it in files", "\"\""},
    {"remote_host", kRefused, "models run here", "\"\""},
    {"renderer", kTold, "the template says how a conversation is written", "\"\""},
    {"parser", kTold, "answers are read by the template's form", "\"\""},
    {"requires", kNoEffect, "a version of Ollama"},
    {"info", kNoEffect, ""},
});

constexpr auto kEmbedding = std::to_array<KnownKey>({
    {"model", kRead, ""},
    {"input", kRead, ""},
    {"dimensions", kRead, ""},
    {"encoding_format", kRead, "float or base64"},
    {"user", kNoEffect, ""},
    {"truncate_prompt_tokens", kRefused, "cut the text before, or use /api/embed with truncate"},
    {"input_type", kRefused, "the prefix that a model wants stands in the text"},
});

constexpr auto kOllamaEmbed = std::to_array<KnownKey>({
    {"model", kRead, ""},
    {"name", kRead, "the older form of model"},
    {"input", kRead, "of /api/embed"},
    {"prompt", kRead, "of /api/embeddings"},
    {"truncate", kRead, ""},
    {"dimensions", kRead, ""},
    {"options", kRead, ""},
    {"keep_alive", kRead, ""},
});

}  // namespace

KeyTable chat_completion_keys() { return kChatCompletion; }
KeyTable completion_keys() { return kCompletion; }
KeyTable response_keys() { return kResponse; }
KeyTable message_keys() { return kMessage; }
KeyTable ollama_chat_keys() { return kOllamaChat; }
KeyTable ollama_generate_keys() { return kOllamaGenerate; }
KeyTable ollama_create_keys() { return kOllamaCreate; }
KeyTable embedding_keys() { return kEmbedding; }
KeyTable ollama_embed_keys() { return kOllamaEmbed; }

void check_keys(KeyTable table, const Json& body, std::string_view route) {
  if (!body.is_object()) return;
  for (const auto& [name, value] : body.items()) {
    const KnownKey* key = find_key(table, name);
    if (!key) note_once(fmt::format("{}: the field {} is unknown and has no effect", route, dump(name.substr(0, 40))));
    if (!key || (key->use != kRefused && key->use != kTold) || is_neutral(*key, value)) continue;
    if (key->use == kRefused)
      throw Error(ErrorCode::kUnsupported, name.substr(0, 64), fmt::format("is not possible here: {}", key->words));
    note_once(fmt::format("{}: the field {} is passed over: {}", route, name, key->words));
  }
}

}  // namespace hone::serve
