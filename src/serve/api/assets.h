// The files of web/chat/, built into the program.
#pragma once

#include <string_view>

namespace hone::serve {

struct Asset {
  std::string_view name, type, content;
};

/// Null for names that are not there.
const Asset* find_asset(std::string_view name);

}  // namespace hone::serve
