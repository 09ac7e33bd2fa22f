#include "serve/http/guard.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/text_encoding.h"

namespace hone::serve::http {
namespace {

std::array<unsigned char, 32> digest_of(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return result;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::optional<std::string> base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > 4096) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  for (size_t i = text.size(); i > 0 && text[i - 1] == '='; --i) bytes.pop_back();
  return bytes;
}

}  // namespace

Keys Keys::from_file(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0)
    throw Error(ErrorCode::kInvalidInput, path.string(), "everybody on this machine may read these keys", fmt::format("chmod 600 {}", path.string()));
  return parse(read_text(path, 1 << 20), path.string());
}

Keys Keys::parse(std::string_view text, const std::string& where) {
  Keys keys;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view words = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty() || words.starts_with('#')) continue;
    const size_t space = std::min(words.find_first_of(" \t"), words.size());
    const std::string_view role = words.substr(0, space), key = trimmed(words.substr(space));
    const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInvalidInput, fmt::format("{}:{}", where, line), what, "write lines such as: infer 4f6cA…"); };
    if (role != "infer" && role != "admin") refuse("expected \"infer KEY\" or \"admin KEY\"");
    if (key.size() < 16) refuse("a key needs at least 16 characters");
    if (key.find_first_of(" \t") != std::string_view::npos) refuse("a key holds no spaces");
    keys.keys_.push_back({digest_of(key), role == "admin" ? Role::kAdmin : Role::kInfer});
  }
  if (keys.empty()) throw Error(ErrorCode::kInvalidInput, where, "holds no key", "write lines such as: infer 4f6cA…");
  return keys;
}

Role Keys::role_of(std::string_view key) const {
  const auto digest = digest_of(key);
  Role role = Role::kNone;
  for (const Key& known : keys_)
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), digest.size()) == 0) role = std::max(role, known.role);
  return role;
}

std::optional<std::string> key_of(const Request& request) {
  const std::string_view header = request.header("authorization");
  const size_t space = std::min(header.find(' '), header.size());
  const std::string scheme = lower(header.substr(0, space));
  const std::string_view rest = trimmed(header.substr(space));
  if (scheme == "bearer" && !rest.empty()) return std::string(rest);
  if (scheme == "basic") {
    const auto pair = base64(rest);
    const size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon != std::string::npos) return pair->substr(colon + 1);
  }
  if (const std::string_view key = request.header("x-api-key"); !key.empty()) return std::string(key);
  return std::nullopt;
}

std::optional<std::string> host_name(std::string_view host) {
  std::string_view name = host, port;
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    name = host.substr(1, end - 1);
    port = host.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return std::nullopt;
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon);
  }
  if (!port.empty() && (port.size() > 6 || port.find_first_not_of("0123456789", 1) != std::string_view::npos)) return std::nullopt;
  if (name.empty() || name.size() > 255) return std::nullopt;
  std::string result = lower(name);
  if (result.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._:%") != std::string::npos) return std::nullopt;
  if (result.size() > 1 && result.ends_with('.')) result.pop_back();
  return result;
}

bool is_ip_address(std::string_view name) {
  if (name.find(':') != std::string_view::npos) return true;
  int parts = 0;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    const std::string_view part = name.substr(0, dot);
    if (part.empty() || part.size() > 3 || part.find_first_not_of("0123456789") != std::string_view::npos) return false;
    ++parts;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return parts == 4;
}

bool is_loopback(std::string_view name) {
  return name == "localhost" || name.ends_with(".localhost") || name == "::1" || (name.starts_with("127.") && is_ip_address(name));
}

bool is_own_name(std::string_view name) {
  // "0.0.0.0" and "::" are what clients say whose setting is the server's own ($OLLAMA_HOST); to them it means this machine.
  if (is_loopback(name) || name == "0.0.0.0" || name == "::") return true;
  // Names under which containers find their host; none of them can be registered by anybody.
  if (name == "host.docker.internal" || name == "gateway.docker.internal" || name == "host.containers.internal") return true;
  static const std::string machine = [] {
    char text[256] = "";
    return ::gethostname(text, sizeof(text) - 1) == 0 ? lower(text) : std::string();
  }();
  return !machine.empty() && name == machine;
}

bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {  // the last * takes one more
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string wrong_host(const Request& request, const GuardOptions& options) {
  const size_t count = request.count("host");
  if (count == 0) return "";  // HTTP/1.0; no browser leaves it out
  if (count > 1) return "more than one Host header";
  const auto name = host_name(request.header("host"));
  if (!name) return "malformed Host header";
  if (is_own_name(*name) || options.keys) return "";
  if (std::find(options.hosts.begin(), options.hosts.end(), *name) != options.hosts.end()) return "";
  if (!options.loopback && is_ip_address(*name)) return "";
  return fmt::format("this server does not answer for the host {}", *name);
}

bool origin_allowed(const Request& request, const GuardOptions& options) {
  const std::string_view origin = request.header("origin");
  if (request.count("origin") != 1) return request.count("origin") == 0;
  const std::string asked = lower(origin);
  if (std::any_of(options.origins.begin(), options.origins.end(), [&](const std::string& pattern) { return matches(lower(pattern), asked); })) return true;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = origin.substr(scheme + 3), kind = origin.substr(0, scheme);
  // Programs of this machine that show pages of their own; no web site has such an origin.
  if (options.loopback && (kind == "app" || kind == "file" || kind == "tauri" || kind == "vscode-webview" || kind == "vscode-file")) return true;
  if (kind != "http" && kind != "https") return false;
  if (!request.header("host").empty() && lower(rest) == lower(request.header("host"))) return true;
  const auto name = host_name(rest);
  return name && options.loopback && (is_loopback(*name) || *name == "0.0.0.0");
}

}  // namespace hone::serve::http
