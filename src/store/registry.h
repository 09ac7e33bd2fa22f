// A model registry: the Docker registry API v2, as Ollama speaks it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "store/download.h"
#include "store/http_client.h"
#include "store/manifest.h"
#include "store/name.h"

namespace hone::store {

/// Speaks to the host of one name. Credentials come from Docker's configuration ($DOCKER_CONFIG/config.json, default
/// ~/.docker/config.json) and go to the host they are stored for, and to the token service it names when that is the host
/// itself. Failures that may pass are tried again.
class Registry {
 public:
  /// `insecure`: http instead of https.
  Registry(const ModelName& name, bool insecure, const Watch& watch);

  /// The manifest as it was published. Throws Error{kNotFound}.
  std::string manifest();
  /// Fetches a blob into `file`.
  void fetch(const Layer& layer, const std::filesystem::path& file);
  /// Whether the registry has the blob.
  bool has(const Layer& layer);
  /// Uploads a blob in pieces, going on after a cut.
  void upload(const Layer& layer, const std::filesystem::path& file);
  void put_manifest(std::string_view bytes);

 private:
  HttpResponse ask(const HttpRequest& request);
  HttpResponse ask_once(const HttpRequest& request);
  std::string token_from(const std::string& challenge);
  std::string address(const std::string& path) const { return origin_ + "/v2/" + name_.repository() + "/" + path; }

  ModelName name_;
  bool insecure_;
  const Watch& watch_;
  std::string origin_;         // "https://host"
  std::string authorization_;  // that the registry accepted or asked for
  HttpClient client_;
};

}  // namespace hone::store
