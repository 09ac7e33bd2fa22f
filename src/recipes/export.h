// `hone export`: what a run produced, in the formats that other programs read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hone::recipes {

struct ExportOptions {
  std::filesystem::path run;  // a run's folder (with config.yaml), an adapter, or a model whose format is to change
  std::string base;           // the base model; empty: the one the run or adapter names
  std::string format;         // peft, gguf-lora, safetensors, gguf, modelfile
  std::string type;           // of gguf: f16 (default), bf16, f32, q8_0, q4_0, q4_k_m, q6_k; of safetensors: bf16, f16, f32 (default: as the base)
  std::filesystem::path out;  // a folder, or a file for gguf and gguf-lora; empty: RUN/export/<format>
};

struct ExportResult {
  std::vector<std::filesystem::path> files;  // that were written
  std::vector<std::string> notes;            // what the user should know about them
};

/// Throws Error naming the format, the run and the remedy.
ExportResult export_run(const ExportOptions& options);

}  // namespace hone::recipes
