// tokenizer_config.json: what transformers' tokenizers are told besides tokenizer.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/known_keys.h"
#include "text/tokenizer.h"

namespace hone::text {

/// Every key that hone knows; docs/formats.md is printed from it.
KeyTable tokenizer_config_keys();

/// Throws Error{kUnsupported} for what would give other tokens than `tokenizer`, which was read from the files beside it: a key that
/// changes them, a token that tokenizer.json lacks. Returns what the user should know; nothing when there is no such file.
std::vector<std::string> check_tokenizer_config(const std::filesystem::path& file, const Tokenizer& tokenizer);

}  // namespace hone::text
