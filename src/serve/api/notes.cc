#include "serve/api/notes.h"

#include <fmt/format.h>

#include <cstdio>
#include <mutex>
#include <set>

namespace hone::serve {

void note_once(const std::string& text) {
  constexpr size_t kMaxNotes = 200;
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.size() >= kMaxNotes || !said.insert(text).second) return;
  const std::string line = fmt::format("note: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);  // where nobody reads, nothing is lost that matters
}

}  // namespace hone::serve
