// The boundaries of a JSON array's elements, found byte by byte: a pushdown automaton whose stack is one bit per bracket.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "data/row_scanner.h"

namespace hone::data {
namespace {

constexpr uint64_t kJsonChunk = 1 << 20;
constexpr size_t kMaxDepth = 1 << 20;  // of brackets in one value: bounds the stack at 128 KiB

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class JsonRows {
 public:
  JsonRows(const InputFile& file, uint64_t max_row_bytes, RowSink on_row)
      : file_(file), max_row_bytes_(max_row_bytes), on_row_(on_row), at_(file.content_begin()) {}

  void run() {
    const auto buffer = std::make_unique<char[]>(kJsonChunk);
    while (at_ < file_.size()) {
      const uint64_t got = file_.read_some(at_, buffer.get(), std::min(kJsonChunk, file_.size() - at_));
      if (got == 0) throw Error(ErrorCode::kIo, file_.path(), "the file became shorter while it was read");
      for (uint64_t i = 0; i < got; ++i, ++at_) {
        feed(buffer[i]);
        if (buffer[i] == file_.line_end()) ++line_;
      }
    }
    if (state_ == State::kInElement || state_ == State::kMember) {
      fail(fmt::format("the file ends inside the value that begins on line {}", value_line_));
    }
    if (state_ != State::kDone) fail("the file ends before its array is closed");
  }

 private:
  enum class State {
    kTop,           // expects [ or {
    kFirstKey,      // after {: a key or }
    kKey,           // after a comma in the object: a key
    kInKey,         // inside a key
    kColon,         // after a key
    kMemberBegin,   // after the colon
    kMember,        // inside a member's value, which is passed over
    kAfterMember,   // , or }
    kFirstElement,  // after [: a value or ]
    kElement,       // after a comma in the array: a value
    kInElement,     // inside an element
    kAfterElement,  // , or ]
    kDone,          // only white space may follow
  };

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", file_.path(), line_), message,
                "the file must be one JSON array of objects, or an object with such an array under \"data\"; for one "
                "object per line use the extension .jsonl");
  }
  [[noreturn]] void fail_at(char c, const char* expected) const {
    const auto byte = static_cast<unsigned char>(c);
    fail(byte > 0x20 && byte < 0x7f ? fmt::format("expected {}, found '{}'", expected, c)
                                    : fmt::format("expected {}, found byte 0x{:02x}", expected, byte));
  }

  void feed(char c) {
    switch (state_) {
      case State::kInElement:
        if (in_value(c)) return keep(c);
        finish_element();
        return feed(c);  // the byte after a value ends it; the state has changed, so this goes one level deep
      case State::kMember:
        if (in_value(c)) return;
        state_ = State::kAfterMember;
        return feed(c);
      case State::kInKey:
        return in_key(c);
      default:
        break;
    }
    if (is_space(c)) return;
    switch (state_) {
      case State::kTop:
        if (c == '[') state_ = State::kFirstElement;
        else if (c == '{') state_ = State::kFirstKey, in_object_ = true;
        else fail_at(c, "[ or {");
        return;
      case State::kFirstKey:
      case State::kKey:
        if (c == '"') state_ = State::kInKey, key_.clear(), escaped_ = false;
        else if (c == '}' && state_ == State::kFirstKey) close_object();
        else fail_at(c, "a key in quotes");
        return;
      case State::kColon:
        if (c != ':') fail_at(c, ":");
        state_ = State::kMemberBegin;
        return;
      case State::kMemberBegin:
        if (key_ == "data" && c == '[' && !found_) {
          state_ = State::kFirstElement;
        } else {
          begin_value(c);
          state_ = State::kMember;
        }
        return;
      case State::kAfterMember:
        if (c == ',') state_ = State::kKey;
        else if (c == '}') close_object();
        else fail_at(c, ", or }");
        return;
      case State::kFirstElement:
      case State::kElement:
        found_ = true;
        if (c == ']' && state_ == State::kFirstElement) return close_array();
        if (c == ']' || c == ',') fail_at(c, "a value after the comma");
        begin_value(c);
        row_.clear();
        row_begin_ = at_;
        row_bytes_ = 0;
        state_ = State::kInElement;
        return keep(c);
      case State::kAfterElement:
        if (c == ',') state_ = State::kElement;
        else if (c == ']') close_array();
        else fail_at(c, ", or ]");
        return;
      case State::kDone:
        fail_at(c, "the end of the file");
      default:
        return;
    }
  }

  void in_key(char c) {
    if (c == '"' && !escaped_) {
      state_ = State::kColon;
      return;
    }
    escaped_ = c == '\\' && !escaped_;
    if (key_.size() <= 4) key_ += c;  // only "data" matters
  }

  void close_object() {
    if (!found_) fail("the object has no array under \"data\"");
    state_ = State::kDone;
  }
  void close_array() { state_ = in_object_ ? State::kAfterMember : State::kDone; }

  void begin_value(char c) {
    value_line_ = line_;
    brackets_.clear();
    escaped_ = false;
    in_string_ = c == '"';
    scalar_ = c != '"' && c != '[' && c != '{';
    value_ended_ = false;
    if (c == ']' || c == '}' || c == ',' || c == ':') fail_at(c, "a value");
    if (c == '[' || c == '{') brackets_.push_back(c == '{');
  }

  // False when the value was over before `c`.
  bool in_value(char c) {
    if (value_ended_) return false;
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        value_ended_ = brackets_.empty();
      }
      return true;
    }
    if (scalar_) return !is_space(c) && c != ',' && c != ']' && c != '}';
    if (c == '"') {
      in_string_ = true;
    } else if (c == '[' || c == '{') {
      if (brackets_.size() >= kMaxDepth) fail("brackets nested more than a million deep");
      brackets_.push_back(c == '{');
    } else if (c == ']' || c == '}') {
      if (brackets_.back() != (c == '}')) fail(fmt::format("'{}' closes a bracket of the other kind", c));
      brackets_.pop_back();
      value_ended_ = brackets_.empty();
    }
    return true;
  }

  void keep(char c) {
    ++row_bytes_;
    if (row_.size() < max_row_bytes_) row_ += c;
  }

  void finish_element() {
    state_ = State::kAfterElement;
    on_row_({row_begin_, row_begin_ + row_bytes_, value_line_, row_bytes_ > max_row_bytes_, row_});
  }

  const InputFile& file_;
  const uint64_t max_row_bytes_;
  RowSink on_row_;
  uint64_t at_, line_ = 1;
  State state_ = State::kTop;
  bool in_object_ = false, found_ = false;
  std::string key_;
  std::vector<bool> brackets_;  // open brackets of the current value: true for {
  bool in_string_ = false, escaped_ = false, scalar_ = false, value_ended_ = false;
  uint64_t value_line_ = 0, row_begin_ = 0, row_bytes_ = 0;
  std::string row_;
};

}  // namespace

void scan_json(const InputFile& file, uint64_t max_row_bytes, RowSink on_row) {
  JsonRows(file, max_row_bytes, on_row).run();
}

}  // namespace hone::data
