// The Hugging Face hub: GGUF files become models of the store, plain repositories go into the hub's own cache.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/transfer.h"

namespace hone::store {

/// A file of a repository, as the hub lists it.
struct HubFile {
  std::string name;  // a file of the repository's top folder, letter by letter safe as a file name
  uint64_t size = 0;
  std::string etag;   // 64 digits: SHA-256 of the content; 40: git's SHA-1 of a small file
  bool large() const { return etag.size() == 64; }
};
struct HubRepository {
  std::string commit;          // 40 hexadecimal digits
  std::vector<HubFile> files;  // of the top folder, without what hone could not use
};

/// Reads the hub's answer (untrusted JSON); `where` names it in errors.
HubRepository parse_repository(std::string_view json, const std::string& where);
/// The GGUF file that `tag` means: its name, a quantisation that the name holds (Q4_K_M), or for "latest" the usual choice.
/// Throws Error{kNotFound} listing what there is, Error{kUnsupported} for models split over several files.
const HubFile& choose_gguf(const HubRepository& repository, const std::string& tag, const std::string& where);
/// What a model folder needs: configuration, tokenizer, chat template, safetensors (one set of them).
std::vector<HubFile> model_files(const HubRepository& repository, const std::string& where);

/// $HF_HUB_CACHE, $HF_HOME/hub, or ~/.cache/huggingface/hub.
std::filesystem::path hub_cache();
/// The folder of a repository's main branch in the cache, when it is there with a configuration and weights.
std::optional<std::filesystem::path> cached_snapshot(const std::string& space, const std::string& model);

/// See pull(). Speaks to $HF_ENDPOINT (default https://huggingface.co) with $HF_TOKEN.
Pulled pull_from_hub(Library& library, const ModelName& name, bool insecure, const Watch& watch);

}  // namespace hone::store
