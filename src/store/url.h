// Addresses of the web, as far as registries and the hub need them.
#pragma once

#include <string>
#include <string_view>

namespace hone::store {

struct Url {
  bool tls = true;
  std::string host, port;    // without brackets; the port as digits, never empty
  std::string target = "/";  // path and query, begins with "/"

  /// "https://host:5000"; the port is left out where it is the scheme's own.
  std::string origin() const;
  std::string text() const { return origin() + target; }
  bool same_origin(const Url& other) const { return tls == other.tls && host == other.host && port == other.port; }
};

/// Reads an http or https address. User names, control characters and malformed ports are refused with Error{kInvalidInput}.
Url parse_url(std::string_view text);
/// What `reference` (of a Location header) means on a page at `base`: absolute, "//host/…", "/path" or "path".
Url resolve(const Url& base, std::string_view reference);
/// Percent-encodes everything except letters, digits, "-_.~" and, with `keep_slashes`, "/".
std::string url_encoded(std::string_view text, bool keep_slashes = false);

}  // namespace hone::store
