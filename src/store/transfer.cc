#include "store/transfer.h"

#include "base/error.h"
#include "base/file.h"
#include "store/hub.h"
#include "store/registry.h"

namespace hone::store {

Pulled pull(Library& library, const ModelName& wanted, bool insecure, const Watch& watch) {
  if (wanted.on_hub()) return pull_from_hub(library, wanted, insecure, watch);
  Pulled result{wanted, std::nullopt, {}};
  if (const auto published = published_name(wanted)) {
    result.name = *published;
    result.notes.push_back(fmt::format("{} is published as {}, which is fetched", wanted.shortest(), published->shortest()));
  }
  Registry registry(result.name, insecure, watch);
  watch.report({"pulling manifest", {}, 0, 0});
  const std::string bytes = registry.manifest();
  const Manifest manifest = parse_manifest(bytes, result.name.full());
  ModelStore& store = library.own();
  {
    const WriteLease lease = store.lease();
    for (const Layer& layer : manifest.blobs())
      if (!store.has_blob(layer)) registry.fetch(layer, store.place_for(lease, layer));
    watch.report({"writing manifest", {}, 0, 0});
    store.put(lease, result.name, bytes);
  }
  store.prune().tell(result.notes);  // what the name stood for before
  return result;
}

void push(const Library& library, const ModelName& name, bool insecure, const Watch& watch) {
  if (name.on_hub()) throw Error(ErrorCode::kUnsupported, name.full(), "the hub takes repositories, not pushes of a registry", "hone export writes the folder, huggingface-cli upload publishes it");
  const ModelStore* store = library.holding(name);
  if (!store) library.open(name);  // says what is near and how to get it
  const Manifest manifest = store->manifest(name);
  Registry registry(name, insecure, watch);
  watch.report({"retrieving manifest", {}, 0, 0});
  for (const Layer& layer : manifest.blobs()) {
    if (!store->has_blob(layer)) throw Error(ErrorCode::kInvalidInput, name.shortest(), fmt::format("{} is missing or cut off", layer.media_type), "pull or create the model again");
    if (!registry.has(layer)) registry.upload(layer, store->blob_path(layer.digest));
  }
  watch.report({"pushing manifest", {}, 0, 0});
  registry.put_manifest(read_file(store->manifest_path(name)));
}

}  // namespace hone::store
