// A conversation in the terminal: `hone run MODEL` without a prompt.
#pragma once

#include <optional>
#include <string>

#include "serve/api/fields.h"

namespace hone::apps {

struct ChatOptions {
  std::string model, adapter, system, chat_template;
  serve::Json defaults = serve::Json::object();  // of Ollama's options, where neither the model nor the user says otherwise
  serve::Json options = serve::Json::object();   // what the command line says
  bool verbose = false, f32 = false;
};

/// Reads, answers, and obeys commands that begin with "/", until Ctrl-D or /bye. Ctrl-C ends an answer only. Returns the exit code.
/// Throws what opening and loading the model throws.
int chat(ChatOptions options);

}  // namespace hone::apps
