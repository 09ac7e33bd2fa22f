// Reads JSON text byte by byte, as long as it follows a schema.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/schema/json_schema.h"

namespace hone::serve {

/// Objects hold each key once, named members in the schema's order; between tokens at most 32 blanks; at most Schema::kMaxDepth
/// objects and lists within each other. Whatever has been read can be completed: there are no dead ends. Copies are cheap.
class JsonReader {
 public:
  explicit JsonReader(const SchemaNode* root);
  /// False, for good, when no document that follows the schema goes on like this.
  bool push(unsigned char byte);
  /// The document could end here.
  bool complete() const;

  /// What may come inside a string that is being read, where nothing else is to be heeded: texts without quotes and backslashes
  /// then need no reader. `only`: whoever leaves the rule leaves the document.
  struct Text {
    const TextRule* rule = nullptr;
    TextCursor cursor;
    bool only = false;
  };
  Text text() const;

 private:
  enum class Mode : uint8_t { kValue, kObjectStart, kKey, kExtraKey, kColon, kObjectNext, kObjectComma, kArrayStart, kArrayNext, kString, kNumber, kLiteral, kDone };
  struct Used {  // a key or an item that must not come again
    std::string identity;
    std::shared_ptr<const Used> before;
  };
  struct Frame {
    enum class Kind : uint8_t { kObject, kArray, kSequence } kind;
    const SchemaNode* node;
    std::shared_ptr<const Frame> outer;
    uint32_t depth = 1;   // objects and arrays around a value in it
    uint32_t place = 0;   // the next property that may come; items so far; parts so far
    uint32_t members = 0;
    std::shared_ptr<const Used> used;
  };
  struct State {
    Mode mode = Mode::kValue;
    uint8_t blanks = 0;
    const SchemaNode* node = nullptr;  // of the value that is being read
    const SchemaExtra* extra = nullptr;
    std::shared_ptr<const Frame> frame;
    TextCursor cursor;
    NumberCursor number;
    uint32_t first = 0, last = 0, size = 0;  // literals that begin with what has been read, and its size
    std::string text;  // of a key as it is written, or decoded of an extra key or an item that must not come again
  };
  using States = std::vector<State>;

  void advance(State state, unsigned char byte, States& out) const;
  void begin_value(State state, unsigned char byte, States& out) const;
  void begin_plain(State state, unsigned char byte, States& out) const;
  void end_value(State state, const std::string& identity, States& out) const;
  void begin_member(const State& state, States& out) const;
  void step_key(State state, unsigned char byte, States& out) const;
  void step_extra_key(State state, unsigned char byte, States& out) const;
  void step_string(State state, unsigned char byte, States& out) const;
  void step_number(State state, unsigned char byte, States& out) const;
  void step_literal(State state, unsigned char byte, States& out) const;
  void step_object(State state, unsigned char byte, States& out) const;
  void step_array(State state, unsigned char byte, States& out) const;

  static bool fits(const SchemaNode& node, const State& state);
  static bool may_member(const Frame& frame, size_t property);
  static bool may_extra(const Frame& frame, const SchemaExtra& extra);
  static uint64_t keys_left(const Frame& frame, const SchemaExtra& extra);
  static bool may_more(const Frame& frame);
  static bool may_item(const Frame& frame);
  static const SchemaNode* item_node(const Frame& frame);
  static bool is_used(const std::shared_ptr<const Used>& used, const std::string& identity);
  static uint64_t used_texts(const std::shared_ptr<const Used>& used, const std::string& prefix);
  static std::vector<Decimal> used_numbers(const State& state);
  static bool literal_left(const State& state);

  States states_;  // the ways in which the text so far can be read; more than one within anyOf
};

}  // namespace hone::serve
