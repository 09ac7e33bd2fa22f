// A file of rows, as JSON lines, as a JSON list and as CSV, in the format its keys say; and the way of a row through a review.
#include "base/text_encoding.h"
#include "data/csv.h"
#include "data/plain_json.h"
#include "data/rows.h"
#include "fuzz/target.h"
#include "serve/review/row_fields.h"

namespace hone::fuzz {
namespace {

void all_rows(const std::string& path, data::Container container) {
  data::DatasetConfig file;
  file.path = path;
  file.container = container;
  const data::Rows rows({file}, {.unit = data::BadRowLimit::Unit::kShare, .value = 1});
  for (uint32_t number = 0; number < rows.size(); ++number) {
    rows.where(number);
    const std::string raw = rows.raw(number);
    if (!rows.usable(number)) continue;
    data::ReadRow row;
    rows.read(number, row);
    for (const serve::RowField& field : serve::fields_of(row.json, rows.files()[0].format()))
      if (field.editable)
        part([&] {
          const data::Json edited = serve::with_edits(row.json, {{field.pointer, "new"}}, rows.files()[0].format());
          hold(edited.at(data::Json::json_pointer(field.pointer)) == "new", "an edit arrives where it was made");
        });
  }
}

void run_rows(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, size);
  hold(data::valid_utf8(text) <= size, "valid text is no longer than the text");
  if (data::Json plain; data::valid_utf8(text) == size && data::read_plain_json(text, /*max_nesting=*/64, plain)) hold(plain == data::Json::parse(text, nullptr, /*allow_exceptions=*/false), "both ways of reading JSON agree");
  std::vector<std::string> fields;
  data::split_csv(text, data::guess_delimiter(text), fields);
  part([&] { hold(data::valid_utf8(decoded_text("\xff\xfe" + std::string(text), "rows")) <= 2 * size, "UTF-16 becomes UTF-8"); });
  const MemoryFile file(text);
  for (const data::Container container : {data::Container::kJsonl, data::Container::kJson, data::Container::kCsv}) part([&] { all_rows(file.path(), container); });
  all_rows(file.path(), data::Container::kAuto);
}

const Registered registered_rows({"rows", run_rows, 600,
                             {"\"messages\"", "\"role\"", "\"content\"", "\"user\"", "\"assistant\"", "\"tool\"", "\"instruction\"", "\"input\"", "\"output\"", "\"conversations\"", "\"from\"", "\"human\"", "\"gpt\"", "\"value\"", "\"prompt\"", "\"completion\"", "\"text\"",
                              "\"tools\"", "\"data\"", "\"system\"", "\"history\"", "prompt,completion\n", "text\n", "instruction;input;output\n", "\"\"", ",", ";", "\t", "\n", "\r\n", "\"a\"\"b\"", "[", "]", "{", "}", "null", "1", "\\u0000", "\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF", "\r", "PAR1", "\x1F\x8B"},
                             {}});

}  // namespace
}  // namespace hone::fuzz
