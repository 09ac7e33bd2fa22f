// What the options of all verbs have in common.
#pragma once

#include <CLI/CLI.hpp>

namespace hone::apps {

/// Makes every option that names a file or a folder read it as hone::expanded_path() does: ~ and $NAME work behind "=" and in
/// programs without a shell, too. Call once all verbs are there.
void expand_path_options(CLI::App& app);

}  // namespace hone::apps
