// What a run taught about how to ask: it lies beside its result and travels with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/loader.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// How many of the answers that were learned carry reasoning (<think> … </think>).
enum class Reasoning { kUnknown, kNone, kSome, kAll };

struct RunChat {
  Reasoning reasoning = Reasoning::kUnknown;
};

/// From the rows seen so far.
RunChat run_chat_of(const data::DataReport& report);

/// FOLDER/chat.json.
void write_run_chat(const std::filesystem::path& folder, const RunChat& chat);
/// Of a result's folder; unknown where there is no such file. Throws Error{kInvalidInput} for one that is damaged.
RunChat read_run_chat(const std::filesystem::path& folder);

/// Lets `files` ask as the run taught: reasoning is expected where nobody says otherwise when every answer had some, and not when none had.
void take_run_chat(ModelFiles& files, const RunChat& chat);

/// For people, before training: which form is taught, and what it costs where a row's turns cannot share a sample.
std::vector<std::string> chat_notes(const ModelFiles& files, const data::DataReport& report);

}  // namespace hone::recipes
