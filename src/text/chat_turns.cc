#include "text/chat_turns.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hone::text {
namespace {

constexpr std::string_view kOpenThink = "<think>", kCloseThink = "</think>", kWhite = " \t\r\n";

std::string_view without_white_end(std::string_view text) {
  const size_t last = text.find_last_not_of(kWhite);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

bool opens_reasoning(std::string_view prompt) { return without_white_end(prompt).ends_with(kOpenThink); }

// What closes the block that `prompt` leaves open, as these models write it.
std::string close_of(std::string_view prompt) {
  const bool line = prompt.size() > without_white_end(prompt).size();
  return fmt::format("{}{}\n\n", line ? "\n" : "", kCloseThink);
}

// Bytes at the beginning of `body` that say "no reasoning": </think>, or <think> and </think> with white space between.
size_t empty_block(std::string_view body) {
  size_t at = std::min(body.find_first_not_of(kWhite), body.size());
  if (body.substr(at).starts_with(kOpenThink)) at = std::min(body.find_first_not_of(kWhite, at + kOpenThink.size()), body.size());
  if (!body.substr(at).starts_with(kCloseThink)) return 0;
  return std::min(body.find_first_not_of(kWhite, at + kCloseThink.size()), body.size());
}

// Where a mark such as "<|im_end|>" that begins at text[at] ends; 0 when none begins there.
size_t mark_end(std::string_view text, size_t at, const std::string& eos_token) {
  const std::string_view rest = text.substr(at);
  if (!eos_token.empty() && rest.starts_with(eos_token)) return at + eos_token.size();
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {{"<|", "|>"}, {"<｜", "｜>"}, {"</s", ">"}, {"<end_of_turn", ">"}};
  for (const auto& [open, close] : kMarks) {
    if (!rest.starts_with(open)) continue;
    const size_t end = rest.find(close, open.size());
    if (end != std::string_view::npos) return at + end + close.size();
  }
  return 0;
}

// The end-of-turn token that follows an answer's words, with white space before it: from the beginning of `text` to its end.
size_t end_of_turn(std::string_view text, const std::string& eos_token) {
  const size_t at = text.find_first_not_of(" \n");
  return at == std::string_view::npos ? 0 : mark_end(text, at, eos_token);
}

// The end of the last mark; 0 when there is none.
size_t last_mark(std::string_view text, const std::string& eos_token) {
  size_t last = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = mark_end(text, at, eos_token);
    if (end) last = end;
    at = end ? end : at + 1;
  }
  return last;
}

std::string text_field(const Json& message, const char* key) {
  const auto found = message.find(key);
  return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

bool calls_tools(const Json& message) {
  const auto calls = message.find("tool_calls");
  return calls != message.end() && calls->is_array() && !calls->empty();
}

// As Python writes it, and the models that learned from it: a space behind commas and colons.
std::string spaced_json(const Json& value) {
  if (!value.is_structured()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out(1, value.is_object() ? '{' : '[');
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (it != value.begin()) out += ", ";
    if (value.is_object()) out += Json(it.key()).dump(-1, ' ', false, Json::error_handler_t::replace) + ": ";
    out += spaced_json(*it);
  }
  return out + (value.is_object() ? '}' : ']');
}

std::vector<std::string> called_functions(const Json& message) {
  std::vector<std::string> names;
  if (!calls_tools(message)) return names;
  for (const Json& call : message["tool_calls"])
    if (call.is_object() && call.contains("function") && call["function"].is_object()) names.push_back(text_field(call["function"], "name"));
  return names;
}

// How much of `text` is also what `other` begins with, in whole marks and lines.
size_t opening(std::string_view text, std::string_view other) {
  size_t n = 0;
  while (n < text.size() && n < other.size() && text[n] == other[n]) ++n;
  if (n < other.size() && n < text.size()) n = text.substr(0, n).find_last_of(">\n: ") + 1;
  return n;
}

// The bytes that messages[i] wrote, first to last.
struct Extent {
  size_t begin = std::string::npos, end = 0;
  bool found() const { return begin != std::string::npos; }
};

Extent extent_of(const std::vector<RenderedPrompt::Piece>& pieces, int message) {
  Extent extent;
  for (const RenderedPrompt::Piece& piece : pieces) {
    if (piece.message != message) continue;
    extent.begin = std::min(extent.begin, piece.begin);
    extent.end = std::max(extent.end, piece.end);
  }
  return extent;
}

class Learner {
 public:
  Learner(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options)
      : chat_(chat), form_(form), own_(messages.back()), reasoning_(text_field(own_, "reasoning_content")), options_(options) {
    for (size_t i = 0; i + 1 < messages.size(); ++i) before_.push_back(messages[i]);
    if (!form.variable.empty() && !reasoning_.empty() && form.closed) {
      think_ = true;  // the prompt that reasoning is asked for with
      if (!options_.extra.is_object()) options_.extra = Json::object();
      options_.extra[form.variable] = true;
    }
    whole_ = render_conversation(chat, messages, options_);
  }

  std::optional<LearnedTurn> learn() {
    const auto turn = find_turn();
    if (!turn) return std::nullopt;
    LearnedTurn learned;
    learned.message = before_.size();
    learned.reasoned = !reasoning_.empty();
    const std::string_view said = std::string_view(whole_.text).substr(0, turn->end);
    try {
      prompt_ = turn_prompt(chat_, form_, before_, options_, think_);
    } catch (const Error&) {
      // The template refuses the beginning of this conversation: only the words themselves are learned.
      learned.text = said;
      learned.begin = turn->begin;
      learned.words = words_before(turn->begin);
      learned.pieces = pieces_before(turn->begin);
      learned.cuts = {turn->begin};
      return learned;
    }
    learned.words = prompt_.words;
    learned.pieces = prompt_.pieces;
    learned.begin = prompt_.text.size();
    if (said.starts_with(prompt_.text) && shows_reasoning(said.substr(prompt_.text.size()))) {
      // A template without a generation prompt: its header is not asked of the model, which would give it out as content.
      const bool header = turn->begin > prompt_.text.size() && !calls_tools(own_) && render_conversation(chat_, before_, options_).text == prompt_.text;
      learned.text = prompt_.text + std::string(said.substr(header ? turn->begin : prompt_.text.size()));
    } else {
      learned.text = prompt_.text + answer(std::string(said.substr(turn->marked ? turn->begin : body_begin(*turn))));
    }
    for (const std::string& name : called_functions(own_))
      if (learned.text.find(name, learned.begin) == std::string::npos)
        throw Error(ErrorCode::kUnsupported, chat_.where(), fmt::format("message {}: the template does not write its tool calls", before_.size() + 1), "name a template that does with model.chat_template");
    learned.cuts = {learned.begin};
    cut_behind_empty_block(learned);
    return learned;
  }

 private:
  // The turn of the last message within the rendering of all of them.
  struct Turn {
    size_t begin = 0, end = 0;  // from its own first word on, with its end-of-turn token
    size_t others = 0;          // where the words of the messages before it end
    bool marked = false;        // by the template
  };

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::kInvalidInput, chat_.where(), fmt::format("message {}: {}", before_.size() + 1, what),
                "mark the assistant's words in the template with {% generation %} … {% endgeneration %}");
  }

  std::optional<Turn> find_turn() const {
    const auto index = static_cast<int>(before_.size());
    Turn turn;
    for (int i = 0; i < index; ++i) turn.others = std::max(turn.others, extent_of(whole_.pieces, i).end);
    if (chat_.marks_generation()) {
      if (whole_.generations.empty() || whole_.generations.back().second <= turn.others) return std::nullopt;
      turn.begin = whole_.generations.back().first;
      turn.end = whole_.generations.back().second;
      turn.marked = true;
      return turn;
    }
    const Extent extent = extent_of(whole_.pieces, index);
    if (!extent.found()) {
      if (!text_field(own_, "content").empty()) refuse("the assistant's words do not appear in the rendered text");
      if (reasoning_.empty()) return std::nullopt;
    }
    turn.begin = extent.found() ? extent.begin : turn.others;
    if (turn.begin < turn.others) refuse("its words are mixed with those of another message in the rendered text");
    const size_t last = extent.found() ? extent.end : turn.others;
    const std::string_view tail = std::string_view(whole_.text).substr(last);
    // Text such as "</tool_call>" stands before the end of a turn that calls tools.
    size_t closing = calls_tools(own_) || !extent.found() ? 0 : end_of_turn(tail, options_.eos_token);
    if (closing == 0) closing = last_mark(tail, options_.eos_token);
    turn.end = last + closing;
    return turn;
  }

  // Where the turn begins behind the header that the generation prompt has too: what the template writes there before a tool's name is
  // the assistant's.
  size_t body_begin(const Turn& turn) const {
    try {
      const std::string plain = render_conversation(chat_, before_, options_).text;
      const size_t header = opening(whole_.text, plain);
      if (header > turn.begin || header < turn.others) return turn.begin;
      const std::string_view generation = prompt_.text.starts_with(plain) ? std::string_view(prompt_.text).substr(plain.size()) : std::string_view();
      return header + opening(std::string_view(whole_.text).substr(header, turn.begin - header), generation);
    } catch (const Error&) {
      return turn.begin;
    }
  }

  std::vector<std::pair<size_t, size_t>> words_before(size_t end) const {
    std::vector<std::pair<size_t, size_t>> words;
    for (const auto& [from, to] : whole_.words)
      if (from < end) words.emplace_back(from, std::min(to, end));
    return words;
  }

  std::vector<RenderedPrompt::Piece> pieces_before(size_t end) const {
    std::vector<RenderedPrompt::Piece> pieces;
    for (const RenderedPrompt::Piece& piece : whole_.pieces)
      if (piece.begin < end) pieces.push_back({piece.begin, std::min(piece.end, end), piece.message});
    return pieces;
  }

  // Whether what the template writes behind the prompt is what inference should give: the reasoning, or its absence, included.
  bool shows_reasoning(std::string_view answer) const {
    if (!reasoning_.empty()) return answer.find(reasoning_) != std::string_view::npos;
    return !prompt_.inside || answer.find(kCloseThink) != std::string_view::npos;
  }

  // The answer behind prompt_, where the template writes it in another way once it is part of a conversation.
  std::string answer(const std::string& body) const {
    const size_t block = empty_block(body);
    const std::string rest = body.substr(block);
    const std::string own_close = body.substr(0, block);
    const bool own = own_close.starts_with(kCloseThink);  // DeepSeek V3.1 writes it without lines
    if (prompt_.inside && own) return reasoning_ + own_close + rest;
    if (prompt_.inside) return reasoning_ + close_of(prompt_.text) + rest.substr(std::min(rest.find_first_not_of('\n'), rest.size()));
    if (reasoning_.empty()) return body;
    return fmt::format("{}\n{}\n{}\n\n{}", kOpenThink, reasoning_, kCloseThink, rest);
  }

  // The answer without reasoning is also asked for behind the closed block: a token may not reach from the one into the other.
  void cut_behind_empty_block(LearnedTurn& learned) const {
    if (!form_.known || !reasoning_.empty()) return;
    try {
      const TurnPrompt off = turn_prompt(chat_, form_, before_, options_, false);
      if (off.text.size() > learned.begin && off.text.size() < learned.text.size() && learned.text.starts_with(off.text)) learned.cuts.push_back(off.text.size());
    } catch (const Error&) {
      // Then nothing is asked for in that form.
    }
  }

  const ChatTemplate& chat_;
  const ReasoningForm& form_;
  const Json& own_;
  const std::string reasoning_;
  RenderOptions options_;
  Json before_ = Json::array();
  std::optional<bool> think_;
  RenderedPrompt whole_;
  TurnPrompt prompt_;
};

}  // namespace

ReasoningForm reasoning_form(const ChatTemplate& chat, const RenderOptions& options) {
  ReasoningForm form;
  form.known = chat.source().find("think>") != std::string::npos;
  const Json question = Json::array({{{"role", "user"}, {"content", "x"}}});
  const auto prompt = [&](const char* variable, bool value) -> std::optional<std::string> {
    RenderOptions open = options;
    open.add_generation_prompt = true;
    if (variable != nullptr) open.extra = {{variable, value}};
    try {
      return chat.render(question, open);
    } catch (const Error&) {
      return std::nullopt;  // a template may refuse this conversation
    }
  };
  for (const char* variable : {"enable_thinking", "thinking"}) {
    if (!form.variable.empty() || chat.source().find(variable) == std::string::npos) continue;
    const auto on = prompt(variable, true), off = prompt(variable, false);
    if (on && off && *on != *off) form.variable = variable;
  }
  if (const auto by_default = prompt(nullptr, false)) {
    form.opens = opens_reasoning(*by_default);
    form.closed = without_white_end(*by_default).ends_with(kCloseThink);
  }
  return form;
}

TurnPrompt turn_prompt(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, RenderOptions options, std::optional<bool> think) {
  options.add_generation_prompt = true;
  if (think && !form.variable.empty()) {
    if (!options.extra.is_object()) options.extra = Json::object();
    if (!options.extra.contains(form.variable)) options.extra[form.variable] = *think;
  }
  RenderedPrompt rendered = render_conversation(chat, messages, options);
  TurnPrompt prompt{std::move(rendered.text), std::move(rendered.words), std::move(rendered.pieces), {}, false};
  if (!opens_reasoning(prompt.text)) return prompt;
  if (think == false) {
    prompt.cuts = {prompt.text.size()};
    prompt.text += close_of(prompt.text);
  } else {
    prompt.inside = true;
  }
  return prompt;
}

RenderedPrompt render_conversation(const ChatTemplate& chat, const Json& messages, const RenderOptions& options) {
  const bool calls = messages.is_array() && std::any_of(messages.begin(), messages.end(), [](const Json& m) { return m.is_object() && calls_tools(m); });
  if (!calls || chat.source().find("tool_calls") == std::string::npos) return chat.render_prompt(messages, options);
  Json written = messages;
  for (Json& message : written)
    if (message.is_object() && calls_tools(message) && text_field(message, "content").empty()) message["content"] = nullptr;
  try {
    return chat.render_prompt(written, options);
  } catch (const Error&) {
    for (Json& message : written)
      if (message.is_object() && calls_tools(message))
        for (Json& call : message["tool_calls"])
          if (call.is_object() && call.contains("function") && call["function"].is_object() && call["function"].contains("arguments") && !call["function"]["arguments"].is_string())
            call["function"]["arguments"] = spaced_json(call["function"]["arguments"]);
  }
  try {
    return chat.render_prompt(written, options);
  } catch (const Error&) {
    return chat.render_prompt(messages, options);  // a template that wants text everywhere
  }
}

std::optional<LearnedTurn> learned_turn(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options) {
  HONE_CHECK(!options.add_generation_prompt && !options.continue_final && !messages.empty(), "a conversation to train on is complete");
  return Learner(chat, form, messages, options).learn();
}

std::vector<LearnedTurn> learned_turns(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options) {
  std::vector<LearnedTurn> turns;
  Json so_far = Json::array();
  for (const Json& message : messages) {
    so_far.push_back(message);
    if (message.is_object()) so_far.back().erase("weight");  // the loss's business, not the template's
    if (!message.is_object() || text_field(message, "role") != "assistant" || message.value("weight", 1.0) == 0) continue;
    if (auto turn = learned_turn(chat, form, so_far, options)) turns.push_back(std::move(*turn));
  }
  return turns;
}

LearnedConversation learned_conversation(const ChatTemplate& chat, const ReasoningForm& form, const Json& messages, const RenderOptions& options) {
  Json written = messages, until_last = Json::array();
  for (Json& message : written)
    if (message.is_object()) message.erase("weight");
  const auto is_answer = [](const Json& message) { return message.is_object() && text_field(message, "role") == "assistant"; };
  size_t answers = written.size();
  while (answers > 0 && !is_answer(written[answers - 1])) --answers;
  for (size_t i = 0; i < answers; ++i) until_last.push_back(written[i]);
  const RenderedPrompt whole = render_conversation(chat, written, options);
  const auto end_in = [&](std::string_view text, size_t end) { return end + end_of_turn(text.substr(end), options.eos_token); };
  const auto last = answers > 0 ? learned_turn(chat, form, until_last, options) : std::nullopt;

  LearnedConversation all;
  std::vector<RenderedPrompt::Piece> pieces;
  if (!last) {
    all.text = whole.text;
    all.words = whole.words;
    pieces = whole.pieces;
  } else {
    all.text = last->text;
    all.words = last->words;
    all.cuts = last->cuts;
    pieces = last->pieces;
    // What the whole conversation goes on with behind the last answer.
    const Extent own = extent_of(whole.pieces, static_cast<int>(last->message));
    if (answers < written.size() && own.found()) {
      const size_t from = end_in(whole.text, own.end), to = all.text.size();
      all.text += whole.text.substr(from);
      all.cuts.push_back(to);
      for (const auto& [begin, end] : whole.words)
        if (begin >= from) all.words.emplace_back(begin - from + to, end - from + to);
    }
  }
  for (size_t i = 0; i < answers; ++i) {
    if (!is_answer(written[i])) continue;
    const double weight = messages[i].value("weight", 1.0);
    const std::string reasoning = text_field(written[i], "reasoning_content");
    if (last && i == last->message) {
      all.answers.push_back({last->begin, last->text.size(), weight, last->reasoned});
    } else if (const Extent own = extent_of(pieces, static_cast<int>(i)); own.found()) {
      const std::string_view said = std::string_view(all.text).substr(own.begin, own.end - own.begin);
      all.answers.push_back({own.begin, end_in(all.text, own.end), weight, !reasoning.empty() && said.find(reasoning) != std::string_view::npos});
    }
  }
  return all;
}

}  // namespace hone::text
