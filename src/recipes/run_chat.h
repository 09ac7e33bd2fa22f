// What a run taught about how to ask: it lies beside its result (chat_template.jinja, chat.json) and travels with it, in
// GGUF files as the keys tokenizer.chat_template and hone.chat.reasoning.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/loader.h"
#include "io/gguf_writer.h"
#include "recipes/model_files.h"

namespace hone::recipes {

/// From the template that the rows were written with, and the rows seen so far.
RunChat run_chat_of(const ModelFiles& files, const data::DataReport& report);
/// How a model is asked: its template, and what its training taught.
RunChat run_chat_of(const ModelFiles& files);

/// FOLDER/chat_template.jinja and FOLDER/chat.json, as far as they are known.
void write_run_chat(const std::filesystem::path& folder, const RunChat& chat);
/// Of a result's folder, of a PEFT adapter that its tokenizer's files lie beside, or of a GGUF file; unknown where they do not
/// say. Throws Error{kInvalidInput} for damaged ones.
RunChat read_run_chat(const std::filesystem::path& result);

/// The metadata of a GGUF file that says the same; nothing when it is unknown.
io::GgufMetadata run_chat_metadata(const RunChat& chat);
/// What the files say: those of the weights (of which the template counts as the model's own anyway), and before them those of
/// the adapter that a stored model has.
RunChat carried_run_chat(const models::ModelSource& source, const std::optional<store::StoredModel>& stored);

/// Lets `files` ask as the run taught: with its chat template, unless the user gave one; reasoning is expected where nobody says
/// otherwise when every answer had some, and not when none had. Adds a note when the template changes. Throws Error for a
/// template that hone cannot read.
void take_run_chat(ModelFiles& files, const RunChat& chat);

/// For people, before training: which form is taught, and what it costs where a row's turns cannot share a sample.
std::vector<std::string> chat_notes(const ModelFiles& files, const data::DataReport& report);

}  // namespace hone::recipes
