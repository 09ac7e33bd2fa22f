#include "runs/loss_curve.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <vector>

namespace hone::runs {
namespace {

// "x" of every text that names a line, and where its letters begin at the least: they are set to end at x.
std::vector<std::pair<double, double>> legend_of(const std::string& svg) {
  std::vector<std::pair<double, double>> places;
  const std::string bullet = "\">● ";
  for (size_t at = svg.find(bullet); at != std::string::npos; at = svg.find(bullet, at + 1)) {
    const size_t begin = svg.rfind("<text x=\"", at) + 9, end = svg.find("</text>", at);
    EXPECT_NE(svg.substr(begin, at - begin).find("text-anchor=\"end\""), std::string::npos);
    const double x = std::strtod(svg.c_str() + begin, nullptr);
    places.emplace_back(x - 8 * (2 + static_cast<double>(end - at - bullet.size())), x);  // 8 units: as wide as letters of this size come
  }
  return places;
}

TEST(LossCurve, NamesOfLinesStandBesideEachOther) {
  const std::vector<std::pair<double, double>> points = {{1, 3}, {2, 2}};
  const std::string svg = loss_curve_svg("m-1: loss per supervised token", {{"step", "#111", points}, {"smoothed", "#222", points}, {"validation", "#333", points}});
  const auto places = legend_of(svg);
  ASSERT_EQ(places.size(), 3u);
  for (size_t i = 1; i < places.size(); ++i) EXPECT_LT(places[i].second, places[i - 1].first) << svg;
  EXPECT_GT(places.back().first, 0);
  EXPECT_NE(svg.find("y=\"24\" font-size=\"15\""), std::string::npos) << "the title has a line of its own";
  EXPECT_EQ(svg.find("y=\"24\" text-anchor"), std::string::npos);
}

}  // namespace
}  // namespace hone::runs
