// Modelfiles: what a model is made from, line by line (FROM, ADAPTER, PARAMETER, TEMPLATE, SYSTEM, MESSAGE, LICENSE).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::store {

struct ChatMessage {
  std::string role, content;  // role: system, user or assistant
};

struct Modelfile {
  std::string from;
  std::vector<std::string> adapters;
  std::optional<std::string> chat_template, system;
  nlohmann::ordered_json parameters = nlohmann::ordered_json::object();  // as check_parameter makes them
  std::vector<ChatMessage> messages;
  std::vector<std::string> licenses;
};

/// Reads a Modelfile. Instructions are not case-sensitive; values stand bare to the end of the line, in "…" or in """…""";
/// lines that begin with # are comments. Throws Error{kInvalidInput} naming `where` and the line.
Modelfile parse_modelfile(std::string_view text, const std::string& where);
/// The same as text that parse_modelfile reads back.
std::string to_text(const Modelfile& file);

/// Adds `value`, written out, to `parameters` under `name`: an integer, a number or a boolean as the name wants; "stop" gathers
/// a list. Throws Error{kInvalidInput} naming `where` for unknown names and values of another kind.
void set_parameter(nlohmann::ordered_json& parameters, const std::string& name, const std::string& value, const std::string& where);
/// "PARAMETER" lines without the word: name and value as text, one per stop sequence.
std::vector<std::pair<std::string, std::string>> parameter_lines(const nlohmann::ordered_json& parameters);

}  // namespace hone::store
