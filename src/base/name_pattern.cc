#include "base/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace hone {
namespace {

constexpr size_t kMaxRegex = 1 << 14;
constexpr uint32_t kMatchSteps = 100'000, kMatchDepth = 10'000, kMatchHeapKib = 4 << 10;

std::string pcre_message(int code) {
  PCRE2_UCHAR message[256] = {};
  pcre2_get_error_message(code, message, sizeof message);
  return reinterpret_cast<char*>(message);
}

}  // namespace

struct NamePattern::Compiled {
  std::string regex, where;
  pcre2_code* code = nullptr;
  Compiled(std::string r, std::string w) : regex(std::move(r)), where(std::move(w)) {}
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { pcre2_code_free(code); }
};

NamePattern::NamePattern(const std::string& regex, const std::string& where) {
  auto compiled = std::make_shared<Compiled>(regex, where);
  if (regex.size() > kMaxRegex) throw Error(ErrorCode::kInvalidInput, where, fmt::format("pattern of {} bytes; at most {} are read", regex.size(), kMaxRegex));
  for (const char* construct : {"{,", "[[:", "[[.", "[[="})
    if (regex.find(construct) != std::string::npos)
      throw Error(ErrorCode::kUnsupported, where, fmt::format("pattern \"{}\": \"{}\" is not read", regex, construct), "write it another way: {0,3} for {,3}");
  int code = 0;
  PCRE2_SIZE offset = 0;
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (!compiled->code)
    throw Error(ErrorCode::kInvalidInput, where, fmt::format("pattern \"{}\" does not compile at character {}: {}", regex, offset, pcre_message(code)), "correct the regular expression");
  compiled_ = std::move(compiled);
}

NamePattern NamePattern::suffix(const std::string& regex, const std::string& where) {
  const NamePattern alone(regex, where);  // an unbalanced bracket must not meet ours
  return NamePattern("(.*\\.)?(" + regex + ")", where);
}

bool NamePattern::matches(std::string_view name) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(pcre2_match_data_create(1, nullptr), &pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(pcre2_match_context_create(nullptr), &pcre2_match_context_free);
  HONE_CHECK(data && context, "no memory for a match");
  pcre2_set_match_limit(context.get(), kMatchSteps);
  pcre2_set_depth_limit(context.get(), kMatchDepth);
  pcre2_set_heap_limit(context.get(), kMatchHeapKib);
  const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, data.get(), context.get());
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0)
    throw Error(ErrorCode::kInvalidInput, compiled_->where, fmt::format("pattern \"{}\" gave up on \"{}\": {}", compiled_->regex, name, pcre_message(found)), "write a simpler regular expression");
  return true;
}

}  // namespace hone
