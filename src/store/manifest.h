// What a model consists of: the manifest (registry v2, schema 2) and the config blob, with the media types Ollama uses.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hone::store {

namespace media {
inline constexpr std::string_view kManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kModel = "application/vnd.ollama.image.model", kAdapter = "application/vnd.ollama.image.adapter",
                                  kProjector = "application/vnd.ollama.image.projector", kTemplate = "application/vnd.ollama.image.template",
                                  kSystem = "application/vnd.ollama.image.system", kParams = "application/vnd.ollama.image.params",
                                  kMessages = "application/vnd.ollama.image.messages", kLicense = "application/vnd.ollama.image.license";
}  // namespace media

/// One blob of a model.
struct Layer {
  std::string media_type, digest;
  uint64_t size = 0;  // bytes
};

struct Manifest {
  Layer config;
  std::vector<Layer> layers;

  /// Of all blobs, config included.
  uint64_t size() const;
  /// Config first, then the layers.
  std::vector<Layer> blobs() const;
};

/// Reads untrusted JSON; `where` names it. Digests and sizes are checked, lists of several platforms are refused.
/// Throws Error{kInvalidInput} or Error{kUnsupported}.
Manifest parse_manifest(std::string_view json, const std::string& where);
std::string to_json(const Manifest& manifest);

/// The config blob: what kind of model the layers make.
struct ModelFacts {
  std::string format = "gguf", family;
  std::vector<std::string> families;
  std::string parameters;    // "134.52M"
  std::string quantization;  // "Q4_1"
  std::string renderer = {}, parser = {};  // names of Ollama's own code that stands in for the template; empty for most models
};
ModelFacts parse_facts(std::string_view json, const std::string& where);
/// The config blob of a model with these layers.
std::string to_json(const ModelFacts& facts, const std::vector<Layer>& layers);

/// 1234567 as "1.23M", 7e9 as "7B".
std::string human_count(uint64_t count);

}  // namespace hone::store
