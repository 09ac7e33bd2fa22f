// The files of web/, built into the program.
#pragma once

#include <string_view>

namespace hone::serve {

struct Asset {
  std::string_view name, type, content;
};

/// A file of web/chat/ or web/panel/; null for names that are not there.
const Asset* find_chat_asset(std::string_view name);
const Asset* find_panel_asset(std::string_view name);

}  // namespace hone::serve
