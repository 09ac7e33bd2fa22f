#include "apps/chat.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <deque>
#include <mutex>

#include "apps/line_editor.h"
#include "apps/terminal.h"
#include "apps/verb.h"
#include "base/error.h"
#include "recipes/create.h"
#include "recipes/tuned_system.h"
#include "runs/run_store.h"
#include "serve/models/store_catalog.h"
#include "serve/ollama/requests.h"
#include "store/parameters.h"

namespace hone::apps {
namespace {

using serve::Json;
using Command = std::pair<std::string_view, std::string_view>;

volatile std::sig_atomic_t ctrl_c = 0;

// Ctrl-C is noted, and nothing else happens.
void catch_ctrl_c() {
  struct sigaction action {};
  action.sa_handler = [](int) { ctrl_c = 1; };
  sigaction(SIGINT, &action, nullptr);
}

// What a model writes must not steer the terminal.
std::string harmless(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) ++i;
    else if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7F)) shown += text[i];
  }
  return shown;
}

void show(std::string_view text) {
  const std::string shown = harmless(text);
  std::fwrite(shown.data(), 1, shown.size(), stdout);
  std::fflush(stdout);
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n"), end = text.find_last_not_of(" \t\n");
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

// The first word of a text, which is left with the rest.
std::string take_word(std::string& text) {
  text = trimmed(text);
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const std::string word = text.substr(0, end);
  text = trimmed(std::string_view(text).substr(end));
  return word;
}

// Brings one answer from the engine's thread to the terminal's.
class Mailbox : public infer::Receiver {
 public:
  bool on_token(const infer::TokenEvent& event) override {
    const std::lock_guard lock(mutex_);
    text_ += event.text;
    arrived_.notify_one();
    return true;
  }
  void on_done(const infer::Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    text_ += outcome.text;
    outcome_ = outcome;
    arrived_.notify_one();
  }
  /// What came since the last call, after a moment at most; the outcome once all is there.
  std::optional<infer::Outcome> take(std::string& text) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::milliseconds(50), [&] { return !text_.empty() || outcome_; });
    text = std::exchange(text_, {});
    return outcome_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::string text_;
  std::optional<infer::Outcome> outcome_;
};

constexpr Command kCommands[] = {{"/set", "what answers are made with"}, {"/show", "what the model says about itself"}, {"/load NAME", "another model"}, {"/save NAME", "this conversation as a model of the store"},
                                 {"/clear", "begin anew"}, {"/bye", "leave"}, {"/?, /help", "this"}};
constexpr Command kSets[] = {{"/set parameter NAME VALUE", "temperature, top_k, top_p, num_predict, num_ctx, seed, stop …"}, {"/set system TEXT", "the system message"}, {"/set history", "keep typed lines for the next time"},
                             {"/set nohistory", "do not"}, {"/set format json", "answers are one JSON object"}, {"/set noformat", "they need not be"}, {"/set think", "reason first, where the model can"},
                             {"/set nothink", "answer at once"}, {"/set verbose", "speed, after each answer"}, {"/set quiet", "no such line"}};
constexpr Command kShows[] = {{"/show info", "architecture and sizes"}, {"/show license", ""}, {"/show modelfile", ""}, {"/show parameters", ""}, {"/show system", ""}, {"/show template", ""}};

template <size_t N>
void help(const Command (&commands)[N]) {
  for (const auto& [name, what] : commands) fmt::print("  {:<28} {}\n", name, what);
}

class Chat {
 public:
  explicit Chat(ChatOptions options) : options_(std::move(options)), editor_(runs::RunStore::default_path().replace_filename("chat_history"), [] { return ctrl_c || interrupted(); }) {
    open(options_.model, options_.adapter);
    if (!options_.system.empty()) system_ = options_.system;
  }

  int run() {
    std::string text;
    while (!interrupted() && read(text)) {
      if (text.starts_with('/') && text.find('/', 1) >= text.find_first_of(" \n")) {  // not a path
        if (!command(text)) return 0;
      } else if (!text.empty()) {
        answer(text);
      }
    }
    return interrupted() ? 130 : 0;
  }

 private:
  void open(const std::string& name, const std::string& adapter) {
    const std::string tuned = "tuned";
    const std::vector<std::string> models = {name}, adapters = adapter.empty() ? std::vector<std::string>() : std::vector{tuned + "=" + adapter};
    auto named = std::make_unique<serve::LocalCatalog>(models, adapters, std::vector<std::string>());
    if (!options_.chat_template.empty())
      named = std::make_unique<serve::LocalCatalog>(models, adapters, std::vector{named->list().front().name + "=" + options_.chat_template});
    const std::string wanted = adapter.empty() ? named->list().front().name : tuned;
    // The model that was there ends before the next one is loaded: both might not fit.
    lease_.release();
    pool_.reset();
    named_ = std::move(named);
    catalog_ = std::make_unique<serve::StoreCatalog>(*named_);
    serve::PoolOptions pool;
    pool.activation = options_.f32 ? DType::kF32 : DType::kBF16;
    pool.engine.max_batch = 1;
    pool_ = std::make_unique<serve::ModelPool>(*catalog_, pool);
    lease_ = pool_->acquire(wanted, -1.0);
    messages_ = Json::array();
    system_.clear();
    if (const auto system = recipes::tuned_system(lease_->entry.adapter); system && options_.system.empty())
      fmt::print("{}\n", wrapped_line(fmt::format("System message of the training rows: {} (/set system changes it)", recipes::quoted_beginning(*system)), 2));
  }

  // A line, or several between """ and """. False at the end.
  bool read(std::string& text) {
    for (;;) {
      text.clear();
      std::string line;
      const char* prompt = ">>> ";
      bool open = false;
      ctrl_c = 0;
      for (;;) {
        const auto outcome = editor_.read(prompt, line);
        if (outcome == LineEditor::Outcome::kEnd || interrupted()) return false;
        if (outcome == LineEditor::Outcome::kInterrupted) {
          fmt::print("Ctrl-D or /bye leaves.\n");
          open = false;
          text.clear();
          break;
        }
        if (keep_lines_) editor_.remember(line);
        const std::string_view quotes = "\"\"\"";
        if (!open) {
          std::string head = trimmed(line);
          const size_t at = head.find(quotes);
          const bool begins = at == 0 || (at != std::string::npos && head.starts_with("/set system"));
          if (!begins) {
            text = head;
            return true;
          }
          text = head.substr(0, at);
          line = head.substr(at + quotes.size());
          open = true;
          prompt = "... ";
        } else {
          text += '\n';
        }
        const size_t end = line.find(quotes);
        text += line.substr(0, end);
        if (end == std::string::npos) continue;
        text = trimmed(text);
        return true;
      }
    }
  }

  Json all_options() const {
    Json all = options_.defaults;
    all.update(lease_->entry.parameters);
    all.update(options_.options);
    return all;
  }

  void answer(const std::string& text) try {
    serve::ollama::AnswerRequest request;
    request.chat = true;
    request.model = lease_->entry.name;
    if (!system_.empty()) request.conversation.messages.push_back({{"role", "system"}, {"content", system_}});
    request.conversation.messages.insert(request.conversation.messages.end(), messages_.begin(), messages_.end());
    request.conversation.messages.push_back({{"role", "user"}, {"content", text}});
    request.options = all_options();
    request.format = format_;
    request.think = think_;
    serve::ollama::PreparedAnswer prepared = serve::ollama::prepare(*lease_, request);
    prepared.request.adapter = lease_->adapter;
    serve::Splitter splitter(prepared.split);
    const auto mailbox = std::make_shared<Mailbox>();
    ctrl_c = 0;
    const uint64_t number = lease_->engine().submit(std::move(prepared.request), mailbox);
    std::string said, piece;
    std::optional<infer::Outcome> outcome;
    bool cancelled = false;
    while (!outcome) {
      outcome = mailbox->take(piece);
      print(splitter.push(piece), said);
      if ((ctrl_c || interrupted()) && !std::exchange(cancelled, true)) lease_->engine().cancel(number);
    }
    print(splitter.finish(), said);
    end_thinking();
    fmt::print("\n\n");
    if (outcome->error) throw *outcome->error;
    if (outcome->finish == infer::Finish::kCancelled && said.empty()) return;  // the question does not count either
    messages_.push_back({{"role", "user"}, {"content", text}});
    messages_.push_back({{"role", "assistant"}, {"content", said}});
    if (verbose_)
      fmt::print("prompt {} tokens ({} known), {:.1f} tok/s; answer {} tokens, {:.1f} tok/s\n\n", outcome->prompt_tokens, outcome->reused_tokens,
                 static_cast<double>(outcome->prompt_tokens - outcome->reused_tokens) / std::max(1e-9, outcome->prefill_seconds), outcome->answer_tokens,
                 static_cast<double>(outcome->answer_tokens) / std::max(1e-9, outcome->decode_seconds));
  } catch (const Error& error) {
    complain(error);
  }

  void print(const serve::Part& part, std::string& said) {
    if (!part.thinking.empty() && think_ != false) {
      if (!std::exchange(thinking_, true)) fmt::print("{}Thinking...\n", colours() ? "\033[2m" : "");
      show(part.thinking);
    }
    if (part.content.empty()) return;
    end_thinking();
    show(part.content);
    said += part.content;
  }
  void end_thinking() {
    if (std::exchange(thinking_, false)) fmt::print("\n...done thinking.{}\n\n", colours() ? "\033[0m" : "");
  }

  static void complain(const Error& error) {
    fmt::print("{}: {}\n", error.where(), error.message());
    if (!error.hint().empty()) fmt::print("  {}\n", error.hint());
    fmt::print("\n");
  }

  // False: leave.
  bool command(std::string text) try {
    const std::string verb = take_word(text);
    if (verb == "/bye" || verb == "/exit") return false;
    if (verb == "/?" || verb == "/help") {
      if (text == "set" || text == "/set") help(kSets);
      else if (text == "show" || text == "/show") help(kShows);
      else help(kCommands), fmt::print("\n\"\"\" begins and ends a text of several lines. Ctrl-C stops an answer, Ctrl-D leaves.\n\n");
    } else if (verb == "/clear") {
      messages_ = Json::array();
      fmt::print("Cleared session context\n");
    } else if (verb == "/set") {
      set(text);
    } else if (verb == "/show") {
      show_what(text);
    } else if (verb == "/load") {
      if (text.empty()) throw Error(ErrorCode::kInvalidInput, "/load", "expected the model's name", "hone list shows what is there");
      open(text, "");
      fmt::print("Loaded '{}'\n", lease_->entry.name);
    } else if (verb == "/save") {
      save(text);
    } else {
      throw Error(ErrorCode::kInvalidInput, verb, "there is no such command", "/? lists them");
    }
    return true;
  } catch (const Error& error) {
    complain(error);
    if (!lease_) throw;  // without a model nothing can go on
    return true;
  }

  void set(std::string text) {
    const std::string what = take_word(text);
    if (what == "parameter") {
      const std::string name = take_word(text);
      if (name.empty() || text.empty()) throw Error(ErrorCode::kInvalidInput, "/set parameter", "expected a name and a value", "such as /set parameter temperature 0.5");
      Json changed = options_.options;
      if (name == "stop") {
        changed.erase("stop");
        while (!text.empty()) store::set_parameter(changed, name, take_word(text), "/set parameter");
      } else if (const std::string note = store::set_parameter(changed, name, text, "/set parameter"); !note.empty()) {
        fmt::print("{}\n", note);
        return;
      }
      options_.options = std::move(changed);
      fmt::print("Set parameter '{}' to '{}'\n", name, serve::dump(options_.options[name]));
    } else if (what == "system") {
      system_ = text;
      fmt::print("Set system message.\n");
    } else if (what == "format") {
      if (text != "json") throw Error(ErrorCode::kInvalidInput, "/set format", "expected json", "/set noformat takes it back");
      format_ = text;
      fmt::print("Set format to 'json' mode.\n");
    } else if (what == "noformat") {
      format_ = nullptr;
      fmt::print("Disabled format.\n");
    } else if (what == "think" || what == "nothink") {
      think_ = what == "think";
      if (*think_ && !lease_->files.thinks) fmt::print("warning: {} does not reason\n", lease_->entry.name);
      fmt::print("Set '{}' mode.\n", what);
    } else if (what == "history" || what == "nohistory") {
      keep_lines_ = what == "history";
      fmt::print("{} history.\n", keep_lines_ ? "Keeping" : "Not keeping");
    } else if (what == "verbose" || what == "quiet") {
      verbose_ = what == "verbose";
      fmt::print("Set '{}' mode.\n", what);
    } else {
      if (!what.empty()) fmt::print("There is no setting '{}':\n", what);
      help(kSets);
    }
  }

  void show_what(const std::string& what) {
    const Json model = serve::ollama::described(lease_->entry, /*verbose=*/false);
    const auto text = [&](const char* name, const char* none) {
      const std::string found = model.value(name, "");
      fmt::print("{}\n", found.empty() ? none : found);
    };
    if (what == "info") {
      const Json& details = model["details"];
      for (const auto& [name, value] : {Command("model", lease_->entry.name), Command("architecture", lease_->entry.family)}) fmt::print("  {:<18} {}\n", name, value);
      for (const char* name : {"parameter_size", "quantization_level", "format"}) fmt::print("  {:<18} {}\n", name, details.value(name, ""));
      fmt::print("  {:<18} {}\n  {:<18} {}\n  {:<18} {}\n", "context length", lease_->context(), "embedding length", lease_->entry.embedding_length, "size", decimal_size(lease_->entry.size));
      std::string able;
      for (const Json& one : model["capabilities"]) able += (able.empty() ? "" : ", ") + one.get<std::string>();
      fmt::print("  {:<18} {}\n\n", "capabilities", able);
    } else if (what == "license") {
      text("license", "No license was specified for this model.");
    } else if (what == "modelfile") {
      text("modelfile", "");
    } else if (what == "template") {
      text("template", "No prompt template was specified for this model.");
    } else if (what == "system") {
      fmt::print("{}\n", !system_.empty() ? system_ : lease_->entry.system.empty() ? "No system message was specified for this model." : lease_->entry.system);
    } else if (what == "parameters") {
      const Json all = all_options();
      for (const auto& [name, value] : all.items()) fmt::print("  {:<18} {}{}\n", name, serve::dump(value), options_.options.contains(name) ? "    (set here)" : "");
      fmt::print("\n");
    } else {
      help(kShows);
    }
  }

  void save(const std::string& text) {
    if (text.empty()) throw Error(ErrorCode::kInvalidInput, "/save", "expected a name for the model", "such as /save mine");
    const store::ModelName name = store::parse_name(text);
    const serve::ModelEntry& entry = lease_->entry;
    recipes::CreateOptions create;
    create.file.from = entry.base;
    if (!entry.adapter.empty()) create.file.adapters = {entry.adapter.string()};
    create.file.parameters = entry.parameters;
    create.file.parameters.update(options_.options);
    const std::string system = system_.empty() ? entry.system : system_;
    if (!system.empty()) create.file.system = system;
    for (const Json* list : {&entry.messages, static_cast<const Json*>(&messages_)})
      for (const Json& message : *list) create.file.messages.push_back({message.value("role", ""), message.value("content", "")});
    create.folder = std::filesystem::current_path();
    store::Library library;
    const recipes::CreateResult made = recipes::create_model(library, name, create);
    for (const std::string& note : made.notes) fmt::print("note: {}\n", note);
    fmt::print("Created new model '{}'\n", name.shortest());
  }

  ChatOptions options_;
  LineEditor editor_;
  // In the order in which they are needed: the lease ends first.
  std::unique_ptr<serve::LocalCatalog> named_;
  std::unique_ptr<serve::StoreCatalog> catalog_;
  std::unique_ptr<serve::ModelPool> pool_;
  serve::ModelPool::Lease lease_;
  std::string system_;
  Json messages_ = Json::array(), format_;
  std::optional<bool> think_;
  bool keep_lines_ = true, verbose_ = options_.verbose, thinking_ = false;
};

}  // namespace

int chat(ChatOptions options) {
  Chat session(std::move(options));  // Ctrl-C while the model is loaded ends the program
  catch_ctrl_c();
  return session.run();
}

}  // namespace hone::apps
