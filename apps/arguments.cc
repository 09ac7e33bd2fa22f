#include "apps/arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/path.h"

namespace hone::apps {
namespace {

// Names mean the same in every verb; where an option takes a word or a path ("--against base"), a word has nothing to expand.
constexpr auto kPaths = std::to_array<std::string_view>({
    "file", "files", "model", "models", "run", "answers", "--adapter", "--against", "--api-keys", "--base", "--chat-template", "--class-rules", "--data", "--embed", "--export",
    "--file", "--held-out", "--lm-eval", "--model", "--out", "--output", "--panel-keys", "--predictions", "--ratings", "--references", "--report", "--settings", "--shape", "--state",
    "--text", "--tls-cert", "--tls-key",
});

}  // namespace

void expand_path_options(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();  // of several names the first long one
    if (std::find(kPaths.begin(), kPaths.end(), name) == kPaths.end()) continue;
    option->transform(CLI::Validator(
        [name](std::string& text) {
          try {
            text = expanded_path(text, name);
            return std::string();
          } catch (const Error& error) {
            return fmt::format("{}; {}", error.message(), error.hint());
          }
        },
        /*validator_desc=*/""));
  }
  for (CLI::App* verb : app.get_subcommands(nullptr)) expand_path_options(*verb);
}

}  // namespace hone::apps
