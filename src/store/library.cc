#include "store/library.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "store/digest.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Objects whose keys keep their order, from untrusted text; parse_json has the limits and the messages.
Json ordered(const std::string& text, const std::string& where) {
  parse_json(text, where);
  return Json::parse(text);
}

std::vector<ChatMessage> messages_of(const std::string& text, const std::string& where) {
  std::vector<ChatMessage> out;
  const Json json = ordered(text, where);
  if (!json.is_array()) throw Error(ErrorCode::kInvalidInput, where, "the messages of the model are not a list", "pull or create the model again");
  for (const Json& message : json)
    if (message.is_object() && message.contains("role") && message["role"].is_string() && message.contains("content") && message["content"].is_string())
      out.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  return out;
}

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

Modelfile StoredModel::modelfile() const {
  Modelfile file;
  file.from = weights.string();
  for (const fs::path& adapter : adapters) file.adapters.push_back(adapter.string());
  file.chat_template = chat_template;
  file.system = system;
  file.parameters = parameters;
  file.messages = messages;
  file.licenses = licenses;
  return file;
}

StoredModel open_stored(const ModelStore& store, const ModelName& name) {
  StoredModel model;
  model.name = name;
  model.manifest_file = store.manifest_path(name);
  model.manifest = store.manifest(name);
  model.id = digest_of(read_file(model.manifest_file)).substr(7);
  model.facts = parse_facts(store.read_blob(model.manifest.config), store.blob_path(model.manifest.config.digest).string());
  for (const Layer& layer : model.manifest.layers) {
    const fs::path blob = store.blob_path(layer.digest);
    if (!store.has_blob(layer))
      throw Error(ErrorCode::kInvalidInput, name.shortest(), fmt::format("{} ({}) is missing or cut off", blob.string(), layer.media_type), "pull or create the model again");
    if (layer.media_type == media::kModel) {
      if (!model.weights.empty()) throw Error(ErrorCode::kUnsupported, name.shortest(), "consists of several weight files", "hone reads models of one GGUF file");
      model.weights = blob;
    } else if (layer.media_type == media::kAdapter) {
      model.adapters.push_back(blob);
    } else if (layer.media_type == media::kProjector) {
      model.projectors.push_back(blob);
    } else if (layer.media_type == media::kTemplate) {
      model.chat_template = store.read_blob(layer);
    } else if (layer.media_type == media::kSystem) {
      model.system = store.read_blob(layer);
    } else if (layer.media_type == media::kLicense) {
      model.licenses.push_back(store.read_blob(layer));
    } else if (layer.media_type == media::kParams) {
      model.parameters = ordered(store.read_blob(layer), blob.string());
    } else if (layer.media_type == media::kMessages) {
      model.messages = messages_of(store.read_blob(layer), blob.string());
    }
  }
  if (model.weights.empty()) throw Error(ErrorCode::kUnsupported, name.shortest(), "holds no GGUF weights", "hone reads models of one GGUF file");
  return model;
}

Library::Library() {
  stores_.emplace_back(ModelStore::default_root());
  if (const char* ollama = std::getenv("OLLAMA_MODELS"); ollama && *ollama && fs::path(ollama) != stores_.front().root()) stores_.emplace_back(ollama, /*read_only=*/true);
}

const ModelStore* Library::holding(const ModelName& name) const {
  for (const ModelStore& store : stores_)
    if (store.has(name)) return &store;
  return nullptr;
}

std::optional<ModelName> Library::find(const ModelName& name) const {
  if (holding(name)) return name;
  if (const auto published = published_name(name); published && holding(*published)) return published;
  const std::string wanted = lowered(name.full());
  for (const ModelStore& store : stores_)
    for (const ModelName& other : store.names())
      if (lowered(other.full()) == wanted) return other;
  return std::nullopt;
}

StoredModel Library::open(const ModelName& name) const {
  if (const auto found = find(name)) return open_stored(*holding(*found), *found);
  std::vector<std::string> known;
  for (const ModelStore& store : stores_)
    for (const ModelName& other : store.names()) known.push_back(other.shortest());
  const std::string near = nearest(name.shortest(), known);
  const auto published = published_name(name);
  throw Error(ErrorCode::kNotFound, name.shortest(), fmt::format("there is no such model in {}", stores_.front().root().string()),
              fmt::format("{}fetch it: hone pull {}", near.empty() ? "" : fmt::format("did you mean \"{}\"? else ", near), published ? published->shortest() : name.shortest()));
}

std::vector<Listed> Library::list() const {
  std::vector<Listed> all;
  for (const ModelStore& store : stores_)
    for (const ModelName& name : store.names()) {
      if (holding(name) != &store) continue;
      Listed line{name, {}, 0, 0, store.read_only(), Json::object(), {}};
      struct stat info {};
      if (::stat(store.manifest_path(name).c_str(), &info) == 0) line.modified = info.st_mtim.tv_sec;
      try {
        line.id = digest_of(read_file(store.manifest_path(name))).substr(7);
        const Manifest manifest = store.manifest(name);
        line.size = manifest.size();
        const ModelFacts facts = parse_facts(store.read_blob(manifest.config), name.full());
        line.facts = {{"format", facts.format}, {"family", facts.family}, {"families", facts.families}, {"parameter_size", facts.parameters}, {"quantization_level", facts.quantization}};
        for (const Layer& layer : manifest.layers)
          if (!store.has_blob(layer)) line.damage = fmt::format("{} is missing or cut off", layer.media_type);
      } catch (const Error& error) {
        line.damage = error.message();
      }
      all.push_back(std::move(line));
    }
  std::stable_sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) { return a.modified > b.modified; });
  return all;
}

void copy_model(Library& library, const ModelName& from, const ModelName& to, const Watch& watch) {
  const StoredModel model = library.open(from);
  const ModelStore& source = *library.holding(model.name);
  ModelStore& own = library.own();
  {
    const WriteLease lease = own.lease();
    if (&source != &own)
      for (const Layer& layer : model.manifest.blobs()) own.adopt(lease, source, layer, watch);
    own.put(lease, to, read_file(model.manifest_file));
  }
  own.prune();  // what the name stood for before
}

void remove_model(Library& library, const ModelName& given) {
  const ModelName name = library.find(given).value_or(given);
  const ModelStore* store = library.holding(name);
  if (store && store != &library.own())
    throw Error(ErrorCode::kUnsupported, name.shortest(), fmt::format("lies in {}, which hone only reads", store->root().string()), "remove it with ollama rm");
  library.own().remove(name);
}

}  // namespace hone::store
