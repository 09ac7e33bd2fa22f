#include "serve/http/address.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"

namespace hone::serve::http {

std::string Address::url() const {
  const std::string asked = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
  return fmt::format("{}://{}:{}", tls ? "https" : "http", asked.find(':') == std::string::npos ? asked : "[" + asked + "]", port);
}

Address parse_address(std::string_view text, const std::string& where) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInvalidInput, where, what, "write 127.0.0.1:11434, or https://host:port"); };
  Address address;
  // As shells and .env files leave them: blanks and quotes around the value.
  constexpr std::string_view kAround = " \t\r\n\"'";
  while (!text.empty() && kAround.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kAround.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    const std::string_view name = text.substr(0, scheme);
    if (name != "http" && name != "https") refuse(fmt::format("{}:// is not spoken", name));
    address.tls = name == "https";
    if (address.tls) address.port = 443;
    text.remove_prefix(scheme + 3);
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) refuse(fmt::format("a server has no path, found \"{}\" behind {}", text.substr(slash), text.substr(0, slash)));
  const bool may_have_port = text.starts_with('[') ? text.find("]:") != std::string_view::npos : std::count(text.begin(), text.end(), ':') == 1;
  if (may_have_port) {
    const size_t colon = text.rfind(':');
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size()) refuse(fmt::format("\"{}\" is no port", port));
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const bool good = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F && std::string_view("/?#@[]\\").find(c) == std::string_view::npos; });
  const bool v6 = std::count(text.begin(), text.end(), ':') > 0;
  if (!good || (v6 && text.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)) refuse(fmt::format("\"{}\" is no host's name or address", text));
  if (!text.empty()) address.host = text;
  return address;
}

Address default_address() {
  const char* value = std::getenv("HONE_HOST");
  return value && *value ? parse_address(value, "HONE_HOST") : Address();
}

}  // namespace hone::serve::http
