// Who may ask: keys with roles, and which hosts and origins a request may name (so that web pages elsewhere cannot use a
// server on this machine).
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"

namespace hone::serve::http {

/// API keys and what each may do.
class Keys {
 public:
  Keys() = default;
  /// A text file with a line "infer KEY" or "admin KEY" per key; # begins a comment. Throws Error{kInvalidInput} naming file and
  /// line for anything else, keys shorter than 16 characters, and files that everybody may read.
  static Keys from_file(const std::filesystem::path& path);
  static Keys parse(std::string_view text, const std::string& where);

  bool empty() const { return keys_.empty(); }
  /// The role of `key`, kNone for an unknown one. Takes the same time whichever key it is.
  Role role_of(std::string_view key) const;

 private:
  struct Key {
    std::array<unsigned char, 32> digest;
    Role role;
  };
  std::vector<Key> keys_;
};

/// The key of "Authorization: Bearer KEY", "Authorization: Basic …" (the password) or "X-API-Key: KEY".
std::optional<std::string> key_of(const Request& request);

/// "localhost:11434", "[::1]:80", "example.org" without the port, in lower case; nullopt when malformed.
std::optional<std::string> host_name(std::string_view host);
bool is_loopback(std::string_view name);    // localhost, *.localhost, 127.…, ::1
bool is_ip_address(std::string_view name);
/// Whether a request addressed to this name can only have meant this machine: a loopback name, 0.0.0.0, ::, the machine's own name,
/// and the names that containers have for their host.
bool is_own_name(std::string_view name);
/// Whether `text` is `pattern`, whose "*" stand for anything.
bool matches(std::string_view pattern, std::string_view text);

struct GuardOptions {
  bool loopback = true;                    // the server listens on this machine only
  bool keys = false;                       // a key is asked of everybody, so a foreign page gains nothing by a name that leads here
  std::vector<std::string> hosts;          // further names that requests may be addressed to
  std::vector<std::string> origins;        // further origins whose pages may use the server: "https://chat.example.org", "https://*.example.org"
};

/// Why a request is refused for the host it names, or an empty string. Host must be there once in HTTP/1.1 requests.
std::string wrong_host(const Request& request, const GuardOptions& options);
/// Whether the page of an Origin header may use the server: one of this server's own, a listed one, or, where the server listens on this
/// machine only, one of this machine's: http://localhost and pages of desktop programs (app://, file://, tauri://, vscode-webview://,
/// vscode-file://). Never "null", which any web site can make its pages say.
bool origin_allowed(const Request& request, const GuardOptions& options);

}  // namespace hone::serve::http
