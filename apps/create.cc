// hone create NAME -f Modelfile
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>

#include "apps/terminal.h"
#include "apps/verb.h"
#include "base/file.h"
#include "recipes/create.h"

namespace hone::apps {

void add_create(CLI::App& app, Action& action) {
  struct Arguments {
    std::string name, file = "Modelfile", quantize;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("create", "Make a named model from a Modelfile");
  verb->add_option("name", a->name, "of the model")->required();
  verb->add_option("-f,--file", a->file, "the Modelfile; - reads standard input")->capture_default_str();
  verb->add_option("-q,--quantize", a->quantize, "write the weights in this type: f16, bf16, q8_0, q4_0, q4_k_m, q6_k");
  verb->add_flag("--json", a->json, "one JSON object per line");
  verb->footer("FROM a GGUF file, a Hugging Face folder, a run's folder or a name; ADAPTER a run's folder, a PEFT folder or a GGUF adapter.\n"
               "For example: printf 'FROM runs/triage\\n' | hone create triage -f -");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      const store::ModelName name = store::parse_name(a->name);
      const bool input = a->file == "-";
      const std::string text = input ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(a->file, size_t{64} << 20);
      recipes::CreateOptions options;
      options.file = store::parse_modelfile(text, input ? "standard input" : a->file);
      options.folder = input ? std::filesystem::current_path() : std::filesystem::absolute(a->file).lexically_normal().parent_path();
      options.quantize = a->quantize;
      ProgressPrinter progress(a->json);
      options.watch = progress.watch();
      store::Library library;
      const recipes::CreateResult result = recipes::create_model(library, name, options);
      progress.line("success");
      for (const std::string& note : result.notes) fmt::print(stderr, "note: {}\n", note);
      return 0;
    };
  });
}

}  // namespace hone::apps
