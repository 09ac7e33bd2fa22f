// The models of a command line, and behind them those of the stores.
#pragma once

#include <map>
#include <mutex>

#include "serve/models/catalog.h"

namespace hone::serve {

/// Looks into the stores at every call, so that what was pulled, created or removed meanwhile is known. A name of the command
/// line hides one of the stores.
class StoreCatalog : public Catalog {
 public:
  /// `first` must outlive this.
  explicit StoreCatalog(const LocalCatalog& first) : first_(first) {}

  /// Damaged models of the stores are left out.
  std::vector<ModelEntry> list() const override;
  /// Throws Error{kNotFound} with the nearest name, Error{kInvalidInput} for a model of the store that is damaged.
  ModelEntry resolve(const std::string& name) const override;
  void check_storable(const std::string& name) const override;

 private:
  std::optional<ModelEntry> in_store(const std::string& name) const;
  ModelEntry described(const std::string& name, const std::string& base, const std::string& identity) const;

  const LocalCatalog& first_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::pair<std::string, ModelEntry>> described_;  // by name, with the identity of what was read
};

}  // namespace hone::serve
