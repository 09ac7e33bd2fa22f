// What the parts of `hone data` share.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/verb.h"
#include "data/quality/classes.h"
#include "recipes/chat_encoder.h"

namespace hone::apps {

struct DataArguments {
  std::vector<std::string> files, held_out, columns, roles, turns, settings_words, weights, counts;
  std::string settings, model, embed, chat_template, format = "auto", to = "auto", from, output, held_out_output, class_field, class_rules, by = "down", group, max_bad_rows, label;
  int64_t clusters = 0, wanted = 20, examples = 3, rows = 0, row = 1, shown = 3, count = 0, seed = 42;
  double share = 0, similarity = 0.8, band_low = 0.8, band_high = 1.2;
  bool json = false, list_settings = false, overwrite = false, drop_unclassified = false, random = false, annotated_only = false;
};

std::vector<data::DatasetConfig> datasets(const DataArguments& a, const std::vector<std::string>& paths);
/// All files named on the command line. `allowed` is taken where --max-bad-rows says nothing.
data::Rows open_rows(const DataArguments& a, const char* allowed);
/// Lines "note: …" about what was left out and why, turns out of order and fields that are not read; empty when there is nothing to say.
std::string row_notes(const data::Rows& rows, size_t reasons = 5);
/// Null when no model is named; else every file's format is checked against it.
std::unique_ptr<recipes::ChatEncoder> encoder_of(const DataArguments& a, const data::Rows& rows);
/// Nothing when no way to tell classes is named.
std::optional<data::RowClasses> classes_of(const DataArguments& a, const data::Rows& rows);

void add_files(CLI::App* sub, DataArguments& a);
void add_model(CLI::App* sub, DataArguments& a);
void add_classes(CLI::App* sub, DataArguments& a);
/// --band-low and --band-high, and --model, whose embeddings make clusters.
void add_band(CLI::App* sub, DataArguments& a);
void add_output(CLI::App* sub, DataArguments& a, const char* meaning);

/// split, mix, balance, convert.
using AddPart = std::function<void(CLI::App* sub, int (*run)(const DataArguments&))>;
void add_data_edits(CLI::App* verb, DataArguments& a, const AddPart& on);
void add_data_review(CLI::App* verb, Action& action);

}  // namespace hone::apps
