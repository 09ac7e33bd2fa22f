// Failures inside the template language and the budget that keeps any template finite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace hone::text::jinja {

/// What one rendering may spend. Templates and conversations are untrusted: both bounds hold for any input.
struct Budget {
  uint64_t work = 8'000'000;          // one unit: an evaluated node, two list items, or 32 bytes of new text
  size_t text_bytes = size_t{64} << 20;  // longest single text, the output included
  int depth = 400;                    // nested evaluations, macro calls included
};

/// A failure inside an operation that knows no line; the interpreter adds template, line and construct.
struct Failure {
  std::string message;
  bool unsupported = false;  // valid Jinja, outside the subset
};
[[noreturn]] void fail(std::string message);
[[noreturn]] void fail_unsupported(std::string message);

/// Makes `budget` the one that charge() spends on this thread, until destroyed. Meters nest.
class Meter {
 public:
  explicit Meter(const Budget& budget);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

 private:
  Budget left_;
  Budget* outer_;
};

/// Spends `units` of the current budget; throws Failure when it is spent. Free without a meter.
void charge(uint64_t units);

/// Spends for `bytes` of new text and refuses a text longer than the budget's text_bytes.
void charge_text(size_t bytes);

/// The longest text the current budget allows.
size_t text_limit();

}  // namespace hone::text::jinja
