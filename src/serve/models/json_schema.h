// JSON schemas, as far as they can be followed byte by byte while an answer is written.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "serve/api/fields.h"

namespace hone::serve {

/// One place of a schema: what a value there may be.
struct SchemaNode {
  bool object = false, array = false, string = false, number = false, integer = false, boolean = false, null = false;
  std::vector<std::string> literals;                  // enum and const, as compact JSON; empty: no such restriction
  std::vector<const SchemaNode*> choices;             // anyOf, oneOf: one of these instead of the above
  std::vector<std::pair<std::string, const SchemaNode*>> properties;  // keys as JSON writes them, without the quotes; at most 64
  uint64_t required = 0;                              // by index into properties
  const SchemaNode* additional = nullptr;             // values of other keys; null: there are none
  const SchemaNode* items = nullptr;
  int64_t min_items = 0, max_items = -1;
};

class Schema {
 public:
  /// Any JSON object: what "json" asks for.
  static std::shared_ptr<const Schema> any_object();
  /// Understands type, properties, required, additionalProperties, items, minItems, maxItems, enum, const, anyOf, oneOf, $ref into the
  /// schema itself; passes over words that describe (title, description, default, format …). Throws Error{kUnsupported} naming `where`
  /// for words that would restrict further, Error{kInvalidInput} for malformed ones.
  static std::shared_ptr<const Schema> parse(const Json& json, const std::string& where);

  const SchemaNode* root() const { return root_; }

 private:
  friend class SchemaParser;
  SchemaNode* add();
  std::vector<std::unique_ptr<SchemaNode>> nodes_;
  const SchemaNode* root_ = nullptr;
};

/// Reads JSON text byte by byte, as long as it follows a schema. Objects hold each key once; between tokens at most 32 blanks.
class JsonReader {
 public:
  explicit JsonReader(const SchemaNode* root);
  /// False, for good, when no document that follows the schema goes on like this.
  bool push(unsigned char byte);
  /// The document could end here.
  bool complete() const;
  /// Every continuation is inside a string that may hold anything but quotes, backslashes and control characters.
  bool in_free_string() const;

 private:
  enum class Mode : uint8_t { kValue, kObjectStart, kKey, kColon, kObjectNext, kObjectComma, kArrayStart, kArrayNext, kString, kNumber, kLiteral, kDone };
  struct Frame {
    const SchemaNode* node;
    uint64_t seen = 0;   // properties of an object
    int64_t items = 0;   // of an array
  };
  struct State {
    Mode mode = Mode::kValue;
    uint8_t escape = 0;      // inside a string: 1 after a backslash, 2…5 within \uXXXX
    uint8_t number = 0;      // part of a number
    uint8_t blanks = 0;
    const SchemaNode* node = nullptr;  // of the value that is being read
    std::string text;        // of the key or the literal so far
    std::vector<Frame> frames;
  };
  void advance(State state, unsigned char byte, std::vector<State>& out) const;
  void begin_value(State state, unsigned char byte, std::vector<State>& out) const;
  void begin_choice(const State& state, unsigned char byte, std::vector<const SchemaNode*>& tried, std::vector<State>& out) const;
  void end_value(State state, std::vector<State>& out) const;
  bool step_string(State& state, unsigned char byte, bool& ended) const;
  static bool step_number(State& state, unsigned char byte);
  static bool number_complete(const State& state);

  std::vector<State> states_;  // the ways in which the text so far can be read; more than one within anyOf
};

}  // namespace hone::serve
