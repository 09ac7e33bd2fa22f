// What a run taught about how to ask: it lies beside its result (chat.json) and travels with it, in GGUF files as the
// key hone.chat.reasoning.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/loader.h"
#include "io/gguf_writer.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// From the rows seen so far.
RunChat run_chat_of(const data::DataReport& report);

/// FOLDER/chat.json.
void write_run_chat(const std::filesystem::path& folder, const RunChat& chat);
/// Of a result's folder; unknown where there is no such file. Throws Error{kInvalidInput} for one that is damaged.
RunChat read_run_chat(const std::filesystem::path& folder);

/// The metadata of a GGUF file that says the same; nothing when it is unknown.
io::GgufMetadata run_chat_metadata(const RunChat& chat);
/// What the model's files say: those of its weights, and before them those of the adapter that a stored model has.
RunChat carried_run_chat(const ModelFiles& files);

/// Lets `files` ask as the run taught: reasoning is expected where nobody says otherwise when every answer had some, and not when none had.
void take_run_chat(ModelFiles& files, const RunChat& chat);

/// For people, before training: which form is taught, and what it costs where a row's turns cannot share a sample.
std::vector<std::string> chat_notes(const ModelFiles& files, const data::DataReport& report);

}  // namespace hone::recipes
