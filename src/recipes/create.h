// `hone create`: a named model out of a Modelfile.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/library.h"

namespace hone::recipes {

struct CreateOptions {
  store::Modelfile file;
  std::filesystem::path folder;  // that relative paths of the Modelfile start from
  std::string quantize;          // a GGUF type (q8_0, q4_k_m …); empty: a GGUF file stays as it is, a folder becomes F16
  store::Watch watch;
};

struct CreateResult {
  store::StoredModel model;
  std::vector<std::string> notes;  // what the user should know
};

/// Makes `name` in the library's own store. FROM is a GGUF file, a Hugging Face folder, a run's folder or a name; ADAPTER a GGUF
/// LoRA file, a PEFT folder or a run's folder. What the Modelfile does not say comes from the model named by FROM, or is read
/// off the chat template. Throws Error naming the instruction and the remedy.
CreateResult create_model(store::Library& library, const store::ModelName& name, const CreateOptions& options);

/// Gives a model of the own store that is bare weights the template and stop words that its chat template says, for other
/// programs that read the store. Leaves it as it is where hone cannot open the model or read its template.
void complete_model(store::Library& library, const store::ModelName& name, const store::Watch& watch);

}  // namespace hone::recipes
