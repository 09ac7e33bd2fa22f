// hone run MODEL [--adapter DIR] ["prompt"]
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/chat.h"
#include "apps/verb.h"
#include "base/error.h"
#include "base/text_encoding.h"
#include "infer/generate.h"
#include "recipes/run_chat.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"
#include "serve/models/penalties.h"
#include "store/parameters.h"
#include "text/unicode.h"

namespace hone::apps {
namespace {

// All of standard input, which is text: UTF-8, or UTF-16 with its mark.
std::string read_input() {
  std::string text = decoded_text({std::istreambuf_iterator<char>(std::cin), {}}, "standard input");
  if (text.find('\0') != std::string::npos || !text::utf8_valid(text))
    throw Error(ErrorCode::kInvalidInput, "standard input", "is not text in UTF-8, nor in UTF-16 with a byte order mark", "convert it first: iconv -f … -t utf-8");
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// What a pipe or a file brings besides the prompt of the command line; empty for a terminal and for /dev/null.
std::string read_piped() {
  struct stat info {};
  if (::fstat(STDIN_FILENO, &info) != 0 || !(S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode) || S_ISSOCK(info.st_mode))) return {};
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  constexpr int kPatience = 2000;  // milliseconds; a program that left its end of the pipe open would be waited for in silence
  if (::poll(&input, 1, kPatience) == 0) fmt::print(stderr, "note: waiting for standard input to end; < /dev/null leaves it out\n");
  std::string text = read_input();
  if (!text.empty()) fmt::print(stderr, "note: standard input ({} bytes) stands before the prompt; < /dev/null leaves it out\n", text.size());
  return text;
}

// The words of the command line, behind what a pipe brings.
std::string prompt_of(const std::vector<std::string>& words) {
  if (words.empty() || words == std::vector<std::string>{"-"}) {
    std::string text = read_input();
    if (text.empty()) throw Error(ErrorCode::kInvalidInput, "standard input", "it brings no prompt", "write hone run MODEL \"prompt\"");
    return text;
  }
  const std::string piped = read_piped();
  return (piped.empty() ? "" : piped + "\n\n") + fmt::format("{}", fmt::join(words, " "));
}

// What the model's files and its PARAMETER lines say, where the command line says nothing.
void take_parameters(const nlohmann::ordered_json& parameters, const CLI::App& verb, infer::GenerateOptions& options, serve::PenaltyOptions& penalties, int64_t& context) {
  auto& sampler = options.sampler;
  const auto take = [&](const char* name, const char* option, auto& to) {
    const auto it = parameters.find(name);
    if (it != parameters.end() && it->is_number() && verb.count(option) == 0) to = it->get<std::decay_t<decltype(to)>>();
  };
  take("temperature", "--temperature", sampler.temperature);
  take("top_k", "--top-k", sampler.top_k);
  take("top_p", "--top-p", sampler.top_p);
  take("min_p", "--min-p", sampler.min_p);
  take("repeat_penalty", "--repeat-penalty", sampler.repeat_penalty);
  if (verb.count("--top-k") == 0) sampler.top_k = std::max(sampler.top_k, 0);
  if (verb.count("--top-p") == 0) sampler.top_p = std::max(sampler.top_p, 1e-6f);
  if (parameters.value("seed", int64_t{0}) != -1) take("seed", "--seed", sampler.seed);
  if (const auto last = parameters.find("repeat_last_n"); last != parameters.end()) sampler.repeat_last_n = last->get<int32_t>() < 0 ? INT32_MAX : last->get<int32_t>();
  penalties.presence = parameters.value("presence_penalty", 0.0f);
  penalties.frequency = parameters.value("frequency_penalty", 0.0f);
  context = parameters.value("num_ctx", int64_t{0});
  const auto tokens = parameters.find("num_predict");
  if (tokens != parameters.end() && tokens->is_number_integer() && tokens->get<int64_t>() > 0 && verb.count("--max-tokens") == 0) options.max_tokens = tokens->get<int64_t>();
  if (verb.count("--stop") == 0)
    for (const auto& [name, value] : store::parameter_lines(parameters))
      if (name == "stop" && !value.empty()) options.stop.push_back(value);
}

std::optional<bool> think_of(const std::string& word) {
  if (word == "true") return true;
  return word == "false" ? std::optional(false) : std::nullopt;
}

// What a conversation samples with: the defaults of this verb, and what the command line says.
void take_options(const infer::GenerateOptions& generate, const CLI::App& verb, ChatOptions& chat) {
  const auto& sampler = generate.sampler;
  const auto number = [](float value) { return std::round(static_cast<double>(value) * 1e6) / 1e6; };  // 0.7, as people see it
  const std::tuple<const char*, const char*, serve::Json> all[] = {{"temperature", "--temperature", number(sampler.temperature)}, {"top_k", "--top-k", sampler.top_k}, {"top_p", "--top-p", number(sampler.top_p)},
                                                                   {"min_p", "--min-p", number(sampler.min_p)}, {"repeat_penalty", "--repeat-penalty", number(sampler.repeat_penalty)}};
  for (const auto& [name, option, value] : all) (verb.count(option) > 0 ? chat.options : chat.defaults)[name] = value;
  if (verb.count("--seed") > 0) chat.options["seed"] = sampler.seed;
  if (verb.count("--max-tokens") > 0) chat.options["num_predict"] = generate.max_tokens;
  if (!generate.stop.empty()) chat.options["stop"] = generate.stop;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model, adapter, system, chat_template;
    std::vector<std::string> prompt;
    infer::GenerateOptions generate;
    std::string think;
    bool raw = false, json = false, verbose = false, f32 = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("run", "Answer a prompt, or talk in the terminal");
  auto& sampler = a->generate.sampler;
  verb->add_option("model", a->model, "GGUF file, Hugging Face folder, or a name under $HONE_MODELS")->required();
  verb->add_option("prompt", a->prompt, "what to answer, in one word or several; what a pipe brings stands before it; - or nothing: only that. Without both: a conversation in the terminal");
  verb->add_option("--adapter", a->adapter, "a run's folder (its best is taken) or an adapter");
  verb->add_option("--system", a->system, "system message");
  verb->add_option("--chat-template", a->chat_template, "a Jinja file or a known name, instead of the model's own");
  verb->add_flag("--raw", a->raw, "no chat template: go on with the prompt as it is");
  verb->add_option("--max-tokens", a->generate.max_tokens, "of the answer")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  verb->add_option("--temperature", sampler.temperature, "0: always the most likely token")->capture_default_str();
  verb->add_option("--top-k", sampler.top_k, "0: no limit")->capture_default_str();
  verb->add_option("--top-p", sampler.top_p, "")->capture_default_str();
  verb->add_option("--min-p", sampler.min_p, "")->capture_default_str();
  verb->add_option("--repeat-penalty", sampler.repeat_penalty, "")->capture_default_str();
  verb->add_option("--seed", sampler.seed, "")->capture_default_str();
  verb->add_option("--stop", a->generate.stop, "text that ends the answer; may be given again")->allow_extra_args(false);
  verb->add_option("--think", a->think, "reasoning: true, false, or hide (not shown); default: as the model does")->check(CLI::IsMember({"true", "false", "hide"}));
  verb->add_flag("--f32", a->f32, "compute in f32 instead of bf16");
  verb->add_flag("--json", a->json, "one JSON object at the end instead of streaming");
  verb->add_flag("--verbose", a->verbose, "speed, after the answer");
  verb->callback([a, verb, &action] {
    action = [a, verb] {
      watch_signals();
      const auto tuned = a->adapter.empty() ? std::filesystem::path() : recipes::tuned_folder(a->adapter);
      for (const std::string& note : recipes::tuned_notes(tuned)) fmt::print(stderr, "note: {}\n", note);
      if (verb->count("prompt") == 0 && ::isatty(STDIN_FILENO) != 0) {
        if (a->json || a->raw || ::isatty(STDOUT_FILENO) == 0) throw Error(ErrorCode::kInvalidInput, "prompt", "there is none, and a conversation needs a terminal", "write hone run MODEL \"prompt\"");
        ChatOptions options{.model = a->model, .adapter = a->adapter, .system = a->system, .chat_template = a->chat_template, .verbose = a->verbose, .f32 = a->f32};
        take_options(a->generate, *verb, options);
        return chat(std::move(options));
      }
      const std::string asked = prompt_of(a->prompt);
      recipes::ModelFiles files = recipes::open_model(a->model, a->chat_template, recipes::TemplateChoice::kStored);
      recipes::take_run_chat(files, recipes::read_run_chat(tuned));
      for (const std::string& note : files.notes) fmt::print(stderr, "note: {}\n", note);
      serve::PenaltyOptions penalties;
      int64_t context = 0;
      std::vector<std::string> notes;
      take_parameters(files.parameters(notes), *verb, a->generate, penalties, context);
      for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
      infer::check(a->generate.sampler);
      models::LoadOptions load;
      load.activation = a->f32 ? DType::kF32 : DType::kBF16;
      load.panels = true;
      infer::EngineOptions options;
      options.max_batch = 1;
      infer::Engine engine(std::make_shared<models::CausalLm>(recipes::load_tuned(files, load, tuned)), files.tokenizer, options);
      std::vector<int32_t> prompt;
      text::SplitOptions split;
      if (a->raw) {
        prompt = files.encode_text(asked);
      } else {
        text::Json messages = text::Json::array();
        if (verb->count("--system") == 0) {
          const auto trained = recipes::tuned_system(tuned);
          if (trained) fmt::print(stderr, "note: system message of the training rows: {} (--system changes it)\n", recipes::quoted_beginning(*trained));
          a->system = trained ? *trained : files.stored ? files.stored->system.value_or("") : "";
        }
        if (!a->system.empty()) messages.push_back({{"role", "system"}, {"content", a->system}});
        if (files.stored)
          for (const store::ChatMessage& m : files.stored->messages) messages.push_back({{"role", m.role}, {"content", m.content}});
        messages.push_back({{"role", "user"}, {"content", asked}});
        auto turn = files.turn_prompt(messages, files.render_options(), think_of(a->think));
        prompt = std::move(turn.ids);
        split = files.split_options(turn.inside);
      }
      a->generate.stop_ids = files.stop_ids;
      if (const auto size = static_cast<int64_t>(prompt.size()); context > 0) {
        if (size >= context) throw Error(ErrorCode::kInvalidInput, "prompt", fmt::format("{} tokens leave no room in the model's num_ctx of {}", size, context), "shorten it, or create the model with a larger num_ctx");
        a->generate.max_tokens = std::min(a->generate.max_tokens, context - size);
      }
      infer::Request request;
      if (penalties.any()) request.filter = std::make_shared<serve::Penalties>(penalties, nullptr);
      request.prompt = std::move(prompt);
      request.options = a->generate;
      text::AnswerSplitter splitter(split);
      text::AnswerPart whole;
      const auto show = [&](const text::AnswerPart& part) {
        whole.thinking += part.thinking;
        whole.content += part.content;
        if (a->json) return;
        // What a script reads is the answer; the reasoning goes to people.
        if (a->think != "hide") std::fwrite(part.thinking.data(), 1, part.thinking.size(), stderr);
        if (!part.content.empty() && whole.content.size() == part.content.size() && !whole.thinking.empty() && a->think != "hide") fmt::print(stderr, "\n\n");
        std::fwrite(part.content.data(), 1, part.content.size(), stdout);
        std::fflush(stdout);
      };
      const auto result = infer::generate(engine, std::move(request), [&](std::string_view piece) {
        show(splitter.push(piece));
        return !interrupted() && std::ferror(stdout) == 0;
      }, interrupted);
      show(splitter.finish());
      const double decoded = static_cast<double>(result.ids.size());
      if (a->json) {
        const char* finish = result.finish == infer::Finish::kStop ? "stop" : result.finish == infer::Finish::kLength ? "length" : "cancelled";
        nlohmann::ordered_json json = {{"text", whole.content}, {"ids", result.ids}, {"finish", finish}, {"prompt_tokens", result.prompt_tokens},
                                                  {"prefill_seconds", result.prefill_seconds}, {"decode_seconds", result.decode_seconds}};
        if (!whole.thinking.empty()) json["thinking"] = whole.thinking;
        fmt::print("{}\n", json.dump());
      } else {
        fmt::print("\n");
      }
      if (a->verbose)
        fmt::print(stderr, "prompt {} tokens, {:.1f} tok/s; answer {} tokens, {:.1f} tok/s\n", result.prompt_tokens,
                   static_cast<double>(result.prompt_tokens) / result.prefill_seconds, result.ids.size(), decoded / std::max(1e-9, result.decode_seconds));
      return result.finish == infer::Finish::kCancelled && interrupted() ? 130 : 0;
    };
  });
}

}  // namespace hone::apps
