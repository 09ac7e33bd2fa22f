// `hone pull` and `hone push`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/library.h"

namespace hone::store {

struct Pulled {
  ModelName name;                                  // under which it is there now
  std::optional<std::filesystem::path> snapshot;   // of a plain repository of the hub: the folder in the hub's cache
  std::vector<std::string> notes;
};

/// Fetches a model from its registry, or from the hub for hf.co names, into the library's own store. Nothing that is there
/// already is fetched again; the manifest is written last. A name that no registry knows ("deepseek:7b") is fetched under the
/// published one. Throws Error.
Pulled pull(Library& library, const ModelName& name, bool insecure, const Watch& watch);

/// Publishes a model that the library has to the registry its name says. Throws Error.
void push(const Library& library, const ModelName& name, bool insecure, const Watch& watch);

}  // namespace hone::store
