// Ollama's prompt templates (Go's text/template) as the Jinja that ChatTemplate renders.
#pragma once

#include <string>
#include <string_view>

namespace hone::text {

/// Translates a TEMPLATE: text, fields, if, else, range, with, variables, eq, ne, lt, le, gt, ge, and, or, not, len, slice, index and
/// json. A template over .System, .Prompt and .Response is written once per exchange and stops before the answer that is asked
/// for; one over .Messages runs once. Throws Error{kInvalidInput} for broken syntax, Error{kUnsupported} for other functions and
/// assignments; both name `where` and the line.
std::string jinja_of_ollama(std::string_view source, const std::string& where);

}  // namespace hone::text
