#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cctype>

#include "base/error.h"

namespace hone::text {
namespace {
// Generous for tokenizer patterns, which match a word at a time, and far below what would hang.
constexpr uint32_t kMatchLimit = 10'000'000, kDepthLimit = 100'000;
constexpr size_t kMaxPattern = 1 << 16;
}  // namespace

struct Pattern::Impl {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  std::string where, source;
  ~Impl() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

Pattern::Pattern(const std::string& regex, const std::string& where) : impl_(std::make_unique<Impl>()) {
  impl_->where = where;
  impl_->source = regex;
  if (regex.size() > kMaxPattern)
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("pattern of {} bytes; at most {} are read", regex.size(), kMaxPattern));
  int code = 0;
  PCRE2_SIZE offset = 0;
  impl_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (!impl_->code) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(code, message, sizeof message);
    throw Error(ErrorCode::kInvalidInput, where,
                fmt::format("pattern \"{}\" does not compile at character {}: {}", regex, offset, reinterpret_cast<char*>(message)),
                "the tokenizer file is damaged, or written for an expression dialect that hone does not know");
  }
  pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE);  // without it, matching is slower but the same
  impl_->context = pcre2_match_context_create(nullptr);
  HONE_CHECK(impl_->context, "no match context");
  pcre2_set_match_limit(impl_->context, kMatchLimit);
  pcre2_set_depth_limit(impl_->context, kDepthLimit);
}

Pattern Pattern::literal(std::string_view text, const std::string& where) {
  std::string quoted;
  for (char c : text) {
    if (static_cast<uint8_t>(c) < 0x80 && !std::isalnum(static_cast<uint8_t>(c))) quoted += '\\';
    quoted += c;
  }
  return Pattern(quoted, where);
}

const std::string& Pattern::source() const { return impl_->source; }

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

void Pattern::each_match(std::string_view text, const std::function<void(size_t, size_t)>& fn) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(impl_->code, nullptr), &pcre2_match_data_free);
  HONE_CHECK(data, "no match data");
  for (size_t at = 0; at < text.size();) {
    const int found = pcre2_match(impl_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, PCRE2_NO_UTF_CHECK,
                                  data.get(), impl_->context);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0)
      throw Error(ErrorCode::kInvalidInput, impl_->where, fmt::format("the pattern gave up near byte {} (code {})", at, found),
                  "the text is unusual or the tokenizer's pattern is pathological; split the text");
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    if (range[1] > range[0]) {
      fn(range[0], range[1]);
      at = range[1];
    } else {
      at = range[1] + 1;
      while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
    }
  }
}

}  // namespace hone::text
