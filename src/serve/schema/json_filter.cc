#include "serve/schema/json_filter.h"

#include <algorithm>
#include <limits>

#include "text/unicode.h"

namespace hone::serve {

TokenTable::TokenTable(const text::Tokenizer& tokenizer) {
  const auto size = static_cast<size_t>(tokenizer.vocab_size());
  bytes.resize(size);
  characters.resize(size);
  for (size_t i = 0; i < size; ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.is_special(id)) continue;
    bytes[i] = tokenizer.token_bytes(id);
    if (bytes[i].empty()) continue;
    const bool plain = std::all_of(bytes[i].begin(), bytes[i].end(), [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
    if (plain && text::utf8_valid(bytes[i])) characters[i] = static_cast<uint32_t>(code_points(bytes[i]).size());
    by_first_byte[static_cast<unsigned char>(bytes[i][0])].push_back({id, 1});
  }
  const auto text = [&](const Entry& entry) -> const std::string& { return bytes[static_cast<size_t>(entry.id)]; };
  for (auto& entries : by_first_byte) {
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) { return text(a) < text(b); });
    for (size_t i = 1; i < entries.size(); ++i) {
      const std::string &before = text(entries[i - 1]), &now = text(entries[i]);
      entries[i].shared = static_cast<uint32_t>(std::mismatch(before.begin(), before.end(), now.begin(), now.end()).first - before.begin());
    }
  }
}

JsonFilter::JsonFilter(std::shared_ptr<const TokenTable> table, std::shared_ptr<const Schema> schema, std::vector<int32_t> stop_ids, Marks marks)
    : table_(std::move(table)), schema_(std::move(schema)), stop_ids_(std::move(stop_ids)), marks_(std::move(marks)), reader_(schema_->root()) {}

// The tokens of one first byte. Those that only go on with a text which may hold anything need no reader.
void JsonFilter::allow(size_t first, size_t vocabulary, const JsonReader::Text& text) {
  const bool free = text.rule && text.rule->free();
  // Readers after each byte of the token read last. The next one begins where it differs: each prefix is read once.
  std::vector<JsonReader> path = {reader_};
  if (!path.back().push(static_cast<unsigned char>(first))) return;
  bool fits = true;
  size_t shared = 1;  // of the token read last and this one
  for (const TokenTable::Entry& entry : table_->by_first_byte[first]) {
    const auto id = static_cast<size_t>(entry.id);
    shared = std::min<size_t>(shared, entry.shared);
    if (id >= vocabulary) continue;
    if (free && table_->characters[id] > 0) {
      allowed_[id] = 1;
      continue;
    }
    if (!fits && shared > path.size()) continue;  // it begins with what was refused
    const std::string& bytes = table_->bytes[id];
    path.erase(path.begin() + static_cast<std::ptrdiff_t>(std::min(path.size(), shared)), path.end());
    fits = true;
    for (size_t i = path.size(); fits && i < bytes.size(); ++i) {
      JsonReader reader = path.back();
      fits = reader.push(static_cast<unsigned char>(bytes[i]));
      if (fits) path.push_back(std::move(reader));
    }
    allowed_[id] = fits;
    shared = SIZE_MAX;
  }
}

// The same inside a text and nowhere else: its cursor is all there is to copy, until a token goes beyond the closing quote.
void JsonFilter::allow_text(const JsonReader::Text& text, size_t first, size_t vocabulary) {
  struct Place {
    TextCursor cursor;
    bool ended;
  };
  const TextRule& rule = *text.rule;
  const auto go_on = [&](Place place, unsigned char byte) -> std::optional<Place> {
    if (place.ended) return std::nullopt;
    const auto step = rule.step(place.cursor, byte, nullptr);
    if (step == TextRule::Step::kRefused) return std::nullopt;
    return Place{place.cursor, step == TextRule::Step::kEnd};
  };
  const auto begun = go_on({text.cursor, false}, static_cast<unsigned char>(first));
  if (!begun) return;
  std::vector<Place> path = {*begun};
  bool fits = true;
  size_t shared = 1;
  for (const TokenTable::Entry& entry : table_->by_first_byte[first]) {
    const auto id = static_cast<size_t>(entry.id);
    shared = std::min<size_t>(shared, entry.shared);
    if (id >= vocabulary) continue;
    if (!rule.automaton && table_->characters[id] > 0) {
      allowed_[id] = text.cursor.length + table_->characters[id] <= rule.max;
      continue;
    }
    if (!fits && shared > path.size()) continue;
    const std::string& bytes = table_->bytes[id];
    path.resize(std::min(path.size(), shared), path.front());
    fits = true;
    for (size_t i = path.size(); fits && i < bytes.size() && !path.back().ended; ++i) {
      const auto next = go_on(path.back(), static_cast<unsigned char>(bytes[i]));
      fits = next.has_value();
      if (fits) path.push_back(*next);
    }
    shared = SIZE_MAX;
    if (fits && path.back().ended) {
      JsonReader reader = reader_;
      allowed_[id] = std::all_of(bytes.begin(), bytes.end(), [&](char c) { return reader.push(static_cast<unsigned char>(c)); });
    } else {
      allowed_[id] = fits;
    }
  }
}

void JsonFilter::apply(std::span<float> logits) {
  allowed_.assign(logits.size(), 0);
  const JsonReader::Text text = reader_.text();
  bool marked = false;
  for (const auto& [id, bytes] : marks_) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    JsonReader reader = reader_;
    const bool fits = std::all_of(bytes.begin(), bytes.end(), [&](char c) { return reader.push(static_cast<unsigned char>(c)); });
    allowed_[static_cast<size_t>(id)] = fits;
    marked = marked || (fits && !text.rule);
  }
  for (size_t first = 0; first < 256 && !marked; ++first) {
    if (table_->by_first_byte[first].empty()) continue;
    if (text.only) allow_text(text, first, logits.size());
    else allow(first, logits.size(), text);
  }
  const bool stuck = std::none_of(allowed_.begin(), allowed_.end(), [](uint8_t a) { return a != 0; });
  if (reader_.complete() || stuck)
    for (const int32_t id : stop_ids_)
      if (id >= 0 && static_cast<size_t>(id) < logits.size()) allowed_[static_cast<size_t>(id)] = 1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (!allowed_[i]) logits[i] = -std::numeric_limits<float>::infinity();
}

void JsonFilter::accept(int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= table_->bytes.size()) return;
  const auto mark = std::find_if(marks_.begin(), marks_.end(), [&](const auto& one) { return one.first == id; });
  for (const char c : mark == marks_.end() ? table_->bytes[static_cast<size_t>(id)] : mark->second) reader_.push(static_cast<unsigned char>(c));
}

}  // namespace hone::serve
