// The template of one turn in Ollama's language, as a request may bring it along.
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace hone::serve {

/// Renders text with {{ .System }}, {{ .Prompt }}, {{ if … }} … {{ else }} … {{ end }} over these, and the trimming marks {{- and -}}, up to
/// {{ .Response }}. The words of system and prompt are marked as such. Throws Error{kInvalidInput} for malformed templates,
/// Error{kUnsupported} for other parts of the language.
text::RenderedPrompt render_turn(std::string_view source, const std::string& system, const std::string& prompt);

}  // namespace hone::serve
