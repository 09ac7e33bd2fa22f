// The server at $HONE_HOST, for verbs that ask it.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "serve/http/address.h"

namespace hone::apps {

class ServerClient {
 public:
  ServerClient() : address_(serve::http::default_address()) {}

  /// The JSON of a successful answer; a null `body` sends none. $HONE_API_KEY goes along. Throws Error{kIo} when nobody answers there, naming
  /// the address, and what the server says: Error{kNotFound}, Error{kInvalidInput}, Error{kBusy} or Error{kIo}.
  nlohmann::ordered_json ask(const std::string& method, const std::string& path, const nlohmann::ordered_json& body = nullptr) const;

 private:
  const serve::http::Address address_;
};

/// A name with its tag, as the server lists it: "NAME:latest" of "NAME".
std::string with_tag(const std::string& name);

}  // namespace hone::apps
