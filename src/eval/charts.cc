#include "eval/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hone::eval {
namespace {

constexpr std::array<const char*, 4> kColors = {"#9aa5b1", "#2563a8", "#b45309", "#3f7d4e"};

std::string open_svg(double width, double height, const std::string& title) {
  return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
                     "<title>{2}</title><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"12\" y=\"22\" font-size=\"15\" fill=\"#222\">{2}</text>\n",
                     width, height, escape_html(title));
}

// At most `most` characters of UTF-8, with … where something was cut off.
std::string shortened(const std::string& text, size_t most) {
  size_t at = 0, count = 0;
  for (; at < text.size() && count < most; ++count) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return at == text.size() ? text : text.substr(0, at) + "…";
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') out += "\xEF\xBF\xBD";  // no control character is allowed in HTML
    else out += c;
  }
  return out;
}

std::string bar_chart(const std::string& title, const std::vector<std::string>& series, const std::vector<Bar>& bars) {
  constexpr double kLeft = 150, kBarWidth = 460, kBar = 15, kGap = 12, kTop = 56, kWidth = 860;
  const double group = kBar * static_cast<double>(series.size()) + kGap, height = kTop + group * static_cast<double>(bars.size()) + 24;
  const auto px = [&](double v) { return kLeft + std::clamp(v, 0.0, 100.0) / 100 * kBarWidth; };
  std::string svg = open_svg(kWidth, height, title);
  double legend = kLeft;
  for (size_t s = 0; s < series.size() && series.size() > 1; ++s) {
    svg += fmt::format("<text x=\"{:.0f}\" y=\"42\" fill=\"{}\">■ {}</text>\n", legend, kColors[s % kColors.size()], escape_html(shortened(series[s], 24)));
    legend += 180;
  }
  for (int tick = 0; tick <= 100; tick += 20)
    svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2:.1f}\" stroke=\"#e4e4e4\"/><text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\" fill=\"#555\">{4}</text>\n", px(tick), kTop - 6,
                       height - 20, height - 6, tick);
  for (size_t b = 0; b < bars.size(); ++b) {
    const double y = kTop + group * static_cast<double>(b);
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#222\">{}</text>\n", kLeft - 8, y + (group - kGap) / 2 + 4, escape_html(shortened(bars[b].label, 20)));
    for (size_t s = 0; s < bars[b].values.size(); ++s) {
      const double top = y + kBar * static_cast<double>(s);
      svg += fmt::format("<rect x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>", kLeft, top, px(bars[b].values[s]) - kLeft, kBar - 2, kColors[(s + (series.size() == 1)) % kColors.size()]);
      if (s < bars[b].intervals.size())
        svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#222\"/>", px(bars[b].intervals[s].first), px(bars[b].intervals[s].second), top + (kBar - 2) / 2);
      svg += "\n";
    }
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" fill=\"#222\">{}</text>\n", kLeft + kBarWidth + 10, y + (group - kGap) / 2 + 4, escape_html(bars[b].note));
  }
  return svg + "</svg>\n";
}

std::string scatter_chart(const std::string& title, const std::string& x_label, const std::string& y_label, const std::vector<std::pair<double, double>>& points, std::pair<double, double> x_range,
                          std::pair<double, double> y_range) {
  constexpr double kWidth = 480, kHeight = 360, kLeft = 60, kRight = 16, kTop = 40, kBottom = 48;
  const auto px = [&](double x) { return kLeft + (x - x_range.first) / (x_range.second - x_range.first) * (kWidth - kLeft - kRight); };
  const auto py = [&](double y) { return kHeight - kBottom - (y - y_range.first) / (y_range.second - y_range.first) * (kHeight - kTop - kBottom); };
  std::string svg = open_svg(kWidth, kHeight, title);
  for (int i = 0; i <= 4; ++i) {
    const double x = x_range.first + (x_range.second - x_range.first) * i / 4, y = y_range.first + (y_range.second - y_range.first) * i / 4;
    svg += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#e4e4e4\"/><text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\" fill=\"#555\">{5:g}</text>"
                       "<text x=\"{6:.1f}\" y=\"{7}\" text-anchor=\"middle\" fill=\"#555\">{8:g}</text>\n",
                       kLeft, kWidth - kRight, py(y), kLeft - 8, py(y) + 4, y, px(x), kHeight - kBottom + 18, x);
  }
  for (const auto& [x, y] : points) svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"#2563a8\" fill-opacity=\"0.55\"/>\n", px(x), py(y));
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\n", (kLeft + kWidth - kRight) / 2, kHeight - 8, escape_html(x_label));
  svg += fmt::format("<text x=\"14\" y=\"{0}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {0})\" fill=\"#555\">{1}</text>\n", (kTop + kHeight - kBottom) / 2, escape_html(y_label));
  return svg + "</svg>\n";
}

}  // namespace hone::eval
