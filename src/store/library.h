// Finding models by name: in hone's own store, then in the Ollama store that $OLLAMA_MODELS names.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "store/modelfile.h"
#include "store/model_store.h"

namespace hone::store {

/// A model of a store with everything its manifest names.
struct StoredModel {
  ModelName name;
  std::filesystem::path manifest_file, weights;  // weights: the GGUF blob
  std::string id;                                // SHA-256 of the manifest in hexadecimal
  Manifest manifest;
  ModelFacts facts;
  std::vector<std::filesystem::path> adapters, projectors;  // GGUF blobs
  std::optional<std::string> chat_template, system;         // the template in Ollama's language
  nlohmann::ordered_json parameters = nlohmann::ordered_json::object();
  std::vector<ChatMessage> messages;
  std::vector<std::string> licenses;

  /// The Modelfile that would make this model again, FROM its blob.
  Modelfile modelfile() const;
};

/// Reads manifest and small blobs; the weights are only looked for. Throws Error{kNotFound}, or Error{kInvalidInput} for parts
/// that are missing, cut off or malformed.
StoredModel open_stored(const ModelStore& store, const ModelName& name);

/// A line of `hone list`.
struct Listed {
  ModelName name;
  std::string id;  // SHA-256 of the manifest
  uint64_t size = 0;
  int64_t modified = 0;  // seconds since 1970
  bool read_only = false;
  nlohmann::ordered_json facts;  // format, family, parameter size, quantization level
  std::string damage;            // why the model cannot be used; empty when it can
};

class Library {
 public:
  /// The stores that the environment names.
  Library();
  explicit Library(std::vector<ModelStore> stores) : stores_(std::move(stores)) {}

  /// hone's own store, where models are added.
  ModelStore& own() { return stores_.front(); }
  /// The store that holds a name, else null; an own model hides one of Ollama's.
  const ModelStore* holding(const ModelName& name) const;
  /// The name under which a model is there: the name itself, or else the published one behind it, or one that differs in upper and
  /// lower case alone.
  std::optional<ModelName> find(const ModelName& name) const;
  /// Throws Error{kNotFound} with the nearest name and how to pull it.
  StoredModel open(const ModelName& name) const;
  /// Newest first.
  std::vector<Listed> list() const;

 private:
  std::vector<ModelStore> stores_;
};

/// Gives the model `from`, wherever it is, the further name `to` in the own store, and prunes. Throws Error{kNotFound}.
void copy_model(Library& library, const ModelName& from, const ModelName& to, const Watch& watch);
/// Takes a name away from the own store; Error{kUnsupported} for a model that only the Ollama store holds.
void remove_model(Library& library, const ModelName& name);

}  // namespace hone::store
