#include "base/path.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace hone {
namespace {

[[noreturn]] void cannot_expand(const std::string& where, const std::string& message, const std::string& hint) { throw Error(ErrorCode::kInvalidInput, where, message, hint); }

std::string home_of(const std::string& user, const std::string& where) {
  if (user.empty()) {
    if (const char* home = std::getenv("HOME"); home && *home) return home;
  }
  const passwd* entry = user.empty() ? ::getpwuid(::getuid()) : ::getpwnam(user.c_str());
  if (!entry || !entry->pw_dir || !*entry->pw_dir)
    cannot_expand(where, user.empty() ? "~ stands for a home folder, and $HOME is not set" : fmt::format("~{} stands for a home folder, and there is no user {}", user, user),
                  user.empty() ? "write the path out" : fmt::format("write ./~{} for a file of that name", user));
  return entry->pw_dir;
}

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool goes_on(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

std::string value_of(const std::string& name, const std::string& where) {
  const char* value = std::getenv(name.c_str());
  if (!value) cannot_expand(where, fmt::format("${} is not set", name), "set the variable, or write the path out");
  return value;
}

}  // namespace

std::string expanded_path(const std::string& text, const std::string& where) {
  if (!text.starts_with('~') && text.find('$') == std::string::npos) return text;
  std::error_code ignored;
  if (std::filesystem::exists(text, ignored)) return text;
  std::string out;
  size_t at = 0;
  if (text.starts_with('~')) {
    at = std::min(text.find('/'), text.size());
    out = home_of(text.substr(1, at - 1), where);
  }
  while (at < text.size()) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out += text[at++];
    } else if (text[at + 1] == '{') {
      const size_t end = text.find('}', at);
      const std::string name = end == std::string::npos ? "" : text.substr(at + 2, end - at - 2);
      if (name.empty() || !begins_name(name[0]) || name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
        cannot_expand(where, fmt::format("{} does not name a variable", text.substr(at, end == std::string::npos ? std::string::npos : end - at + 1)), "${NAME} is understood, nothing more of a shell's language");
      out += value_of(name, where);
      at = end + 1;
    } else if (begins_name(text[at + 1])) {
      size_t end = at + 1;
      while (end < text.size() && goes_on(text[end])) ++end;
      out += value_of(text.substr(at + 1, end - at - 1), where);
      at = end;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string shell_word(const std::string& text) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("_-./:,=+@%").find(c) != std::string_view::npos || (c & 0x80); };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace hone
