#include "apps/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/verb.h"

namespace hone::apps {

std::string decimal_size(uint64_t bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit < 4; ++unit) value /= 1000;
  if (value >= 10 || value == std::floor(value)) return fmt::format("{:.0f} {}", std::floor(value), units[unit]);
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string time_ago(int64_t when, int64_t now) {
  const int64_t s = now - when;
  if (s < 0) return "in the future";
  if (s < 1) return "Less than a second ago";
  if (s == 1) return "1 second ago";
  if (s < 60) return fmt::format("{} seconds ago", s);
  if (s < 120) return "About a minute ago";
  if (s < 3600) return fmt::format("{} minutes ago", s / 60);
  if (s < 7200) return "About an hour ago";
  if (s < 48 * 3600) return fmt::format("{} hours ago", s / 3600);
  const int64_t days = s / 86400;
  if (days < 14) return fmt::format("{} days ago", days);
  if (days < 60) return fmt::format("{} weeks ago", days / 7);
  if (days < 730) return fmt::format("{} months ago", days / 30);
  return fmt::format("{} years ago", days / 365);
}

std::string time_ahead(int64_t seconds) {
  if (seconds < 1) return "Less than a second from now";
  if (seconds == 1) return "1 second from now";
  if (seconds < 60) return fmt::format("{} seconds from now", seconds);
  if (seconds < 120) return "About a minute from now";
  if (seconds < 3600) return fmt::format("{} minutes from now", seconds / 60);
  if (seconds < 7200) return "About an hour from now";
  if (seconds < 48 * 3600) return fmt::format("{} hours from now", seconds / 3600);
  return fmt::format("{} days from now", seconds / 86400);
}

std::string time_ago(int64_t when) { return time_ago(when, std::time(nullptr)); }

ProgressPrinter::ProgressPrinter(bool json) : json_(json), live_(!json && ::isatty(STDOUT_FILENO) != 0) {}

ProgressPrinter::~ProgressPrinter() {
  if (open_) std::fputc('\n', stdout);
  std::fflush(stdout);
}

store::Watch ProgressPrinter::watch() {
  return {[this](const store::Progress& p) { (*this)(p); }, interrupted};
}

void ProgressPrinter::line(const std::string& text) {
  if (json_) fmt::print("{}\n", nlohmann::ordered_json{{"status", text}}.dump());
  else fmt::print("{}{}\n", open_ ? "\n" : "", text);
  open_ = false;
  std::fflush(stdout);
}

void ProgressPrinter::operator()(const store::Progress& p) {
  const auto now = std::chrono::steady_clock::now();
  const bool fresh = p.status != status_;
  if (fresh) {
    status_ = p.status;
    begun_ = now;
    begun_at_ = p.completed;
  }
  const bool whole = p.total > 0 && p.completed >= p.total;
  if (!fresh && !whole && now - drawn_ < std::chrono::milliseconds(json_ ? 500 : 100)) return;
  drawn_ = now;
  if (json_) {
    nlohmann::ordered_json out = {{"status", p.status}};
    if (!p.digest.empty()) out["digest"] = p.digest;
    if (p.total > 0) out.update({{"total", p.total}, {"completed", p.completed}});
    fmt::print("{}\n", out.dump());
    std::fflush(stdout);
  } else if (live_) {
    if (fresh && open_) fmt::print("\n");
    draw(p);
  } else if (fresh) {
    fmt::print("{}{}\n", p.status, p.total > 0 ? fmt::format(" ({})", decimal_size(p.total)) : "");
    std::fflush(stdout);
  }
}

void ProgressPrinter::draw(const store::Progress& p) {
  std::string text = p.status;
  if (p.total > 0) {
    const double share = static_cast<double>(p.completed) / static_cast<double>(p.total), seconds = std::chrono::duration<double>(drawn_ - begun_).count();
    constexpr int kWidth = 24;
    const int full = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
    std::string bar;
    for (int i = 0; i < kWidth; ++i) bar += i < full ? "█" : " ";
    text += fmt::format(" {:3.0f}% ▕{}▏ {}/{}", 100 * share, bar, decimal_size(p.completed), decimal_size(p.total));
    const double rate = seconds > 0.5 ? static_cast<double>(p.completed - std::min(begun_at_, p.completed)) / seconds : 0;
    if (rate > 0) {
      const auto left = static_cast<int64_t>(static_cast<double>(p.total - std::min(p.completed, p.total)) / rate);
      text += fmt::format("  {}/s  {}", decimal_size(static_cast<uint64_t>(rate)), left >= 60 ? fmt::format("{}m{:02}s", left / 60, left % 60) : fmt::format("{}s", left));
    }
  }
  fmt::print("\r\x1b[K{}", text);
  std::fflush(stdout);
  open_ = true;
}

}  // namespace hone::apps
