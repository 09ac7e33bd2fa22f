// Every weight an architecture has, by canonical name.
#pragma once

#include <functional>
#include <string>

#include "models/config.h"

namespace hone::models {

enum class Presence {
  kRequired,
  kOptional,   // the configuration does not say; the file's tensors tell
  kForbidden,  // the architecture has no such weight, although others of its kind do
};

struct Weight {
  std::string name;  // as Hugging Face writes it
  Shape shape;
  Presence presence = Presence::kRequired;
};

/// Calls fn once per weight of `config`: embedding, final norm, head, then layer by layer.
void each_weight(const ModelConfig& config, const std::function<void(const Weight&)>& fn);

}  // namespace hone::models
