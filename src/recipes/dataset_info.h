// Datasets by their names in LLaMA-Factory's dataset_info.json.
#pragma once

#include <string>
#include <vector>

#include "data/config.h"

namespace hone::recipes {

/// Each entry of `list` that is a bare name, no file, and named in `folder`/dataset_info.json becomes the file, form, columns, roles
/// and number of rows that stand there. `folder` empty: data/, where that holds one; otherwise names stay paths. With `pretrain` the
/// prompt's column is the text. Throws Error{kNotFound} for a name that a wanted dataset_info.json lacks, Error{kUnsupported} for
/// datasets that hone does not read (of the hub, of preferences, with pictures), Error{kInvalidInput} for a broken file.
void resolve_dataset_names(std::vector<data::DatasetConfig>& list, const std::string& folder, bool pretrain, const std::string& where);

}  // namespace hone::recipes
