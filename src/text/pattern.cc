#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "text/regex_dialect.h"

namespace hone::text {
namespace {

constexpr size_t kMaxPattern = 1 << 16;
// Steps allowed to one attempt: a tokenizer's pattern passes over a long run of white space a few times at most.
constexpr size_t kStepsPerByte = 20, kFreeSteps = 10'000;
constexpr uint32_t kDepthLimit = 100'000, kHeapLimitKib = 64 << 10;
// Texts above kShort bytes are searched in slices of start positions, between which the time spent is looked at: 5 s and 10 µs a
// byte (the reference patterns need about 0.1 µs a byte).
constexpr size_t kShort = 1024, kStarts = 4096;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;
using MatchContext = std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)>;

MatchContext limits(size_t bytes) {
  MatchContext context(pcre2_match_context_create(nullptr), &pcre2_match_context_free);
  HONE_CHECK(context, "no match context");
  pcre2_set_match_limit(context.get(), static_cast<uint32_t>(std::min<size_t>(kFreeSteps + kStepsPerByte * bytes, UINT32_MAX)));
  pcre2_set_depth_limit(context.get(), kDepthLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  return context;
}

}  // namespace

struct Pattern::Impl {
  std::string where, literal, source;
  pcre2_code* code = nullptr;  // null: a literal
  bool jit = false;
  MatchContext short_limits{nullptr, &pcre2_match_context_free};
  ~Impl() { pcre2_code_free(code); }

  // The range of the first match that begins at or after `at` (and, with an offset limit, not after it).
  bool match(std::string_view text, size_t at, pcre2_match_context* context, size_t& begin, size_t& end) const {
    // One pair is enough: groups are of no interest. Kept by each thread, because most texts are words.
    thread_local const MatchData data(pcre2_match_data_create(1, nullptr), &pcre2_match_data_free);
    HONE_CHECK(data, "no match data");
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found = jit ? pcre2_jit_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, data.get(), context) : PCRE2_ERROR_JIT_STACKLIMIT;
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)  // the interpreter keeps its stack on the heap
      found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), context);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) give_up(at, found);
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    begin = range[0];
    end = std::max(range[0], range[1]);
    return true;
  }

  [[noreturn]] void give_up(size_t at, int found) const {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(found, message, sizeof message);
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("the pattern gave up after byte {}: {}", at, reinterpret_cast<char*>(message)),
                "the tokenizer's pattern is pathological, or the text is: split the text");
  }
};

Pattern::Pattern(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Pattern::Pattern(const std::string& regex, const std::string& where) : impl_(std::make_unique<Impl>()) {
  impl_->where = where;
  impl_->source = regex;
  if (regex.size() > kMaxPattern)
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("pattern of {} bytes; at most {} are read", regex.size(), kMaxPattern));
  const std::string translated = pcre_of_oniguruma(regex, where);
  int code = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(pcre2_compile_context_create(nullptr),
                                                                                            &pcre2_compile_context_free);
  HONE_CHECK(context, "no compile context");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // Ruby's ^ and $ are at the ends of lines.
  impl_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C, &code, &offset,
                              context.get());
  if (!impl_->code) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(code, message, sizeof message);
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("pattern \"{}\" does not compile at character {}: {}", translated, offset, reinterpret_cast<char*>(message)),
                "the tokenizer file is damaged, or written for an expression dialect that hone does not know");
  }
  impl_->jit = pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE) == 0;  // without it, matching is slower but the same
  impl_->short_limits = limits(kShort);
}

Pattern Pattern::literal(std::string_view text, const std::string& where) {
  auto impl = std::make_unique<Impl>();
  impl->where = where;
  impl->literal = impl->source = text;
  return Pattern(std::move(impl));
}

const std::string& Pattern::source() const { return impl_->source; }

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

void Pattern::each_match(std::string_view text, FunctionRef<void(size_t, size_t)> fn) const {
  if (!impl_->code) {
    const std::string& word = impl_->literal;
    if (word.empty()) return;
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) fn(at, at + word.size());
    return;
  }
  const bool is_short = text.size() <= kShort;
  const MatchContext own = is_short ? MatchContext(nullptr, &pcre2_match_context_free) : limits(text.size());
  const double deadline = is_short ? 0 : thread_seconds() + 5 + 1e-5 * static_cast<double>(text.size());
  size_t checked = 0;
  for (size_t at = 0; at < text.size();) {
    size_t limit = text.size();
    if (!is_short) {
      limit = std::min(text.size(), at + kStarts);
      pcre2_set_offset_limit(own.get(), limit);
      if (at >= checked + kStarts) {
        checked = at;
        if (thread_seconds() > deadline) impl_->give_up(at, PCRE2_ERROR_MATCHLIMIT);
      }
    }
    size_t begin = 0, end = 0;
    if (!impl_->match(text, at, is_short ? impl_->short_limits.get() : own.get(), begin, end)) {
      at = limit;
    } else if (end > begin) {
      fn(begin, end);
      at = end;
      continue;
    } else {
      at = end + 1;
    }
    while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
  }
}

}  // namespace hone::text
