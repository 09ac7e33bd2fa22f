#include "recipes/answers.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/disk.h"
#include "base/file.h"
#include "data/chat_message.h"
#include "data/dataset.h"
#include "io/atomic_file.h"
#include "text/unicode.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

std::string hash_of(std::string_view bytes) { return fmt::format("{:016x}", data::row_hash(bytes, 0)); }

std::string question_key(const Question& question) {
  return hash_of({reinterpret_cast<const char*>(question.prompt.data()), question.prompt.size() * sizeof(int32_t)});
}

// A file, or every file of a folder, in order.
std::vector<fs::path> files_of(const fs::path& path) {
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
  } else if (!path.empty()) {
    files.push_back(path);
  }
  return files;
}

std::string size_and_time(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error).time_since_epoch().count();
  return fmt::format("{}|{}|{}\n", fs::weakly_canonical(file).string(), fs::file_size(file, error), time);
}

std::string content(const fs::path& file) { return fmt::format("{}|{}\n", file.filename().string(), io::sha256_of_file(file)); }

// An answer as one text.
std::string joined(const std::string& content, const std::string& reasoning, const std::vector<text::ToolCall>& calls) {
  std::string all = data::inline_reasoning({{"content", content}, {"reasoning_content", reasoning}});
  for (const text::ToolCall& call : calls) all += (all.empty() ? "" : "\n") + dump({{"name", call.name}, {"arguments", call.arguments}});
  return all;
}

// The last answer of a chat, behind the prompt that inference renders for it.
void ask_for_last(Question& q, const data::Example& example, const ModelFiles& files) {
  const text::Json& answer = example.messages.back();
  std::vector<text::ToolCall> calls;
  if (answer.contains("tool_calls"))
    for (const text::Json& call : answer["tool_calls"]) calls.push_back({call["function"]["name"], call["function"]["arguments"]});
  const std::string reasoning = answer.value("reasoning_content", ""), content = answer.value("content", "");
  q.expected = joined(content, q.reasoning ? reasoning : "", calls);
  q.tokens = static_cast<int64_t>(files.tokenizer.encode(joined(content, reasoning, calls)).size());
  text::Json before = example.messages;
  before.erase(before.size() - 1);
  for (text::Json& message : before) message.erase("weight");
  q.prompt_text = before.empty() ? "" : before.back().value("content", "");
  text::RenderOptions options = files.render_options();
  options.tools = example.tools;
  // A template that does not reason unless it is asked to is asked to.
  const auto think = !reasoning.empty() && files.reasoning.closed ? std::optional(true) : std::nullopt;
  auto prompt = files.turn_prompt(before, options, think);
  q.prompt = std::move(prompt.ids);
  q.split = files.split_options(prompt.inside, /*tools=*/!example.tools.is_null() || !calls.empty());
  q.split.thinking = q.split.thinking || !reasoning.empty();
}

}  // namespace

std::string compared_text(const Question& question, std::string_view answer) {
  text::AnswerSplitter splitter(question.split);
  text::AnswerPart part = splitter.push(answer);
  text::AnswerPart rest = splitter.finish();
  part.calls.insert(part.calls.end(), std::make_move_iterator(rest.calls.begin()), std::make_move_iterator(rest.calls.end()));
  return joined(part.content + rest.content, question.reasoning ? part.thinking + rest.thinking : "", part.calls);
}

std::vector<Question> questions_of(const data::DatasetConfig& file, const Config& config, const ModelFiles& files, int64_t limit) {
  std::vector<Question> questions;
  const data::Dataset dataset(file, config.data, 0, /*validation_only=*/true);
  for (uint64_t row = 0; row < dataset.rows() && (limit <= 0 || static_cast<int64_t>(questions.size()) < limit); ++row) {
    data::Example example;
    if (dataset.read(row, example)) continue;  // malformed rows were counted when the file was opened
    while (example.messages.size() > 1 && example.messages.back()["role"] != "assistant") example.messages.erase(example.messages.size() - 1);  // kept turns that nobody answers
    Question q;
    q.where = dataset.where(row);
    q.reasoning = config.eval.reasoning;
    if (example.kind == data::Example::Kind::kChat && files.chat) {
      ask_for_last(q, example, files);
    } else if (example.kind == data::Example::Kind::kCompletion) {
      q.expected = example.completion;
      q.prompt_text = example.prompt;
      q.prompt = files.encode_text(example.prompt);
      q.tokens = static_cast<int64_t>(files.tokenizer.encode(example.completion).size());
    } else {
      continue;
    }
    questions.push_back(std::move(q));
  }
  return questions;
}

const std::string& program_digest() {
  static const std::string digest = io::sha256_of_file("/proc/self/exe");
  return digest;
}

std::string answer_key(const AnswerOrigin& o) {
  const infer::SamplerOptions& s = o.generate.sampler;
  std::string out = fmt::format("{}|{}|{}|{}|{}\n", o.program, o.isa, name(o.load.activation), static_cast<int>(o.load.base), o.load.train_all);
  out += fmt::format("{}|{}|{}|{}|{}|{}|{}\n", s.temperature, s.top_k, s.top_p, s.min_p, s.repeat_penalty, s.repeat_last_n, s.seed);
  out += fmt::format("{}|{}|{}\n", o.generate.max_tokens, fmt::join(o.generate.stop_ids, ","), fmt::join(o.generate.stop, ","));
  out += o.reasoning ? "reasoning\n" : "";
  for (const fs::path& file : files_of(o.base)) out += size_and_time(file);
  for (const fs::path& adapter : o.adapters)
    for (const fs::path& file : files_of(adapter)) out += content(file);
  out += "tuned\n";
  for (const fs::path& file : files_of(o.tuned)) out += content(file);
  return hash_of(out);
}

AnswerFile::AnswerFile(fs::path path, std::string key) : path_(std::move(path)), key_(std::move(key)) {
  std::string before;
  if (fs::exists(path_)) before = read_file(path_);
  const size_t whole = before.rfind('\n') == std::string::npos ? 0 : before.rfind('\n') + 1;  // a torn last line is cut off
  for (size_t at = 0; at < whole;) {
    const size_t end = before.find('\n', at);
    const auto line = nlohmann::json::parse(before.begin() + static_cast<std::ptrdiff_t>(at), before.begin() + static_cast<std::ptrdiff_t>(end), nullptr, /*allow_exceptions=*/false);
    at = end + 1;
    if (line.is_object() && line.contains("answer") && line["answer"].is_string() && line.value("key", nlohmann::json()) == key_ && line.contains("question") && line["question"].is_string())
      known_[line["question"]] = line["answer"];
  }
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0 || (whole < before.size() && ::ftruncate(file_, static_cast<off_t>(whole)) != 0)) throw write_error(path_, "open it", errno);
}

AnswerFile::~AnswerFile() { ::close(file_); }

const std::string* AnswerFile::find(const Question& question) const {
  const auto it = known_.find(question_key(question));
  return it == known_.end() ? nullptr : &it->second;
}

void AnswerFile::add(const Question& question, const std::string& answer) {
  const std::string id = question_key(question);
  const nlohmann::ordered_json entry = {{"where", question.where}, {"prompt", question.prompt_text}, {"expected", question.expected}, {"answer", answer}, {"key", key_}, {"question", id}};
  write_all(file_, entry.dump() + "\n", path_, "write to it");
  known_[id] = answer;
}

void answer_all(const std::shared_ptr<const models::CausalLm>& model, const ModelFiles& files, std::span<const Question> questions, const infer::GenerateOptions& options, const std::function<bool()>& interrupted,
                const std::function<void(size_t question, const std::string& answer)>& on_answer) {
  std::vector<infer::Request> requests;
  for (const Question& question : questions) requests.emplace_back().prompt = question.prompt, requests.back().options = options;
  infer::EngineOptions engine_options;
  infer::Engine engine(model, files.tokenizer, engine_options);
  bool stopped = false;
  const auto asked_to_stop = [&] { return stopped = stopped || (interrupted && interrupted()); };
  const auto take = [&](size_t i, const infer::Generation& answer) {
    if (asked_to_stop()) return false;
    on_answer(i, compared_text(questions[i], text::utf8_replace_bad(answer.text)));
    return true;
  };
  infer::generate_all(engine, std::move(requests), engine_options.max_batch, take, asked_to_stop);
  if (stopped) throw Error(ErrorCode::kInterrupted, "eval", "interrupted", "the same command goes on where it stopped");
}

}  // namespace hone::recipes
