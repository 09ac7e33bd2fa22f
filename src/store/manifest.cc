#include "store/manifest.h"

#include <cmath>

#include "base/error.h"
#include "base/json_file.h"
#include "store/digest.h"

namespace hone::store {
namespace {

using Json = nlohmann::ordered_json;
constexpr uint64_t kMaxBlob = uint64_t{1} << 44;  // 16 TiB
constexpr size_t kMaxLayers = 4096;

[[noreturn]] void malformed(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, where, "is not a model's manifest: " + what, "pull the model again, or check that the address is a model registry");
}

Layer layer_of(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) malformed(where, "a layer is not an object");
  Layer layer;
  const auto text = [&](const char* key) {
    const auto it = json.find(key);
    if (it == json.end() || !it->is_string()) malformed(where, fmt::format("a layer has no \"{}\"", key));
    return it->get<std::string>();
  };
  layer.media_type = text("mediaType");
  layer.digest = text("digest");
  if (!is_digest(layer.digest)) malformed(where, fmt::format("\"{}\" is not a sha256 digest", layer.digest.substr(0, 80)));
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned() || size->get<uint64_t>() > kMaxBlob) malformed(where, "a layer has no sensible \"size\"");
  layer.size = size->get<uint64_t>();
  return layer;
}

Json json_of(const Layer& layer) { return {{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.size}}; }

}  // namespace

uint64_t Manifest::size() const {
  uint64_t sum = config.size;
  for (const Layer& layer : layers) sum += layer.size;
  return sum;
}

std::vector<Layer> Manifest::blobs() const {
  std::vector<Layer> all = {config};
  all.insert(all.end(), layers.begin(), layers.end());
  return all;
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  const nlohmann::json json = parse_json(text, where);
  if (!json.is_object()) malformed(where, "it is not an object");
  if (json.contains("manifests")) throw Error(ErrorCode::kUnsupported, where, "is a list of manifests for several platforms, not one model", "name the tag of a model");
  const auto config = json.find("config"), layers = json.find("layers");
  if (config == json.end() || layers == json.end() || !layers->is_array()) malformed(where, "\"config\" or \"layers\" is missing");
  if (layers->empty()) malformed(where, "it names no layers");
  if (layers->size() > kMaxLayers) malformed(where, fmt::format("{} layers", layers->size()));
  Manifest manifest;
  manifest.config = layer_of(*config, where);
  for (const auto& layer : *layers) manifest.layers.push_back(layer_of(layer, where));
  return manifest;
}

std::string to_json(const Manifest& manifest) {
  Json json = {{"schemaVersion", 2}, {"mediaType", media::kManifest}, {"config", json_of(manifest.config)}, {"layers", Json::array()}};
  for (const Layer& layer : manifest.layers) json["layers"].push_back(json_of(layer));
  return json.dump();
}

ModelFacts parse_facts(std::string_view text, const std::string& where) {
  const nlohmann::json json = parse_json(text, where);
  ModelFacts facts;
  const auto string = [&](const char* key, std::string& to) {
    if (json.is_object() && json.contains(key) && json[key].is_string()) to = json[key].get<std::string>();
  };
  string("model_format", facts.format);
  string("model_family", facts.family);
  string("model_type", facts.parameters);
  string("file_type", facts.quantization);
  string("renderer", facts.renderer);
  string("parser", facts.parser);
  if (json.is_object() && json.contains("model_families") && json["model_families"].is_array())
    for (const auto& family : json["model_families"])
      if (family.is_string()) facts.families.push_back(family.get<std::string>());
  return facts;
}

std::string to_json(const ModelFacts& facts, const std::vector<Layer>& layers) {
  Json ids = Json::array();
  for (const Layer& layer : layers) ids.push_back(layer.digest);
  Json json = {{"model_format", facts.format}, {"model_family", facts.family}, {"model_families", facts.families}, {"model_type", facts.parameters}, {"file_type", facts.quantization}};
  if (!facts.renderer.empty()) json["renderer"] = facts.renderer;
  if (!facts.parser.empty()) json["parser"] = facts.parser;
  json.update(Json{{"architecture", "amd64"}, {"os", "linux"}, {"rootfs", {{"type", "layers"}, {"diff_ids", ids}}}});
  return json.dump();
}

std::string human_count(uint64_t count) {
  const auto value = static_cast<double>(count);
  const auto scaled = [&](double unit, const char* letter, int digits) {
    const double number = value / unit;
    return number == std::floor(number) ? fmt::format("{:.0f}{}", number, letter) : fmt::format("{:.{}f}{}", number, digits, letter);
  };
  if (value >= 1e12) return scaled(1e12, "T", 1);
  if (value >= 1e9) return scaled(1e9, "B", 1);
  if (value >= 1e6) return scaled(1e6, "M", 2);
  if (value >= 1e3) return fmt::format("{:.0f}K", value / 1e3);
  return std::to_string(count);
}

}  // namespace hone::store
