// Traces of text that was decoded with the wrong character set somewhere on its way.
#pragma once

#include <string>
#include <string_view>

namespace hone::data {

/// What looks wrong, in words, or an empty string: replacement characters, control characters, a byte order mark inside, UTF-8 that was
/// read as Latin-1 or GBK and written again. `text` is valid UTF-8.
std::string encoding_hint(std::string_view text);

}  // namespace hone::data
