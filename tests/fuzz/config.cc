// A YAML file of settings: what is read can be written and read again.
#include "fuzz/target.h"
#include "recipes/config.h"

namespace hone::fuzz {
namespace {

void run_config(const uint8_t* data, size_t size) {
  const std::string text(text_of(data, size));
  part([&] { recipes::parse_config("model: {base: m}\ndata: {datasets: [{path: d.jsonl}]}\n", "config.yaml", {text.substr(0, text.find('\n'))}); });
  const recipes::Config config = recipes::parse_config(text, "config.yaml", {});
  const std::string yaml = recipes::to_yaml(config);
  hold(recipes::to_yaml(recipes::parse_config(yaml, "config.yaml", {})) == yaml, "settings can be written and read again");
}

const Registered registered_config({"config", run_config, 400,
                             {"model:", "base:", "adapter:", "lora", "full", "quantization:", "nf4", "chat_template:", "lora:", "r:", "alpha:", "target:", "training:", "method:", "batch_size:", "learning_rate:", "epochs:", "max_steps:", "seed:", "output_dir:",
                              "optimizer:", "adamw", "schedule:", "cosine", "data:", "datasets:", "- path:", "format:", "columns:", "weight:", "cutoff_length:", "max_bad_rows:", "1%", "[", "]", "{", "}", ": ", "\n  ", "&a ", "*a", "<<: *a", "!!int", "!!binary", "|\n", ">-\n",
                              "---", "...", "? ", "~", "null", ".inf", ".nan", "yes", "0o17", "\t", "training.epochs=1", "data.datasets=[a]", "%YAML 1.2"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
