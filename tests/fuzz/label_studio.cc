// A list of tasks as Label Studio exports it: each becomes a row, which becomes a task again.
#include "data/edit/label_studio.h"
#include "data/row_scanner.h"
#include "fuzz/target.h"

namespace hone::fuzz {
namespace {

void run_label_studio(const uint8_t* data, size_t size) {
  const MemoryFile memory(text_of(data, size));
  part([&] { data::is_label_studio(memory.path()); });
  const data::InputFile file(memory.path());
  data::scan_json(file, size_t{1} << 20, [](const data::RawRow& raw) {
    data::Json task, row;
    if (raw.too_large || data::parse_json_row(raw.bytes, /*max_nesting=*/64, task) || !data::row_of_task(task, row).empty()) return;
    row.dump(-1, ' ', false, data::Json::error_handler_t::replace);
    const data::Json again = data::task_of({.number = 0, .json = row, .example = {}}, "file:1", "");
    data::Json same;
    if (again.is_object()) data::row_of_task(again, same);
  });
}

const Registered registered_label_studio({"label_studio", run_label_studio, 3000,
                             {"\"data\"", "\"annotations\"", "\"predictions\"", "\"completions\"", "\"result\"", "\"from_name\"", "\"to_name\"", "\"type\"", "\"choices\"", "\"textarea\"", "\"rating\"", "\"number\"", "\"labels\"", "\"value\"", "\"text\"", "\"start\"", "\"end\"",
                              "\"was_cancelled\"", "\"completed_by\"", "\"answer\"", "\"row\"", "\"where\"", "\"prompt\"", "\"messages\"", "\"instruction\"", "\"output\"", "true", "null", "[]", "{}", "[{}]", "-1"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
