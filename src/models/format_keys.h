// Every key of model files that hone knows, and what becomes of it: the readers of config.json, generation_config.json and GGUF
// consult these tables, and docs/formats.md is printed from them.
#pragma once

#include "base/known_keys.h"
#include "io/gguf.h"

namespace hone::models {

/// Top-level keys of a Hugging Face config.json.
KeyTable config_keys();
/// Keys of its rope_scaling or rope_parameters.
KeyTable rope_keys();
/// Keys of generation_config.json.
KeyTable generation_keys();
/// GGUF metadata; keys under the architecture's name are written with "{arch}." in front.
KeyTable gguf_keys();

/// Throws Error{kUnsupported} for a key that changes the result and is not computed; returns notes about keys passed over.
std::vector<std::string> check_config_keys(const nlohmann::json& config, const std::string& where);
std::vector<std::string> check_gguf_keys(const io::Gguf& gguf);

}  // namespace hone::models
