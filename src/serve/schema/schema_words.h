// Which words of a JSON schema hone knows, and what becomes of each: docs/serve.md has the table.
#pragma once

#include <string>

#include "serve/api/fields.h"

namespace hone::serve {

/// Throws Error{kUnsupported} with the path of the first word of `schema` that is neither computed nor without effect.
void check_words(const Json& schema, const std::string& where);

}  // namespace hone::serve
