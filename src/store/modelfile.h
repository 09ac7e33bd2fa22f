// Modelfiles: what a model is made from, line by line (FROM, ADAPTER, PARAMETER, TEMPLATE, SYSTEM, MESSAGE, LICENSE).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone::store {

struct ChatMessage {
  std::string role, content;  // role: system, user or assistant
};

struct Modelfile {
  std::string from;
  std::vector<std::string> adapters;
  std::optional<std::string> chat_template, system;
  nlohmann::ordered_json parameters = nlohmann::ordered_json::object();  // as set_parameter makes them
  std::vector<ChatMessage> messages;
  std::vector<std::string> licenses;
  std::vector<std::string> notes;  // what was read that has no effect; not a part of the text
};

/// Reads a Modelfile: UTF-8, or UTF-16 that says so by its mark. Instructions are not case-sensitive; lines that begin with # are
/// comments. A text stands bare to the end of its line, or begins with " or """ and ends at the first line end that these quotes
/// stand before: it may hold quotes and line ends itself. After FROM, ADAPTER and numbers " #" begins a comment. With "=" right
/// behind the instruction (SYSTEM= "…") the text is one line with \\, \", \n, \r and \t. Throws Error{kInvalidInput} naming `where` and the
/// line.
Modelfile parse_modelfile(std::string_view text, const std::string& where);

/// The same as text: parse_modelfile reads every content back to the last byte, and Ollama every one that its language can hold
/// (a text can not that has a line ending in three quotes, for which "=" is written). Parameters that hone does not know, and
/// messages of other roles, become comments.
std::string to_text(const Modelfile& file);

}  // namespace hone::store
