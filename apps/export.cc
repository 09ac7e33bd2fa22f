// hone export RUN --format …
#include <fmt/format.h>

#include <filesystem>

#include "apps/verb.h"
#include "recipes/export.h"

namespace hone::apps {

void add_export(CLI::App& app, Action& action) {
  auto options = std::make_shared<recipes::ExportOptions>();
  CLI::App* verb = app.add_subcommand("export", "Write what a run produced in the formats that other programs read");
  verb->footer("peft         adapter folder for PEFT\n"
               "gguf-lora    adapter.gguf for llama.cpp's --lora and Ollama's ADAPTER\n"
               "gguf         model.gguf, merged, for llama.cpp and Ollama\n"
               "safetensors  model folder, merged, for transformers and vLLM\n"
               "modelfile    Modelfile and adapter.gguf for ollama create\n\n"
               "hone export runs/triage --format gguf --type q4_k_m --out triage.gguf");
  verb->add_option("run", options->run, "a run's folder (its best is taken), an adapter, or a model whose format is to change")->required();
  verb->add_option("--format", options->format, "peft, gguf-lora, safetensors, gguf or modelfile")->required();
  verb->add_option("--type", options->type, "of gguf: f16 (default), bf16, f32, q8_0, q4_0, q4_k_m, q6_k; of safetensors: bf16, f16, f32 (default: as the base)");
  verb->add_option("--base", options->base, "the base model, where the run does not say or it has moved");
  verb->add_option("--out", options->out, "where to; default: RUN/export/<format>");
  verb->callback([options, &action] {
    action = [options] {
      const recipes::ExportResult result = recipes::export_run(*options);
      for (const auto& path : result.files)
        fmt::print("wrote {} ({:.1f} MiB)\n", path.string(), static_cast<double>(std::filesystem::file_size(path)) / (1 << 20));
      for (const std::string& note : result.notes) fmt::print(stderr, "note: {}\n", note);
      return 0;
    };
  });
}

}  // namespace hone::apps
