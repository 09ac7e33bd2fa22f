// What the person at the server should know, said once.
#pragma once

#include <string>

namespace hone::serve {

/// Prints "note: TEXT" on standard error the first time that it is said; at most 200 different ones, because requests, which anyone
/// may write, lead to them. From any thread.
void note_once(const std::string& text);

}  // namespace hone::serve
