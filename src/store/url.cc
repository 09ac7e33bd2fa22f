#include "store/url.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace hone::store {
namespace {

[[noreturn]] void refuse(std::string_view text, const char* what) {
  throw Error(ErrorCode::kInvalidInput, std::string(text.substr(0, 200)), fmt::format("is not an address hone can use: {}", what), "addresses look like https://host:port/path");
}

}  // namespace

std::string Url::origin() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const bool own = port == (tls ? "443" : "80");
  return (tls ? "https://" : "http://") + name + (own ? "" : ":" + port);
}

Url parse_url(std::string_view text) {
  const std::string_view whole = text;
  Url url;
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; })) refuse(whole, "it holds spaces or control characters");
  if (text.starts_with("https://")) text.remove_prefix(8);
  else if (text.starts_with("http://")) url.tls = false, text.remove_prefix(7);
  else refuse(whole, "it begins with neither https:// nor http://");
  const size_t path = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, path);
  std::string_view target = text.substr(path);
  target = target.substr(0, target.find('#'));
  url.target = target.starts_with("/") ? std::string(target) : "/" + std::string(target);
  if (authority.find('@') != std::string_view::npos) refuse(whole, "it holds a user name");
  std::string_view port;
  if (authority.starts_with("[")) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) refuse(whole, "a bracket is not closed");
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else {
    const size_t colon = std::min(authority.find(':'), authority.size());
    url.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  for (char& c : url.host) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_' && c != ':') refuse(whole, "the host holds odd characters");
  }
  if (url.host.empty()) refuse(whole, "it names no host");
  if (!port.empty()) {
    port.remove_prefix(1);
    const bool digits = !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::stoi(std::string(port)) > 65535) refuse(whole, "the port is malformed");
    url.port = port;
  } else {
    url.port = url.tls ? "443" : "80";
  }
  return url;
}

Url resolve(const Url& base, std::string_view reference) {
  if (reference.starts_with("http://") || reference.starts_with("https://")) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url((base.tls ? "https:" : "http:") + std::string(reference));
  if (reference.starts_with("/")) return parse_url(base.origin() + std::string(reference));
  std::string folder = base.target.substr(0, base.target.find('?'));
  if (!reference.starts_with("?")) folder = folder.substr(0, folder.rfind('/') + 1);
  return parse_url(base.origin() + folder + std::string(reference));
}

std::string url_encoded(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~' || (keep_slashes && c == '/');
    if (plain) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace hone::store
