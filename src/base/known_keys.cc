#include "base/known_keys.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace hone {
namespace {

using nlohmann::json;

constexpr size_t kMostNamed = 12;  // unknown keys in one note

bool same(const json& a, const json& b) { return a.is_number() && b.is_number() ? a.get<double>() == b.get<double>() : a == b; }

std::string shortened(const json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// A key from a file, as it may stand in a message.
std::string printable(std::string_view name) {
  std::string text(name.substr(0, 60));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = '?';
  return text;
}

std::string_view word(KeyUse use) {
  switch (use) {
    case KeyUse::kRead: return "read";
    case KeyUse::kRefused: return "refused";
    case KeyUse::kTold: return "passed over, said";
    case KeyUse::kNoEffect: return "without effect";
  }
  return "";
}

}  // namespace

bool is_neutral(const KnownKey& key, const json& value) {
  if (value.is_null()) return true;
  std::string_view rest = key.neutral;
  while (!rest.empty()) {
    const size_t space = std::min(rest.find(' '), rest.size());
    if (same(json::parse(rest.substr(0, space)), value)) return true;
    rest.remove_prefix(std::min(space + 1, rest.size()));
  }
  return false;
}

const KnownKey* find_key(KeyTable table, std::string_view name) {
  const KnownKey* best = nullptr;
  for (const KnownKey& key : table) {
    if (key.name == name) return &key;
    if (!key.name.ends_with('*') || !name.starts_with(key.name.substr(0, key.name.size() - 1))) continue;
    if (!best || key.name.size() > best->name.size()) best = &key;
  }
  return best;
}

void KeyCheck::see(std::string_view name, const json& value, std::string_view shown) {
  const KnownKey* key = find_key(table_, name);
  const std::string written = printable(shown.empty() ? name : shown);
  if (!key) {
    unknown_.insert(written);
    return;
  }
  if ((key->use != KeyUse::kRefused && key->use != KeyUse::kTold) || is_neutral(*key, value)) return;
  if (key->use == KeyUse::kRefused)
    throw Error(ErrorCode::kUnsupported, where_, fmt::format("{} {} is not supported: {}", written, shortened(value), key->words),
                "use a model without it; docs/formats.md lists what is read");
  told_.push_back(fmt::format("{}: {} {} is passed over: {}", where_, written, shortened(value), key->words));
}

void KeyCheck::see_all(const json& object) {
  for (const auto& [name, value] : object.items()) see(name, value);
}

std::vector<std::string> KeyCheck::notes() const {
  std::vector<std::string> notes = told_;
  if (unknown_.empty()) return notes;
  std::string names;
  size_t count = 0;
  for (const std::string& name : unknown_)
    if (count++ < kMostNamed) names += (names.empty() ? "" : ", ") + name;
  if (count > kMostNamed) names += fmt::format(" and {} more", count - kMostNamed);
  notes.push_back(fmt::format("{}: keys that hone does not know are passed over: {}", where_, names));
  return notes;
}

std::string markdown(KeyTable table) {
  std::string text = "| key | what becomes of it | |\n|---|---|---|\n";
  for (const KnownKey& key : table) {
    std::string neutral;
    std::string_view rest = key.neutral;
    while (!rest.empty()) {
      const size_t space = std::min(rest.find(' '), rest.size());
      neutral += (neutral.empty() ? "" : ", ") + fmt::format("`{}`", rest.substr(0, space));
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    text += fmt::format("| `{}` | {}{} | {} |\n", key.name, word(key.use), neutral.empty() ? "" : " unless " + neutral, key.words);
  }
  return text;
}

}  // namespace hone
