// Which proxy the environment wants between this machine and an address.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "store/url.h"

namespace hone::store {

struct Proxy {
  std::string host, port;     // spoken to in plain HTTP; TLS goes through it, by CONNECT
  std::string authorization;  // value of Proxy-Authorization; empty: none

  /// "host:port", without the password.
  std::string place() const;
};

/// The value of a variable of the environment; empty when it is not set.
using Environment = std::function<std::string(const char* name)>;
std::string variable(const char* name);

/// $https_proxy for https and $http_proxy for http, then $all_proxy, each in small or else in capital letters:
/// [http://][NAME:PASSWORD@]HOST[:PORT], the port being 80 where none is said, NAME and PASSWORD percent-encoded where they must be.
/// None for addresses of this machine and those that $no_proxy lists, after commas: "*", a domain with all below it, an address, a range
/// of addresses (10.0.0.0/8), each perhaps with ":PORT". Throws Error{kInvalidInput} naming the variable, Error{kUnsupported} for proxies
/// that speak TLS or SOCKS.
std::optional<Proxy> proxy_for(const Url& url, const Environment& environment = variable);

}  // namespace hone::store
