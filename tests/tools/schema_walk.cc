// What answers a schema lets through, for tests/program/check_schemas.py. Reads lines {"schema", "walks", "instances"}; writes one line each:
// {"walks": documents written at random, "accepted": whether each instance can be written} or {"error", "code"}.
#include <fmt/format.h>

#include <iostream>
#include <random>
#include <string>

#include "base/error.h"
#include "serve/schema/json_reader.h"

namespace {

using hone::serve::Json;
using hone::serve::JsonReader;

constexpr size_t kShort = 400, kLongest = 20'000;

// A byte that may come; likely one that ends something once the document is long.
int next_byte(const JsonReader& reader, std::mt19937_64& random, size_t length) {
  std::vector<int> allowed, ends;
  for (int byte = 0; byte < 256; ++byte) {
    JsonReader after = reader;
    if (!after.push(static_cast<unsigned char>(byte))) continue;
    allowed.push_back(byte);
    if (byte == '"' || byte == '}' || byte == ']' || (length > kShort && after.push('"'))) ends.push_back(byte);
  }
  if (!ends.empty() && (length > kShort || random() % 6 == 0)) return ends[random() % ends.size()];
  // Blanks may come nearly everywhere, and texts may hold nearly everything: both are drawn less often.
  std::vector<int> plain;
  for (const int byte : allowed)
    if (byte > ' ' && byte < 127 && byte != '\\') plain.push_back(byte);
  if (!plain.empty() && random() % 10 != 0) return plain[random() % plain.size()];
  return allowed.empty() ? -1 : allowed[random() % allowed.size()];
}

std::string walk(const hone::serve::Schema& schema, uint64_t seed) {
  std::mt19937_64 random(seed);
  JsonReader reader(schema.root());
  std::string text;
  while (text.size() < kLongest) {
    if (reader.complete() && (text.size() > kShort || random() % 3 == 0)) return text;
    const int byte = next_byte(reader, random, text.size());
    if (byte < 0) {
      if (reader.complete()) return text;
      throw hone::Error(hone::ErrorCode::kInternal, "walk", "nothing may come behind " + text);
    }
    reader.push(static_cast<unsigned char>(byte));
    text += static_cast<char>(byte);
  }
  throw hone::Error(hone::ErrorCode::kInternal, "walk", "no end in sight: " + text.substr(0, 500));
}

Json examined(const Json& task) {
  const auto schema = hone::serve::Schema::parse(task.at("schema"), "schema");
  Json result = {{"walks", Json::array()}, {"accepted", Json::array()}};
  for (uint64_t i = 0; i < task.at("walks").get<uint64_t>(); ++i) result["walks"].push_back(walk(*schema, i));
  for (const Json& instance : task.at("instances")) {
    JsonReader reader(schema->root());
    bool good = true;
    for (const char c : instance.get<std::string>()) good = good && reader.push(static_cast<unsigned char>(c));
    result["accepted"].push_back(good && reader.complete());
  }
  return result;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = examined(Json::parse(line));
    } catch (const hone::Error& error) {
      answer = {{"error", error.where() + ": " + error.message()}, {"code", static_cast<int>(error.code())}};
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}, {"code", -1}};
    }
    fmt::print("{}\n", hone::serve::dump(answer));
  }
}
