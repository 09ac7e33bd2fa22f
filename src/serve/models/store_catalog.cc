#include "serve/models/store_catalog.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "store/digest.h"
#include "store/hub.h"
#include "store/library.h"

namespace hone::serve {

ModelEntry StoreCatalog::described(const std::string& name, const std::string& base, const std::string& identity) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = described_.find(name); known != described_.end() && known->second.first == identity) return known->second.second;
  }
  ModelEntry entry = describe_model(name, base);  // reads the tokenizer: not under the lock
  const std::lock_guard lock(mutex_);
  described_[name] = {entry.manifest.empty() ? identity : entry.manifest, entry};
  return entry;
}

std::optional<ModelEntry> StoreCatalog::in_store(const std::string& name) const {
  const auto wanted = store::try_name(name);
  if (!wanted) return std::nullopt;
  const store::Library library;
  if (const auto found = library.find(*wanted)) {
    if (const store::ModelStore* holding = library.holding(*found)) {  // null: removed just now
      const std::string identity = store::digest_of(read_file(holding->manifest_path(*found))).substr(7);
      return described(found->shortest(), found->full(), identity);
    }
  }
  if (wanted->on_hub() && wanted->tag == store::kDefaultTag)
    if (const auto snapshot = store::cached_snapshot(wanted->space, wanted->model)) return described(wanted->shortest(), snapshot->string(), snapshot->string());
  const std::lock_guard lock(mutex_);
  described_.erase(wanted->shortest());
  return std::nullopt;
}

namespace {

// A model of the store under its own name is what the store holds now.
bool of_store(const ModelEntry& entry) {
  return !entry.manifest.empty() && entry.adapter.empty() && entry.chat_template.empty() && entry.name == entry.base;
}

}  // namespace

void StoreCatalog::check_storable(const std::string& name) const {
  if (const auto entry = first_.find(name); entry && !of_store(*entry))
    throw Error(ErrorCode::kUnsupported, "model", fmt::format("{} is a name of the server's command line, which hides the store's", name),
                "choose another name, or start the server without it");
}

ModelEntry StoreCatalog::resolve(const std::string& name) const {
  if (const auto entry = first_.find(name)) {
    if (of_store(*entry))
      if (auto stored = in_store(name)) return *stored;
    return *entry;
  }
  if (auto stored = in_store(name)) return *stored;
  std::vector<std::string> known;
  for (const ModelEntry& entry : list()) known.push_back(entry.name);
  throw unknown_model(name, known);
}

std::vector<ModelEntry> StoreCatalog::list() const {
  std::vector<ModelEntry> all = first_.list();
  const size_t local = all.size();
  for (const store::Listed& line : store::Library().list()) {
    const std::string name = line.name.shortest();
    const bool hidden = std::any_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(local), [&](const ModelEntry& entry) { return without_latest(entry.name) == without_latest(name); });
    if (hidden || !line.damage.empty()) continue;
    ModelEntry entry;
    entry.name = name;
    entry.base = line.name.full();
    entry.manifest = entry.digest = line.id;
    entry.size = line.size;
    entry.modified = line.modified;
    entry.format = line.facts.value("format", "");
    entry.family = line.facts.value("family", "");
    entry.parameter_size = line.facts.value("parameter_size", "");
    entry.quantization = line.facts.value("quantization_level", "");
    all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace hone::serve
