#include "models/generation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/format_keys.h"

namespace hone::models {
namespace {

struct Number {
  std::string_view parameter, json, gguf;
  double low, high;
  bool whole;
};
constexpr auto kNumbers = std::to_array<Number>({
    {"temperature", "temperature", "temp", 0, 100, false},
    {"top_k", "top_k", "top_k", -1, INT32_MAX, true},
    {"top_p", "top_p", "top_p", 0, 1, false},
    {"min_p", "min_p", "min_p", 0, 1, false},
    {"repeat_penalty", "repetition_penalty", "penalty_repeat", 1e-3, 10, false},
    {"repeat_last_n", "", "penalty_last_n", -1, INT32_MAX, true},
});

void put(Generation& to, const Number& number, double value, const std::string& where, std::string_view key) {
  if (!(value >= number.low && value <= number.high))
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\": expected {:g} to {:g}, found {:g}", key, number.low, number.high, value),
                "correct it, or take it out: requests then have their own defaults");
  if (number.whole) value = std::floor(value);
  else value = std::stod(fmt::format("{}", static_cast<float>(value)));  // 0.7, as people write it
  std::erase_if(to.numbers, [&](const auto& known) { return known.first == number.parameter; });
  to.numbers.emplace_back(number.parameter, value);
}

const double* value_of(const Generation& g, std::string_view parameter) {
  for (const auto& [name, value] : g.numbers)
    if (name == parameter) return &value;
  return nullptr;
}

nlohmann::ordered_json json_of(const Number& number, double value) {
  if (number.whole) return static_cast<int64_t>(value);
  return value;
}

[[noreturn]] void bad(const std::string& where, std::string_view key, const char* expected) {
  throw Error(ErrorCode::kInvalidInput, where, fmt::format("\"{}\": expected {}", key, expected), "fetch the file again");
}

}  // namespace

Generation generation_from_json(const nlohmann::json& json, const std::string& where, std::vector<std::string>& notes) {
  if (!json.is_object()) throw Error(ErrorCode::kInvalidInput, where, "is not a JSON object", "fetch the file again");
  KeyCheck check(generation_keys(), where);
  check.see_all(json);
  for (std::string& note : check.notes()) notes.push_back(std::move(note));
  const auto find = [&](std::string_view key) -> const nlohmann::json* {
    const auto it = json.find(std::string(key));
    return it == json.end() || it->is_null() ? nullptr : &*it;
  };
  Generation g;
  for (const Number& number : kNumbers) {
    const nlohmann::json* value = number.json.empty() ? nullptr : find(number.json);
    if (!value) continue;
    if (!value->is_number()) bad(where, number.json, "a number");
    put(g, number, value->get<double>(), where, number.json);
  }
  if (const auto* sample = find("do_sample")) {
    if (!sample->is_boolean()) bad(where, "do_sample", "true or false");
    if (!sample->get<bool>()) put(g, kNumbers[0], 0, where, "do_sample");
  }
  if (const auto* stops = find("stop_strings"))
    for (const auto& stop : stops->is_array() ? *stops : nlohmann::json::array({*stops})) {
      if (!stop.is_string()) bad(where, "stop_strings", "a text, or a list of texts");
      if (!stop.get<std::string>().empty()) g.stop.push_back(stop.get<std::string>());
    }
  if (const auto* eos = find("eos_token_id"))
    for (const auto& id : eos->is_array() ? *eos : nlohmann::json::array({*eos})) {
      if (!id.is_number_integer()) bad(where, "eos_token_id", "a token id, or a list of them");
      if (const auto value = id.get<int64_t>(); value >= 0) g.eos_ids.push_back(value);
    }
  return g;
}

Generation generation_from_gguf(const io::Gguf& gguf) {
  Generation g;
  for (const Number& number : kNumbers) {
    const std::string key = fmt::format("general.sampling.{}", number.gguf);
    if (const auto value = gguf.find_float(key)) put(g, number, *value, gguf.path().string(), key);
  }
  return g;
}

nlohmann::ordered_json parameters_of(const Generation& g) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const Number& number : kNumbers)
    if (const double* value = value_of(g, number.parameter)) out[std::string(number.parameter)] = json_of(number, *value);
  if (!g.stop.empty()) out["stop"] = g.stop;
  return out;
}

nlohmann::ordered_json generation_config(const Generation& g) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  const double* temperature = value_of(g, "temperature");
  if (temperature) out["do_sample"] = *temperature != 0;
  for (const Number& number : kNumbers) {
    const double* value = number.json.empty() ? nullptr : value_of(g, number.parameter);
    if (value && (value != temperature || *value != 0)) out[std::string(number.json)] = json_of(number, *value);
  }
  if (!g.stop.empty()) out["stop_strings"] = g.stop;
  return out;
}

io::GgufMetadata generation_metadata(const Generation& g) {
  io::GgufMetadata out;
  for (const Number& number : kNumbers) {
    const double* value = value_of(g, number.parameter);
    if (!value) continue;
    io::GgufValue stored = *value;
    if (number.whole) stored = static_cast<int64_t>(*value);
    out.emplace_back(fmt::format("general.sampling.{}", number.gguf), std::move(stored));
  }
  return out;
}

}  // namespace hone::models
