// The loss curve as a picture.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hone::runs {

struct Series {
  std::string name;
  std::string color;  // CSS
  std::vector<std::pair<double, double>> points;  // (step, loss), steps ascending
};

/// An SVG of the series over steps, with axes and a legend; non-finite points are left out.
std::string loss_curve_svg(const std::string& title, const std::vector<Series>& series);

}  // namespace hone::runs
