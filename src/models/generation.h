// How a model's files say that answers are to be drawn: generation_config.json, or general.sampling.* in GGUF.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "io/gguf_writer.h"

namespace hone::models {

struct Generation {
  /// By the names of Modelfile parameters: temperature, top_k, top_p, min_p, repeat_penalty, repeat_last_n.
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::string> stop;  // texts that end an answer
  std::vector<int64_t> eos_ids;   // tokens that end an answer
};

/// From generation_config.json. Throws Error{kInvalidInput} for a value of the wrong type or out of range; `notes` gets what was
/// passed over.
Generation generation_from_json(const nlohmann::json& json, const std::string& where, std::vector<std::string>& notes);
/// From GGUF metadata; the tokens that end an answer are in ModelConfig.
Generation generation_from_gguf(const io::Gguf& gguf);

/// As parameters of a Modelfile: {"temperature": 0.6, "stop": ["…"]}.
nlohmann::ordered_json parameters_of(const Generation& generation);
/// As generation_config.json has it, without the tokens.
nlohmann::ordered_json generation_config(const Generation& generation);
/// general.sampling.*; texts that end an answer have no key.
io::GgufMetadata generation_metadata(const Generation& generation);

}  // namespace hone::models
