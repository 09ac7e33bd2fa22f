// PARAMETER lines of Modelfiles and the options of Ollama's requests: one table says what hone does with each.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::store {

enum class ParameterKind { kInteger, kNumber, kBoolean, kStrings };

enum class ParameterEffect {
  kRead,        // decides how answers are made
  kNone,        // about hardware or loading: it cannot change an answer
  kPassedOver,  // Ollama passes it over, too; people are told
  kRefused,     // it would change answers, and hone cannot: only its neutral value is taken
};

struct Parameter {
  const char* name;
  ParameterKind kind;
  ParameterEffect effect;
  double low, high;     // of numbers: what is taken
  double neutral;       // of kRefused and kPassedOver: the value that changes nothing
  const char* meaning;  // for the documentation
};

/// All that are known, the ones that are read first.
std::span<const Parameter> known_parameters();
/// Null for an unknown name.
const Parameter* find_parameter(std::string_view name);
/// "did you mean …" for a misspelt name, else a few examples.
std::string parameter_hint(const std::string& name);
/// The table as lines of Markdown, for docs/modelfile.md.
std::string parameter_table();

inline constexpr size_t kMaxStops = 64, kMaxStopBytes = 1024;  // stop sequences, and bytes of each
inline constexpr int64_t kMaxTokens = int64_t{1} << 24;        // of a context or an answer

/// Adds `value`, written out, to `parameters` under `name`: an integer, a number or a boolean as the name wants; "stop" gathers
/// a list. Returns what the user should know: that it has no effect, or that it was passed over (and is not in `parameters`); else
/// an empty text. Throws Error{kInvalidInput} naming `where` for unknown names, values of another kind and values out of range,
/// Error{kUnsupported} for those that hone cannot.
std::string set_parameter(nlohmann::ordered_json& parameters, const std::string& name, const std::string& value, const std::string& where);

/// The parameters of a model, which anyone may have written, as far as they are read and sensible. `notes`: which are not, and why.
nlohmann::ordered_json usable_parameters(const nlohmann::ordered_json& parameters, std::vector<std::string>& notes);

/// "PARAMETER" lines without the word: name and value as text, one per stop sequence.
std::vector<std::pair<std::string, std::string>> parameter_lines(const nlohmann::ordered_json& parameters);

}  // namespace hone::store
