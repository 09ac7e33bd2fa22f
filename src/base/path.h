// Paths as people write them.
#pragma once

#include <string>

namespace hone {

/// A path whose leading "~", "~/…" or "~USER/…" is a home folder and whose $NAME and ${NAME} are variables of the environment, as a
/// shell would read it: settings files and words such as --adapter mine=~/runs never pass through one. A path that exists just as it
/// is written stays as it is. Throws Error{kInvalidInput} naming `where` for variables that are not set, users that are not there and
/// ${…} that holds more than a name.
std::string expanded_path(const std::string& text, const std::string& where);

/// A word for a command line that people copy: in single quotes where a shell would read it as something else.
std::string shell_word(const std::string& text);

}  // namespace hone
