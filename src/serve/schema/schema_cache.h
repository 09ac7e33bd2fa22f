// Compiled schemas of earlier requests: clients send the same one with every question.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <variant>

#include "base/error.h"
#include "serve/schema/json_schema.h"

namespace hone::serve {

/// Thread-safe. Of bounded size: what was asked for least recently goes first.
class SchemaCache {
 public:
  using Maker = std::function<std::shared_ptr<const Schema>()>;

  /// What `make` gave for an equal `key` before, refusals included, else what it gives now. Throws what `make` throws.
  std::shared_ptr<const Schema> get(const std::string& key, const Maker& make);

 private:
  using Result = std::variant<std::shared_ptr<const Schema>, Error>;
  struct Entry {
    std::string key;
    Result result;
  };
  static std::shared_ptr<const Schema> given(const Result& result);

  std::mutex mutex_;
  std::list<Entry> entries_;  // the last one asked for first
};

}  // namespace hone::serve
