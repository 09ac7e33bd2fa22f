#include "text/answer_splitter.h"

#include <algorithm>

namespace hone::text {
namespace {

constexpr std::string_view kThink = "<think>", kEndThink = "</think>";
constexpr std::string_view kDeepseekCall = "<｜tool▁call▁begin｜>", kDeepseekSeparator = "<｜tool▁sep｜>", kDeepseekCallEnd = "<｜tool▁call▁end｜>";

struct Marks {
  std::string_view begin, end;
};
constexpr Marks kCalls[] = {{"<tool_call>", "</tool_call>"}, {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"}};

constexpr size_t kMaxCallBytes = size_t{1} << 20;

// Bytes at the end of `text` that `mark` may begin with.
size_t partial(std::string_view text, std::string_view mark) {
  for (size_t n = std::min(text.size(), mark.size() - 1); n > 0; --n)
    if (text.ends_with(mark.substr(0, n))) return n;
  return 0;
}

constexpr const char* kSpaces = " \t\r\n";

// The bytes of `text` without the white space at its end.
size_t without_end_spaces(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpaces);
  return last == std::string_view::npos ? 0 : last + 1;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

Json parsed(std::string_view text) {
  int depth = 0;
  for (const char c : text)
    if ((c == '{' || c == '[') && ++depth > 64) return Json(Json::value_t::discarded);
  return Json::parse(trimmed(text), nullptr, /*allow_exceptions=*/false);
}

// The first `mark` in a call's text from `at` on that does not stand inside a JSON string: arguments may hold the words of marks. A line ends a
// string, too, since JSON has no line breaks in strings.
size_t find_outside_strings(std::string_view text, std::string_view mark, size_t at = 0) {
  bool inside = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (inside && c == '\\') ++at;
    else if (c == '"') inside = !inside;
    else if (c == '\n') inside = false;
    else if (!inside && c == mark.front() && text.substr(at).starts_with(mark)) return at;
  }
  return std::string_view::npos;
}

// One call as JSON: {"name": …, "arguments": {…} or "parameters": {…}}; arguments may be JSON inside a string.
bool add_call(const Json& json, std::vector<ToolCall>& calls) {
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string() || json["name"].get_ref<const std::string&>().empty()) return false;
  ToolCall call{json["name"].get<std::string>()};
  for (const char* key : {"arguments", "parameters"}) {
    if (!json.contains(key)) continue;
    Json arguments = json[key].is_string() ? parsed(json[key].get_ref<const std::string&>()) : json[key];
    if (!arguments.is_object()) return false;
    call.arguments = std::move(arguments);
    calls.push_back(std::move(call));
    return true;
  }
  return false;
}

std::vector<ToolCall> calls_of_json(const Json& json) {
  std::vector<ToolCall> calls;
  if (json.is_array()) {
    for (const Json& item : json)
      if (!add_call(item, calls)) return {};
  } else if (!add_call(json, calls)) {
    return {};
  }
  return calls;
}

// begin, then either "function", separator, name, ```json … ``` (V3, R1) or name, separator, arguments (V3.1); end.
std::vector<ToolCall> deepseek_calls(std::string_view text) {
  std::vector<ToolCall> calls;
  for (size_t at = text.find(kDeepseekCall); at != std::string_view::npos; at = find_outside_strings(text, kDeepseekCall, at)) {
    at += kDeepseekCall.size();
    const std::string_view call = text.substr(at, find_outside_strings(text, kDeepseekCallEnd, at) - at);
    at += call.size();
    const size_t separator = call.find(kDeepseekSeparator);
    if (separator == std::string_view::npos) return {};
    std::string_view name = trimmed(call.substr(0, separator)), rest = trimmed(call.substr(separator + kDeepseekSeparator.size()));
    if (name == "function" && rest.find('\n') != std::string_view::npos) {
      name = trimmed(rest.substr(0, rest.find('\n')));
      rest = trimmed(rest.substr(rest.find('\n')));
      if (rest.starts_with("```json")) rest.remove_prefix(7);
      if (rest.ends_with("```")) rest.remove_suffix(3);
    }
    Json arguments = parsed(rest);
    if (name.empty() || !arguments.is_object()) return {};
    calls.push_back({std::string(name), std::move(arguments)});
  }
  return calls;
}

}  // namespace

std::vector<ToolCall> parse_tool_calls(std::string_view text) {
  if (text.find(kDeepseekCall) != std::string_view::npos) return deepseek_calls(text);
  std::vector<ToolCall> calls;
  const Marks& hermes = kCalls[0];
  if (text.find(hermes.begin) == std::string_view::npos) return calls_of_json(parsed(text));
  for (size_t at = text.find(hermes.begin); at != std::string_view::npos; at = find_outside_strings(text, hermes.begin, at)) {
    at += hermes.begin.size();
    const std::string_view call = text.substr(at, find_outside_strings(text, hermes.end, at) - at);
    at += call.size();
    const auto some = calls_of_json(parsed(call));
    if (some.empty()) return {};
    calls.insert(calls.end(), some.begin(), some.end());
  }
  return calls;
}

AnswerPart AnswerSplitter::push(std::string_view text) {
  pending_ += text;
  AnswerPart part;
  if (!led_ && (pending_.size() < options_.lead.size() && options_.lead.starts_with(pending_))) return part;
  if (!std::exchange(led_, true) && pending_.starts_with(options_.lead)) pending_.erase(0, options_.lead.size());
  go_on(part, /*last=*/false);
  return part;
}

AnswerPart AnswerSplitter::finish() {
  AnswerPart part;
  go_on(part, /*last=*/true);
  return part;
}

// True while a call may begin: looks for its mark in pending_, gives out the content before it.
bool AnswerSplitter::find_call(AnswerPart& part, bool last) {
  size_t first = std::string::npos, held = 0;
  for (const Marks& marks : kCalls) {
    const size_t at = pending_.find(marks.begin);
    if (at < first) {
      first = at;
      call_end_ = marks.end;
    }
    held = std::max(held, partial(pending_, marks.begin));
  }
  if (first != std::string::npos) {
    const size_t words = without_end_spaces(std::string_view(pending_).substr(0, first));
    part.content += pending_.substr(0, words);
    spaces_ = pending_.substr(words, first - words);
    pending_.erase(0, first);
    place_ = Place::kCall;
    return true;
  }
  const size_t sure = last ? pending_.size() : without_end_spaces(std::string_view(pending_).substr(0, pending_.size() - held));
  part.content += pending_.substr(0, sure);
  pending_.erase(0, sure);
  return false;
}

void AnswerSplitter::go_on(AnswerPart& part, bool last) {
  for (;;) {
    if (options_.one_call && called_) return pending_.clear();
    if (place_ == Place::kStart || place_ == Place::kAfterThinking) {
      const size_t words = pending_.find_first_not_of(kSpaces);
      if (words == std::string::npos) {
        if (place_ == Place::kAfterThinking || (!options_.thinking && !options_.tools)) {
          if (place_ == Place::kStart) part.content += pending_;
          pending_.clear();
        } else if (last) {
          part.content += std::exchange(pending_, {});
        }
        return;
      }
      if (place_ == Place::kAfterThinking) pending_.erase(0, words);
      const std::string_view rest = std::string_view(pending_).substr(place_ == Place::kStart ? words : 0);
      if (place_ == Place::kStart && options_.thinking) {
        if (rest.starts_with(kThink)) {
          pending_.erase(0, words + kThink.size());
          place_ = Place::kThinking;
          continue;
        }
        if (!last && kThink.starts_with(rest)) return;
      }
      place_ = Place::kContent;
      if (options_.tools && rest.starts_with('{')) {  // perhaps a call as bare JSON: certain at the end only
        place_ = Place::kCall;
        call_end_.clear();
      }
      continue;
    }
    if (place_ == Place::kThinking) {
      const size_t end = pending_.find(kEndThink);
      const bool closed = end != std::string::npos;
      const size_t sure = closed ? end : pending_.size() - (last ? 0 : partial(pending_, kEndThink));
      if (!thought_) pending_.erase(0, std::min(sure, pending_.find_first_not_of(kSpaces)));
      const size_t kept = closed ? pending_.find(kEndThink) : pending_.size() - (last ? 0 : partial(pending_, kEndThink));
      const size_t words = without_end_spaces(std::string_view(pending_).substr(0, kept));
      thought_ = thought_ || words > 0;
      part.thinking += pending_.substr(0, words);
      if (!closed) {
        pending_.erase(0, last ? pending_.size() : words);
        return;
      }
      pending_.erase(0, kept + kEndThink.size());
      place_ = Place::kAfterThinking;
      continue;
    }
    if (place_ == Place::kContent) {
      if (!options_.tools) {
        part.content += std::exchange(pending_, {});
        return;
      }
      if (!find_call(part, last)) return;
      continue;
    }
    // Inside a call: wait for its end.
    size_t end = call_end_.empty() ? std::string::npos : find_outside_strings(pending_, call_end_);
    if (end == std::string::npos && last && !call_end_.empty()) end = pending_.find(call_end_);  // a string that never ends
    if (end == std::string::npos && !last && pending_.size() < kMaxCallBytes) return;
    const size_t size = end == std::string::npos ? pending_.size() : end + call_end_.size();
    auto calls = parse_tool_calls(std::string_view(pending_).substr(0, size));
    if (calls.empty()) part.content += spaces_ + pending_.substr(0, size);
    spaces_.clear();
    if (options_.one_call && calls.size() > 1) calls.erase(calls.begin() + 1, calls.end());
    called_ = called_ || !calls.empty();
    part.calls.insert(part.calls.end(), std::make_move_iterator(calls.begin()), std::make_move_iterator(calls.end()));
    pending_.erase(0, size);
    place_ = calls.empty() ? Place::kContent : Place::kAfterThinking;
    if (pending_.empty()) {
      return;
    }
    if (place_ == Place::kAfterThinking && last && pending_.find_first_not_of(kSpaces) == std::string::npos) return pending_.clear();
  }
}

}  // namespace hone::text
