// Ollama's Modelfile for a tuned model.
#pragma once

#include <string>

#include "recipes/model_files.h"
#include "store/modelfile.h"

namespace hone::recipes {

/// TEMPLATE, SYSTEM and PARAMETER stop as below; the other parts stay empty.
store::Modelfile modelfile(const ModelFiles& files);

/// FROM, ADAPTER (when not empty), TEMPLATE in Ollama's language, SYSTEM (`system`, else where the chat template brings one along), and
/// the PARAMETER stop lines. The template is read off the
/// model's own chat template by rendering marked messages through it. Throws Error{kUnsupported} when that cannot be done.
std::string modelfile(const ModelFiles& files, const std::string& from, const std::string& adapter, const std::optional<std::string>& system = {});

}  // namespace hone::recipes
