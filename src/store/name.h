// Names of models: [host[:port]/][namespace/]model[:tag], as Ollama's users write them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace hone::store {

inline constexpr std::string_view kDefaultHost = "registry.ollama.ai", kDefaultNamespace = "library", kDefaultTag = "latest", kHubHost = "hf.co";

/// A name with all four parts. Every part starts with a letter, a digit or "_" and goes on with those, "-", and "." (not in
/// namespaces; hosts also have ":"), so that it is a safe file name; at most 80 bytes each (hosts: 255). No part ends like the
/// temporary files of io::AtomicFile, so that none of those is taken for a manifest.
struct ModelName {
  std::string host, space, model, tag;

  /// "registry.ollama.ai/library/smollm2:135m"
  std::string full() const;
  /// Without host and namespace where they are the defaults: "smollm2:135m".
  std::string shortest() const;
  /// "space/model", as registries and the hub name a repository.
  std::string repository() const { return space + "/" + model; }
  /// host/namespace/model/tag below the folder of manifests.
  std::filesystem::path path() const;
  bool on_hub() const { return host == kHubHost; }
  auto operator<=>(const ModelName&) const = default;
};

/// Reads a name; what is left out is the default. A scheme in front ("https://") is dropped, huggingface.co means hf.co.
/// Throws Error{kInvalidInput} saying which part is malformed.
ModelName parse_name(std::string_view text);
/// The same without throwing: nothing for text that cannot be a name, such as most paths.
std::optional<ModelName> try_name(std::string_view text);

/// The published name behind a short one that no registry knows ("deepseek:7b" is deepseek-llm:7b); nothing for other names.
std::optional<ModelName> published_name(const ModelName& name);

}  // namespace hone::store
