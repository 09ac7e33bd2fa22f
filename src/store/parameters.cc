#include "store/parameters.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/error.h"

namespace hone::store {
namespace {

using Json = nlohmann::ordered_json;
using enum ParameterKind;
using enum ParameterEffect;

constexpr double kAny = 9.3e18;  // beyond every whole number of 64 bits
constexpr auto kLargest = static_cast<double>(INT32_MAX);
constexpr auto kTokens = static_cast<double>(kMaxTokens);

constexpr Parameter kParameters[] = {
    {"temperature", kNumber, kRead, 0, 100, 0, "0: always the likeliest token"},
    {"top_k", kInteger, kRead, -1, kLargest, 0, "0 or -1: no limit"},
    {"top_p", kNumber, kRead, 0, 1, 0, ""},
    {"min_p", kNumber, kRead, 0, 1, 0, ""},
    {"seed", kInteger, kRead, -kAny, kAny, 0, "-1: another one for every answer"},
    {"num_predict", kInteger, kRead, -2, kTokens, 0, "tokens of an answer; 0 and less: as many as the context holds"},
    {"num_ctx", kInteger, kRead, 0, kTokens, 0, "tokens that prompt and answer may have together; 0: as many as the model takes"},
    {"stop", kStrings, kRead, 0, 0, 0, "a text that ends the answer; several lines, or a list in a request: at most 64 of 1024 bytes"},
    {"repeat_penalty", kNumber, kRead, 1e-3, 10, 0, "1: none"},
    {"repeat_last_n", kInteger, kRead, -1, kLargest, 0, "tokens that repeat_penalty looks at; -1: all"},
    {"presence_penalty", kNumber, kRead, -2, 2, 0, ""},
    {"frequency_penalty", kNumber, kRead, -2, 2, 0, ""},
    {"typical_p", kNumber, kRefused, 0, 1, 1, "this way of sampling is not built in"},
    {"mirostat", kInteger, kPassedOver, 0, 2, 0, "this way of sampling is not built in"},
    {"mirostat_tau", kNumber, kPassedOver, 0, 100, 5, "belongs to mirostat"},
    {"mirostat_eta", kNumber, kPassedOver, 0, 100, 0.1, "belongs to mirostat"},
    {"tfs_z", kNumber, kPassedOver, 0, 100, 1, "this way of sampling is not built in"},
    {"penalize_newline", kBoolean, kPassedOver, 0, 1, 1, "repeat_penalty looks at all tokens alike"},
    {"num_keep", kInteger, kNone, -kAny, kAny, 0, "a conversation that is too long loses its oldest turns, never a part of one"},
    {"num_batch", kInteger, kNone, -kAny, kAny, 0, ""},
    {"num_gpu", kInteger, kNone, -kAny, kAny, 0, ""},
    {"main_gpu", kInteger, kNone, -kAny, kAny, 0, ""},
    {"num_thread", kInteger, kNone, -kAny, kAny, 0, "$HONE_THREADS says it for the whole program"},
    {"draft_num_predict", kInteger, kNone, -kAny, kAny, 0, "tokens are guessed from earlier text: docs/engine.md"},
    {"use_mmap", kBoolean, kNone, 0, 1, 0, ""},
    {"use_mlock", kBoolean, kNone, 0, 1, 0, ""},
    {"low_vram", kBoolean, kNone, 0, 1, 0, ""},
    {"f16_kv", kBoolean, kNone, 0, 1, 0, "hone serve --cache-type says how keys and values are kept"},
    {"numa", kBoolean, kNone, 0, 1, 0, ""},
    {"vocab_only", kBoolean, kNone, 0, 1, 0, ""},
    {"logits_all", kBoolean, kNone, 0, 1, 0, ""},
    {"embedding_only", kBoolean, kNone, 0, 1, 0, ""},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

template <class Number>
std::optional<Number> read_number(const std::string& text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// "a number from 0 to 1"
std::string wanted(const Parameter& p) {
  if (p.kind == kBoolean) return "true or false";
  if (p.kind == kStrings) return fmt::format("at most {} texts of at most {} bytes", kMaxStops, kMaxStopBytes);
  const std::string kind = p.kind == kInteger ? "a whole number" : "a number";
  return p.low == -kAny ? kind : fmt::format("{} from {} to {}", kind, p.low, p.high);
}

bool in_range(const Parameter& p, double value) { return std::isfinite(value) && value >= p.low && value <= p.high; }

// Whether a value that was stored is one that this parameter takes.
bool sensible(const Parameter& p, const Json& value) {
  switch (p.kind) {
    case kBoolean: return value.is_boolean();
    case kInteger: return value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) && in_range(p, static_cast<double>(value.get<int64_t>()));
    case kNumber: return value.is_number() && in_range(p, value.get<double>());
    case kStrings: break;
  }
  const auto text = [](const Json& one) { return one.is_string() && one.get_ref<const std::string&>().size() <= kMaxStopBytes; };
  return text(value) || (value.is_array() && value.size() <= kMaxStops && std::all_of(value.begin(), value.end(), text));
}

std::string words_of(ParameterEffect effect) {
  switch (effect) {
    case kRead: return "read";
    case kNone: return "without effect";
    case kPassedOver: return "passed over with a note, as by Ollama";
    case kRefused: break;
  }
  return "refused";
}

std::string no_effect(const Parameter& p) {
  const std::string why = *p.meaning ? fmt::format(": {}", p.meaning) : "";
  return p.effect == kPassedOver ? fmt::format("{} is passed over, as by Ollama{}", p.name, why) : fmt::format("{} has no effect in hone{}", p.name, why);
}

}  // namespace

std::span<const Parameter> known_parameters() { return kParameters; }

const Parameter* find_parameter(std::string_view name) {
  const auto it = std::find_if(std::begin(kParameters), std::end(kParameters), [&](const Parameter& p) { return name == p.name; });
  return it == std::end(kParameters) ? nullptr : &*it;
}

std::string parameter_hint(const std::string& name) {
  std::vector<std::string> known;
  for (const Parameter& p : kParameters) known.emplace_back(p.name);
  const std::string near = nearest(name, known);
  return near.empty() ? "for example temperature, top_p, num_ctx, stop" : fmt::format("did you mean \"{}\"?", near);
}

std::string parameter_table() {
  std::string table = "| name | value | hone | remarks |\n|---|---|---|---|\n";
  for (const Parameter& p : kParameters) {
    const std::string value = p.effect == kRead || p.effect == kRefused ? wanted(p) : p.kind == kBoolean ? "true or false" : p.kind == kInteger ? "a whole number" : "a number";
    table += fmt::format("| `{}` | {} | {} | {} |\n", p.name, p.kind == kStrings ? "a text" : value, p.effect == kRefused ? fmt::format("refused, unless {}", p.neutral) : words_of(p.effect), p.meaning);
  }
  return table;
}

std::string set_parameter(Json& parameters, const std::string& name, const std::string& value, const std::string& where) {
  const Parameter* p = find_parameter(name);
  if (!p) throw Error(ErrorCode::kInvalidInput, where, fmt::format("unknown parameter \"{}\"", name.substr(0, 40)), parameter_hint(name));
  const auto wrong = [&] {
    return Error(ErrorCode::kInvalidInput, where, fmt::format("{} wants {}, found \"{}\"", name, wanted(*p), value.substr(0, 40)), fmt::format("for example: PARAMETER {} 1", name));
  };
  Json read;
  if (p->kind == kStrings) {
    read = parameters.contains(name) && parameters[name].is_array() ? parameters[name] : Json::array();
    read.push_back(value);
  } else if (p->kind == kBoolean) {
    const std::string word = lower(value);
    if (word != "true" && word != "false" && word != "1" && word != "0") throw wrong();
    read = word == "true" || word == "1";
  } else if (p->kind == kInteger) {
    const auto n = read_number<int64_t>(value);
    if (!n) throw wrong();
    read = *n;
  } else {
    const auto n = read_number<double>(value);
    if (!n) throw wrong();
    read = *n;
  }
  if (p->effect == kPassedOver) return no_effect(*p);  // whatever its range once was
  if (!sensible(*p, read)) throw wrong();
  if (p->effect == kRefused && read.get<double>() != p->neutral)
    throw Error(ErrorCode::kUnsupported, where, fmt::format("{} {}: {}", name, value, p->meaning), fmt::format("leave it out: {} is all that hone can do", p->neutral));
  parameters[name] = std::move(read);
  return p->effect == kNone ? no_effect(*p) : "";
}

Json usable_parameters(const Json& parameters, std::vector<std::string>& notes) {
  Json usable = Json::object();
  if (!parameters.is_object()) return usable;
  for (const auto& [name, value] : parameters.items()) {
    const Parameter* p = find_parameter(name);
    if (!p) notes.push_back(fmt::format("the model's parameter {} is unknown and has no effect", Json(name.substr(0, 40)).dump(-1, ' ', true, Json::error_handler_t::replace)));
    else if (p->effect == kPassedOver) notes.push_back("the model's parameter " + no_effect(*p));
    else if (p->effect == kRefused && !(value.is_number() && value.get<double>() == p->neutral)) notes.push_back(fmt::format("the model's parameter {} is passed over: {}", name, p->meaning));
    else if (p->effect == kRead && !sensible(*p, value))
      notes.push_back(fmt::format("the model's parameter {} is passed over: expected {}, found {}", name, wanted(*p), value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60)));
    else if (p->effect == kRead) usable[name] = value;
  }
  return usable;
}

std::vector<std::pair<std::string, std::string>> parameter_lines(const Json& parameters) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto text = [](const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    return value.is_number_float() ? fmt::format("{}", value.get<double>()) : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (!parameters.is_object()) return lines;
  for (const auto& [name, value] : parameters.items()) {
    if (value.is_array())
      for (const Json& one : value) lines.emplace_back(name, text(one));
    else lines.emplace_back(name, text(value));
  }
  return lines;
}

}  // namespace hone::store
