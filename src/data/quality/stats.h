// Sizes of rows: the figures of `hone data stats`.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "data/encoder.h"
#include "data/quality/check.h"

namespace hone::data {

struct RowStats {
  std::vector<DatasetReport> files;
  Lengths characters, prompt_characters, answer_characters, turns;
  std::optional<Lengths> tokens, learned_tokens;  // with an encoder; of rows that become a sample
  int64_t refused = 0;                            // rows of which the template or the tokenizer makes no sample
};

/// `encoder` may be null. Memory: 24 bytes per row.
RowStats stats_of(const Rows& rows, const Encoder* encoder, const std::function<bool()>& stop);

/// Characters of valid UTF-8.
uint32_t characters_of(std::string_view text);

}  // namespace hone::data
