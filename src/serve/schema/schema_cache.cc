#include "serve/schema/schema_cache.h"

#include <algorithm>

namespace hone::serve {
namespace {

constexpr size_t kMostSchemas = 32;
constexpr size_t kLongestKey = size_t{256} << 10;  // bytes; longer ones are compiled anew

}  // namespace

std::shared_ptr<const Schema> SchemaCache::given(const Result& result) {
  if (const Error* error = std::get_if<Error>(&result)) throw *error;
  return std::get<std::shared_ptr<const Schema>>(result);
}

std::shared_ptr<const Schema> SchemaCache::get(const std::string& key, const Maker& make) {
  if (key.size() > kLongestKey) return make();
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return given(found->result);
    }
  }
  // Outside of the lock: a large schema takes seconds, and others must not wait for it.
  Result result = [&]() -> Result {
    try {
      return make();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported && error.code() != ErrorCode::kInvalidInput) throw;
      return error;
    }
  }();
  const std::lock_guard lock(mutex_);
  entries_.push_front({key, result});
  if (entries_.size() > kMostSchemas) entries_.pop_back();
  return given(result);
}

}  // namespace hone::serve
