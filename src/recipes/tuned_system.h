// The system message that nearly all rows of a training share: it goes with what was trained.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/shared_system.h"

namespace hone::recipes {

/// The share of the rows from which on a system message is the model's own.
inline constexpr double kSharedBy = 0.9;

/// `shared`'s text when enough rows have it.
std::optional<std::string> shared_text(const std::optional<data::SharedSystem>& shared);
/// Writes FOLDER/system.txt when there is one.
void write_tuned_system(const std::filesystem::path& folder, const std::optional<std::string>& system);
/// What write_tuned_system wrote beside an adapter or full weights (tuned_folder's result); nothing where there is none. Throws
/// Error{kInvalidInput} for a file that is no text.
std::optional<std::string> tuned_system(const std::filesystem::path& tuned);

/// `"You are Mia …"`: the beginning of a system message in one line, for notes.
std::string quoted_beginning(const std::string& system);

}  // namespace hone::recipes
