#include "store/proxy.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace hone::store {
namespace {

struct Setting {
  std::string name, value;
};

// The first variable that is set, in small letters or in capital ones.
Setting first_set(std::initializer_list<const char*> names, const Environment& environment) {
  for (const std::string small : names) {
    std::string capital = small;
    for (char& c : capital) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    for (const std::string& name : {small, capital})
      if (std::string value = environment(name.c_str()); !value.empty()) return {name, std::move(value)};
  }
  return {};
}

// The bytes of an address in order; empty for what is none.
std::vector<unsigned char> address_bytes(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.begin(), bytes.begin() + 4};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.begin(), bytes.end()};
  return {};
}

bool in_range(const std::string& host, const std::string& network, std::string_view length) {
  const auto a = address_bytes(host), b = address_bytes(network);
  size_t bits = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (a.empty() || a.size() != b.size() || error != std::errc() || end != length.data() + length.size() || bits > 8 * a.size()) return false;
  for (size_t bit = 0; bit < bits; ++bit)
    if (((a[bit / 8] ^ b[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
  return true;
}

// An entry of $no_proxy.
bool covers(std::string entry, const Url& url) {
  if (entry == "*") return true;
  if (const size_t slash = entry.find('/'); slash != std::string::npos) return in_range(url.host, entry.substr(0, slash), std::string_view(entry).substr(slash + 1));
  const size_t bracket = entry.rfind(']'), colon = entry.rfind(':');
  const bool one_colon = colon != std::string::npos && entry.find(':') == colon;
  if (one_colon || (bracket != std::string::npos && colon == bracket + 1)) {  // else its colons are those of an IPv6 address
    if (entry.substr(colon + 1) != url.port) return false;
    entry.resize(colon);
  }
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  if (entry.starts_with("*.")) entry.erase(0, 1);
  if (const auto bytes = address_bytes(entry); !bytes.empty()) return bytes == address_bytes(url.host);
  const std::string domain = entry.starts_with('.') ? entry.substr(1) : entry;
  return !domain.empty() && (url.host == domain || url.host.ends_with("." + domain));
}

bool of_this_machine(const std::string& host) {
  const auto bytes = address_bytes(host);
  const bool v6_loopback = bytes.size() == 16 && bytes.back() == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char c) { return c == 0; });
  return host == "localhost" || host.ends_with(".localhost") || (bytes.size() == 4 && bytes[0] == 127) || v6_loopback;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    unsigned value = 0;
    const bool coded = text[at] == '%' && at + 2 < text.size() && std::isxdigit(static_cast<unsigned char>(text[at + 1])) && std::isxdigit(static_cast<unsigned char>(text[at + 2]));
    if (coded) {
      std::from_chars(text.data() + at + 1, text.data() + at + 3, value, 16);
      at += 2;
    }
    out += coded ? static_cast<char>(value) : text[at];
  }
  return out;
}

std::string base64(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()))));
  return out;
}

// Never says the value itself: it may hold a password.
Proxy parse_proxy(const Setting& setting) {
  constexpr const char* kForm = "write it as http://host:port or http://name:password@host:port";
  std::string_view text = setting.value;
  if (text.size() > 4096) throw Error(ErrorCode::kInvalidInput, setting.name, "is not the address of a proxy", kForm);
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    if (text.substr(0, scheme) != "http") throw Error(ErrorCode::kUnsupported, setting.name, fmt::format("a proxy that speaks {} is not understood", text.substr(0, std::min<size_t>(scheme, 20))), kForm);
    text.remove_prefix(scheme + 3);
  }
  Proxy proxy;
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    std::string_view user = text.substr(0, at);
    const size_t colon = std::min(user.find(':'), user.size());
    proxy.authorization = "Basic " + base64(percent_decoded(user.substr(0, colon)) + ":" + percent_decoded(user.substr(std::min(colon + 1, user.size()))));
    text.remove_prefix(at + 1);
  }
  try {
    const Url url = parse_url("http://" + std::string(text));
    if (url.target != "/") throw Error(ErrorCode::kInvalidInput, setting.name, "", "");
    proxy.host = url.host;
    proxy.port = url.port;
  } catch (const Error&) {
    throw Error(ErrorCode::kInvalidInput, setting.name, "is not the address of a proxy", kForm);
  }
  return proxy;
}

}  // namespace

std::string Proxy::place() const { return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port; }

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::optional<Proxy> proxy_for(const Url& url, const Environment& environment) {
  const Setting setting = first_set({url.tls ? "https_proxy" : "http_proxy", "all_proxy"}, environment);
  if (setting.value.empty() || of_this_machine(url.host)) return std::nullopt;
  std::string list = first_set({"no_proxy"}, environment).value;
  for (char& c : list) c = c == ' ' || c == '\t' ? ',' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin && covers(list.substr(begin, end - begin), url)) return std::nullopt;
    begin = end + 1;
  }
  return parse_proxy(setting);
}

}  // namespace hone::store
