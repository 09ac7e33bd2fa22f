// The tables that Markdown and HTML reports have in common.
#pragma once

#include <string>
#include <vector>

#include "eval/report.h"

namespace hone::eval {

/// A heading, sentences below it, and a table whose first row is its head; any of them may be empty.
struct Section {
  std::string heading;
  std::vector<std::string> sentences;
  std::vector<std::vector<std::string>> table;
  std::string picture;  // SVG
  bool texts = false;   // the table's middle columns hold whole texts, the first names the row, the last holds its points
};

std::vector<Section> report_sections(const Report& report);

}  // namespace hone::eval
