// Tasks and annotations as Label Studio exports and imports them (its JSON format: a list of tasks).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/edit/row_writer.h"

namespace hone::data {

/// A row as a task: data holds "prompt", "answer" (what a reviewer reads), "where", and the row itself under "row". With a `label` field (see field_of) its value is a prediction of the
/// choice "label", so that reviewers only correct it.
Json task_of(const ReadRow& row, const std::string& where, const std::string& label);

/// A task as a row: data.row where task_of made it, else data itself; with
///   "labels":      {name of the question: the value most annotators gave; of a tie, the first given}
///   "annotations": [{"annotator", "labels"}, …], cancelled ones left out
/// Values: of choices the choice or the list of choices; of text the text; of ratings and numbers the number; of spans a list of {start, end, text, labels}; others as they are written.
/// A text question named "answer" replaces the last answer of a messages, alpaca, sharegpt or prompt/completion row. Returns an empty string or what is wrong.
std::string row_of_task(const Json& task, Json& row);

struct LabelStudioReport {
  int64_t tasks = 0, annotated = 0, annotations = 0, malformed = 0;
  std::vector<std::string> problems;  // the first 20: "file:line: …"
};

/// Whether the file's first row looks like a task: an object with "data" and "annotations", "completions" or "predictions".
bool is_label_studio(const std::string& path);

/// Writes the tasks of `input` (a .json list or .jsonl) as rows; with `annotated_only`, those that somebody annotated. Streams. Throws Error{kInvalidInput}, leaving no file, when more than `allowed` tasks are malformed.
LabelStudioReport read_tasks(const std::string& input, const std::string& output, bool annotated_only, BadRowLimit allowed, const std::function<bool()>& stop);

/// Writes every usable row as a task.
int64_t write_tasks(const Rows& rows, const std::string& label, const std::string& output, const std::function<bool()>& stop);

}  // namespace hone::data
