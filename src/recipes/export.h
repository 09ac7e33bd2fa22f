// `hone export`: what a run produced, in the formats that other programs read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hone::recipes {

struct ExportOptions {
  std::filesystem::path run;  // a run's folder (with config.yaml), or an adapter
  std::string base;           // the base model; empty: the one the run or adapter names
  std::string format;         // peft, gguf-lora, safetensors, gguf, modelfile
  std::string type = "f16";   // of gguf: f16, bf16, q8_0, q4_0, q4_k_m, q6_k; of safetensors: bf16, f16, f32
  std::filesystem::path out;  // a folder, or a file for gguf and gguf-lora; empty: RUN/export/<format>
};

/// Writes and returns the paths that were written. Throws Error naming the format, the run and the remedy.
std::vector<std::filesystem::path> export_run(const ExportOptions& options);

}  // namespace hone::recipes
