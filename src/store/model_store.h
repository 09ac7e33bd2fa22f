// Models on disk in Ollama's layout: manifests/HOST/NAMESPACE/MODEL/TAG name blobs/sha256-…
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/manifest.h"
#include "store/name.h"

namespace hone::store {

/// How far long work is. Calls may come from several threads, one at a time.
struct Progress {
  std::string status;               // "pulling 4b8e2f1c9a3d", "writing manifest"
  std::string digest;               // of the blob it is about; may be empty
  uint64_t completed = 0, total = 0;  // bytes; total 0: unknown
};
using ProgressSink = std::function<void(const Progress&)>;

/// What long work may be given: who watches it, and whether it should stop.
struct Watch {
  ProgressSink progress;             // may be empty
  std::function<bool()> interrupted;  // may be empty; true ends the work with Error{kInterrupted}
  void report(const Progress& p) const {
    if (progress) progress(p);
  }
  /// Throws Error{kInterrupted}.
  void check() const;
};

/// Held while blobs are added that no manifest names yet: nobody prunes meanwhile. Shared between processes and threads.
class WriteLease {
 public:
  ~WriteLease();
  WriteLease(WriteLease&& other) noexcept;
  WriteLease& operator=(WriteLease&&) = delete;

 private:
  friend class ModelStore;
  explicit WriteLease(int fd) : fd_(fd) {}
  int fd_;
};

/// What prune() took away.
struct Pruned {
  size_t files = 0;
  uint64_t bytes = 0;
  std::string skipped;   // why no blobs were pruned; else empty
  bool damaged = false;  // because a manifest, which `skipped` names with the remedy, cannot be read; else another process adds a model

  /// What the user should know, added to `notes`: nothing is pruned until somebody looks after the damaged manifest.
  void tell(std::vector<std::string>& notes) const;
};

/// One folder of models. Files are whole or absent; several processes may use it at once. Functions that write throw
/// Error{kUnsupported} on a store that was opened read-only.
class ModelStore {
 public:
  /// $HONE_MODELS, or ~/.hone/models.
  static std::filesystem::path default_root();
  explicit ModelStore(std::filesystem::path root, bool read_only = false);

  const std::filesystem::path& root() const { return root_; }
  bool read_only() const { return read_only_; }

  /// Every name with a manifest, sorted. Files that are not manifests of a valid name are passed over.
  std::vector<ModelName> names() const;
  bool has(const ModelName& name) const;
  std::filesystem::path manifest_path(const ModelName& name) const;
  /// Throws Error{kNotFound}, or Error{kInvalidInput} when the file is damaged.
  Manifest manifest(const ModelName& name) const;
  std::filesystem::path blob_path(std::string_view digest) const;
  /// Whether the blob is there with all its bytes.
  bool has_blob(const Layer& layer) const;
  /// A small blob as text; throws Error{kInvalidInput} when it is missing or larger than `limit`.
  std::string read_blob(const Layer& layer, size_t limit = size_t{16} << 20) const;

  WriteLease lease();
  /// Adds a blob; what is there already is not written again.
  Layer add(const WriteLease&, std::string_view media_type, std::string_view content);
  /// Copies a file into the store, hashing it on the way.
  Layer add_file(const WriteLease&, std::string_view media_type, const std::filesystem::path& file, const Watch& watch);
  /// Where download() is to put this blob.
  std::filesystem::path place_for(const WriteLease&, const Layer& layer);
  /// A path in the store for a file that take() will make a blob of; pruned when its writer was killed.
  std::filesystem::path scratch(const WriteLease&);
  /// Makes a finished scratch file a blob, without copying it.
  Layer take(const WriteLease&, std::string_view media_type, const std::filesystem::path& file);
  /// Takes a blob over from another store, by link where both lie on one file system.
  void adopt(const WriteLease&, const ModelStore& from, const Layer& layer, const Watch& watch);
  /// Publishes a model whose blobs are all there (else Error{kInternal}); replaces what had the name. `bytes`: the manifest as
  /// it is to be stored.
  void put(const WriteLease&, const ModelName& name, std::string_view bytes);
  /// Takes a name away; its blobs stay until prune(). Throws Error{kNotFound}.
  void remove(const ModelName& name);
  /// Deletes blobs that no manifest names and what killed processes left behind; unfinished downloads after a week. Does
  /// nothing while a lease is held; deletes no blobs while a manifest cannot be read, because it may name them.
  Pruned prune();

 private:
  void must_write() const;
  std::set<std::string> used_blobs() const;
  void sweep_manifests(Pruned& result) const;
  std::filesystem::path folder_inside(const std::filesystem::path& relative) const;
  std::filesystem::path root_;
  bool read_only_;
};

}  // namespace hone::store
