// The models a server offers, by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "serve/api/fields.h"

namespace hone::serve {

/// A name and everything it stands for.
struct ModelEntry {
  std::string name;                 // as listed; "NAME:latest" means the same as "NAME"
  std::string base;                 // what recipes::open_model takes: a path, or a name in the store
  std::filesystem::path files;      // where that lies: a GGUF file or a Hugging Face folder
  std::filesystem::path adapter;    // a run's folder or an adapter; empty: none
  std::string weights;              // identity of the weights: entries with the same one may share a model in memory
  bool own_weights = false;         // the adapter is a full fine-tuning: weights of its own
  std::string manifest;             // of a model of the store: SHA-256 of its manifest; empty for files
  std::string chat_template;        // a Jinja file or a known name; empty: the model's own
  std::string system;               // system message where a request brings none
  Json messages = Json::array();    // examples that begin every conversation
  Json parameters = Json::object();  // defaults of Ollama's options
  std::string parent;               // of an adapter: the name of its base model
  // What listings show.
  std::string digest;               // 64 hexadecimal digits that change when the files do
  uint64_t size = 0;                // bytes on disk
  int64_t modified = 0;             // seconds since 1970
  std::string format, family, parameter_size, quantization;  // "gguf", "llama", "135M", "Q4_1"
  uint64_t parameter_count = 0;
  int64_t context_length = 0, embedding_length = 0;
};

/// What the files of a model say: `base` is what recipes::open_model takes. Throws what that throws.
ModelEntry describe_model(std::string name, const std::string& base);
/// "NAME" of "NAME:latest".
std::string without_latest(std::string name);
/// Error{kNotFound} for the API, with the nearest of the known names.
Error unknown_model(const std::string& name, const std::vector<std::string>& known);

class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual std::vector<ModelEntry> list() const = 0;
  /// Throws Error{kNotFound} with the nearest name.
  virtual ModelEntry resolve(const std::string& name) const = 0;
  /// Throws Error{kUnsupported} where changes of the store would not change what the name stands for: the command line gave it to
  /// something else.
  virtual void check_storable(const std::string&) const {}
};

/// The models of a command line.
class LocalCatalog : public Catalog {
 public:
  /// `models`: paths or names as recipes::find_model takes them, or NAME=PATH. `adapters`: NAME=DIR (of the first model) or
  /// NAME=DIR@MODEL, MODEL being one of these or a name in the store. `templates`: MODEL=TEMPLATE, a Jinja file or a known name. Opens every file once, so that a bad one is
  /// refused at the start. Throws Error.
  LocalCatalog(const std::vector<std::string>& models, const std::vector<std::string>& adapters, const std::vector<std::string>& templates);

  std::vector<ModelEntry> list() const override { return entries_; }
  std::optional<ModelEntry> find(const std::string& name) const;
  ModelEntry resolve(const std::string& name) const override;

 private:
  void add(ModelEntry entry);
  std::vector<ModelEntry> entries_;
};

}  // namespace hone::serve
