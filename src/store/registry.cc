#include "store/registry.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json_file.h"
#include "io/mapped_file.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{16} << 20;  // of an upload
constexpr int kCutsInARow = 6;

// "Basic …" that Docker's configuration stores for this host, else empty.
std::string stored_credentials(const Url& url) {
  const char *folder = std::getenv("DOCKER_CONFIG"), *home = std::getenv("HOME");
  const fs::path file = (folder && *folder ? fs::path(folder) : fs::path(home ? home : ".") / ".docker") / "config.json";
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  const nlohmann::json json = read_json(file, size_t{1} << 20);
  if (!json.is_object() || !json.contains("auths") || !json["auths"].is_object()) return {};
  for (const auto& [key, entry] : json["auths"].items()) {
    std::string host = key.find("://") == std::string::npos ? key : key.substr(key.find("://") + 3);
    host = host.substr(0, host.find('/'));
    const std::string origin = url.origin();
    if (host != origin.substr(origin.find("://") + 3) || !entry.is_object() || !entry.contains("auth") || !entry["auth"].is_string()) continue;
    const std::string auth = entry["auth"].get<std::string>();
    const bool base64 = std::all_of(auth.begin(), auth.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' || c == '='; });
    if (!auth.empty() && base64) return "Basic " + auth;
  }
  return {};
}

// key="value" pairs after the scheme of a WWW-Authenticate header.
std::map<std::string, std::string> challenge_parts(std::string_view text) {
  std::map<std::string, std::string> parts;
  text.remove_prefix(std::min(text.find(' '), text.size()));
  while (!text.empty()) {
    while (!text.empty() && (text[0] == ' ' || text[0] == ',')) text.remove_prefix(1);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) break;
    const std::string key(text.substr(0, equals));
    text.remove_prefix(equals + 1);
    const bool quoted = text.starts_with("\"");
    if (quoted) text.remove_prefix(1);
    const size_t end = std::min(text.find(quoted ? '"' : ','), text.size());
    parts[key] = text.substr(0, end);
    text.remove_prefix(std::min(end + (quoted ? 1 : 0), text.size()));
  }
  return parts;
}

// Token services that are known to serve another host's registry.
bool serves(const std::string& realm_host, const std::string& registry_host) {
  return realm_host == registry_host || (registry_host == "registry.ollama.ai" && realm_host == "ollama.com") || (registry_host == "registry-1.docker.io" && realm_host == "auth.docker.io");
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b)); });
}

}  // namespace

Registry::Registry(const ModelName& name, bool insecure, const Watch& watch)
    : name_(name), insecure_(insecure), watch_(watch), origin_(parse_url((insecure ? "http://" : "https://") + name.host).origin()),
      client_({.insecure = insecure, .interrupted = watch.interrupted}) {}

// A bearer token for the repository, or basic credentials, as the registry asks for.
std::string Registry::token_from(const std::string& challenge) {
  const Url registry = parse_url(origin_);
  const std::string basic = stored_credentials(registry);
  if (starts_with_word(challenge, "basic")) {
    if (basic.empty()) throw Error(ErrorCode::kInvalidInput, origin_, "wants a name and a password, and none are stored for it", fmt::format("docker login {}", name_.host));
    return basic;
  }
  if (!starts_with_word(challenge, "bearer")) throw Error(ErrorCode::kUnsupported, origin_, fmt::format("wants an authorization hone does not know: {}", challenge.substr(0, 80)), "hone knows bearer tokens and basic authorization");
  auto parts = challenge_parts(challenge);
  Url realm = parse_url(parts["realm"]);
  const bool own = realm.same_origin(registry);
  if (!own && (!realm.tls || realm.port != "443" || !serves(realm.host, registry.host)))
    throw Error(ErrorCode::kInvalidInput, origin_, fmt::format("sends us for a token to {}, which is another host", realm.origin()), "a registry that does so may be after credentials: check its address");
  realm.target += realm.target.find('?') == std::string::npos ? '?' : '&';
  realm.target += "service=" + url_encoded(parts["service"]) + "&scope=" + url_encoded(parts["scope"]);
  const HttpResponse answer = client_.send({.url = realm.text(), .authorization = own ? basic : std::string()});
  if (answer.status != 200) throw refusal(answer, realm.origin());
  const nlohmann::json json = parse_json(answer.body, realm.origin());
  for (const char* key : {"token", "access_token"})
    if (json.is_object() && json.contains(key) && json[key].is_string()) {
      const std::string token = json[key].get<std::string>();
      if (!token.empty() && std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; })) return "Bearer " + token;
    }
  throw Error(ErrorCode::kInvalidInput, realm.origin(), "answers without a token", "check the address of the registry");
}

HttpResponse Registry::ask_once(const HttpRequest& request) {
  for (const bool again : {false, true}) {
    HttpRequest r = request;
    // An upload may be sent on to a storage host: what it asks for is its own matter.
    const bool own = parse_url(r.url).same_origin(parse_url(origin_));
    if (own) r.authorization = authorization_;
    HttpResponse response = client_.send(r);
    const auto challenge = response.header("www-authenticate");
    if (response.status == 401 && challenge && own && !again && response.url.same_origin(parse_url(origin_))) {
      authorization_ = token_from(*challenge);
      continue;
    }
    if (response.status == 429 || response.status >= 500) throw refusal(response, r.url);
    return response;
  }
  return {};
}

HttpResponse Registry::ask(const HttpRequest& request) {
  HttpResponse response;
  with_retries(watch_, [&] { response = ask_once(request); });
  return response;
}

std::string Registry::manifest() {
  HttpRequest request{.url = address("manifests/" + name_.tag)};
  request.headers.emplace_back("Accept", std::string(media::kManifest) + ", application/vnd.oci.image.manifest.v1+json");
  HttpResponse response = ask(request);
  if (response.status != 200) throw refusal(response, name_.full());
  const auto digest = response.header("docker-content-digest");
  if (digest && is_digest(*digest) && *digest != digest_of(response.body))
    throw Error(ErrorCode::kInvalidInput, name_.full(), "the manifest that came does not have the digest that the registry says", "try again, and do not trust this server if it happens again");
  return std::move(response.body);
}

void Registry::fetch(const Layer& layer, const fs::path& file) {
  Download what;
  what.url = address("blobs/" + layer.digest);
  what.size = layer.size;
  what.hash = layer.digest.substr(7);
  what.status = "pulling " + layer.digest.substr(7, 12);
  what.digest = layer.digest;
  what.insecure = insecure_;
  what.authorization = [&](bool renew) {
    if (renew) {  // this asks for a new token where the old one ran out
      HttpRequest head{.method = "HEAD", .url = what.url};
      ask(head);
    }
    return authorization_;
  };
  download(what, file, watch_);
}

bool Registry::has(const Layer& layer) {
  const HttpResponse response = ask({.method = "HEAD", .url = address("blobs/" + layer.digest)});
  if (response.status == 404) return false;
  if (response.status != 200) throw refusal(response, address("blobs/" + layer.digest));
  return true;
}

void Registry::upload(const Layer& layer, const fs::path& file) {
  const auto mapped = layer.size > 0 ? io::MappedFile::open(file) : nullptr;
  const std::string_view bytes = mapped ? std::string_view(reinterpret_cast<const char*>(mapped->data()), mapped->size()) : std::string_view();
  const std::string status = "pushing " + layer.digest.substr(7, 12);
  HttpResponse response;
  const auto begin = [&] {
    response = ask({.method = "POST", .url = address("blobs/uploads/")});
    if (response.status != 202) throw refusal(response, address("blobs/uploads/"));
  };
  const auto next = [&] {
    const auto location = response.header("location");
    if (!location) throw Error(ErrorCode::kInvalidInput, origin_, "does not say where to upload to", "check that the address is a registry");
    return resolve(response.url, *location).text();
  };
  begin();
  std::string place = next();
  size_t at = 0;
  watch_.report({status, layer.digest, 0, layer.size});
  for (int cuts = 0; at < bytes.size();) {
    watch_.check();
    const size_t n = std::min(kPiece, bytes.size() - at);
    HttpRequest patch{.method = "PATCH", .url = place, .body = bytes.substr(at, n)};
    patch.headers = {{"Content-Type", "application/octet-stream"}, {"Content-Range", fmt::format("{}-{}", at, at + n - 1)}};
    bool arrived = false;
    try {
      response = ask_once(patch);
      arrived = response.status == 202;
      if (!arrived && response.status != 416 && response.status != 404) throw refusal(response, place);
    } catch (const TransientError&) {
      if (cuts + 1 >= kCutsInARow) throw;
    }
    if (arrived) {
      at += n;
      cuts = 0;
    } else {
      if (++cuts >= kCutsInARow) throw refusal(response, place);
      // How much of the piece it has; registries that forget an upload which was cut get it from the start.
      response = ask({.url = place});
      const std::string range = response.header("range").value_or("");
      const size_t dash = range.find('-');
      const uint64_t last = dash == std::string::npos ? 0 : std::strtoull(range.c_str() + dash + 1, nullptr, 10);
      if (response.status == 204 && last < bytes.size()) {
        at = last == 0 ? 0 : last + 1;
      } else {
        begin();
        at = 0;
      }
    }
    place = next();
    watch_.report({status, layer.digest, at, layer.size});
  }
  place += (place.find('?') == std::string::npos ? "?digest=" : "&digest=") + url_encoded(layer.digest);
  response = ask({.method = "PUT", .url = place});
  if (response.status != 201 && response.status != 204) throw refusal(response, place);
}

void Registry::put_manifest(std::string_view bytes) {
  HttpRequest request{.method = "PUT", .url = address("manifests/" + name_.tag), .body = bytes};
  request.headers.emplace_back("Content-Type", std::string(media::kManifest));
  const HttpResponse response = ask(request);
  if (response.status != 201 && response.status != 200) throw refusal(response, name_.full());
}

}  // namespace hone::store
