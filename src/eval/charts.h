// Pictures for reports, as SVG that needs nothing from outside.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hone::eval {

/// Text with <, >, & and " written as entities.
std::string escape_html(const std::string& text);

struct Bar {
  std::string label, note;  // note: printed after the bar
  std::vector<double> values;  // one per series, 0 to 100
  std::vector<std::pair<double, double>> intervals;  // one per series, or none
};
/// Horizontal bars from 0 to 100, one group per label.
std::string bar_chart(const std::string& title, const std::vector<std::string>& series, const std::vector<Bar>& bars);

/// Points (x, y) within the given ranges, low below high.
std::string scatter_chart(const std::string& title, const std::string& x_label, const std::string& y_label, const std::vector<std::pair<double, double>>& points,
                          std::pair<double, double> x_range, std::pair<double, double> y_range);

}  // namespace hone::eval
