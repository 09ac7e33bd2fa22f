#include "runs/loss_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hone::runs {
namespace {

constexpr double kWidth = 860, kHeight = 420, kLeft = 64, kRight = 20, kTop = 56, kBottom = 48;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

// A step of 1, 2 or 5 times a power of ten that cuts `range` into about `parts`.
double tick_step(double range, int parts) {
  const double raw = range / parts, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

}  // namespace

std::string loss_curve_svg(const std::string& title, const std::vector<Series>& series) {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  for (const Series& s : series)
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(y)) continue;
      x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    }
  if (!(x0 <= x1)) x0 = 0, x1 = 1, y0 = 0, y1 = 1;
  if (x1 - x0 < 1) x1 = x0 + 1;
  y0 = std::min(y0, 0.0);
  if (y1 - y0 < 1e-6) y1 = y0 + 1;
  y1 += (y1 - y0) * 0.05;
  const auto px = [&](double x) { return kLeft + (x - x0) / (x1 - x0) * (kWidth - kLeft - kRight); };
  const auto py = [&](double y) { return kHeight - kBottom - (y - y0) / (y1 - y0) * (kHeight - kTop - kBottom); };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{2}\" y=\"24\" font-size=\"15\" fill=\"#222\">{3}</text>\n",
      kWidth, kHeight, kLeft, escaped(title));
  const double dy = tick_step(y1 - y0, 5), dx = std::max(1.0, tick_step(x1 - x0, 8));
  for (double y = std::ceil(y0 / dy) * dy; y <= y1; y += dy)
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#e4e4e4\"/>"
                       "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#555\">{:g}</text>\n",
                       kLeft, kWidth - kRight, py(y), py(y), kLeft - 8, py(y) + 4, std::abs(y) < 1e-12 ? 0 : y);
  for (double x = std::ceil(x0 / dx) * dx; x <= x1; x += dx)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{:g}</text>\n", px(x),
                       kHeight - kBottom + 18, x);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">step</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 10);
  // Names from right to left, in a line of their own: the width of letters is not known here, so a wide one is allowed for each.
  constexpr double kLetter = 8.5, kBullet = 24;
  double legend = kWidth - kRight;
  for (const Series& s : series) {
    std::string points;
    int shown = 0;
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(y)) continue;
      points += fmt::format("{:.1f},{:.1f} ", px(x), py(y));
      ++shown;
    }
    if (shown == 0) continue;
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" points=\"{}\"/>\n", s.color, points);
    if (shown <= 40)
      for (const auto& [x, y] : s.points)
        if (std::isfinite(y)) svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.4\" fill=\"{}\"/>\n", px(x), py(y), s.color);
    svg += fmt::format("<text x=\"{:.0f}\" y=\"{}\" text-anchor=\"end\" fill=\"{}\">● {}</text>\n", legend, kTop - 4, s.color, escaped(s.name));
    legend -= kBullet + kLetter * static_cast<double>(s.name.size());
  }
  return svg + "</svg>\n";
}

}  // namespace hone::runs
