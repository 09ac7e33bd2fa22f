// Where a server listens, or is asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hone::serve::http {

struct Address {
  bool tls = false;
  std::string host = "127.0.0.1";  // without brackets
  uint16_t port = 11434;

  /// "http://127.0.0.1:11434", as a client asks it: an address that stands for all of a machine's own ("0.0.0.0") becomes the loopback one.
  std::string url() const;
};

/// "host", "host:port", ":port", "[::1]:80", "http://host:port", "https://host" (port 443); what is missing is the default. Throws
/// Error{kInvalidInput} naming `where`.
Address parse_address(std::string_view text, const std::string& where);

/// $HONE_HOST, or the default.
Address default_address();

}  // namespace hone::serve::http
