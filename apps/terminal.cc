#include "apps/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/verb.h"

namespace hone::apps {
namespace {

constexpr int64_t kUsualColumns = 80;

volatile std::sig_atomic_t width_changed = 1;

int64_t ask_columns(int file) {
  if (::isatty(file) == 0) return 0;
  winsize size{};
  if (::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* told = std::getenv("COLUMNS");  // a terminal that does not know, as over a serial line
  const int64_t columns = told ? std::strtoll(told, nullptr, 10) : 0;
  return columns > 0 ? columns : kUsualColumns;
}

void watch_width() {
  struct sigaction action {};
  action.sa_handler = [](int) { width_changed = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGWINCH, &action, nullptr);
}

}  // namespace

int64_t terminal_columns(int file) {
  static int64_t known[3] = {};
  if (file < 0 || file > STDERR_FILENO) return ask_columns(file);
  static const bool watched = (watch_width(), true);
  if (watched && width_changed) {
    width_changed = 0;
    for (int i = 0; i < 3; ++i) known[i] = ask_columns(i);
  }
  return known[file];
}

std::string wrapped_line(const std::string& text, int64_t indent) { return text::wrapped(text, terminal_columns(), indent); }

// A line that was drawn on a wider terminal takes several rows now, and the cursor is in the last of them.
void LiveLine::erase() const {
  if (!open_) return;
  const int64_t columns = terminal_columns(), rows = columns > 0 ? std::max<int64_t>(0, drawn_ - 1) / columns : 0;
  if (rows > 0) fmt::print("\r\x1b[{}A\x1b[J", rows);
  else fmt::print("\r\x1b[K");
}

void LiveLine::draw(std::vector<text::LineField> fields) {
  erase();
  fields_ = std::move(fields);
  width_ = terminal_columns();
  // The last column stays free: terminals differ in where the cursor is after it.
  const std::string line = text::fitted(fields_, std::max<int64_t>(1, width_ - 1));
  drawn_ = text::columns(line);
  fmt::print("{}", line);
  open_ = true;
}

void LiveLine::refresh() {
  if (!open_ || terminal_columns() == width_) return;
  draw(fields_);
  std::fflush(stdout);
}

void LiveLine::end() {
  if (open_) fmt::print("\n");
  open_ = false;
}

void LiveLine::clear() {
  erase();
  open_ = false;
}

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
  line_.end();
  std::fflush(stdout);
}

store::Watch ProgressPrinter::watch() {
  return {[this](const store::Progress& p) { (*this)(p); }, interrupted};
}

void ProgressPrinter::line(const std::string& text) {
  line_.end();
  if (json_) fmt::print("{}\n", nlohmann::ordered_json{{"status", text}}.dump());
  else fmt::print("{}\n", wrapped_line(text, 2));
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
    if (fresh) line_.end();
    draw(p);
  } else if (fresh) {
    fmt::print("{}{}\n", p.status, p.total > 0 ? fmt::format(" ({})", decimal_size(p.total)) : "");
    std::fflush(stdout);
  }
}

void ProgressPrinter::draw(const store::Progress& p) {
  std::vector<text::LineField> fields = {{0, p.status}};
  if (p.total > 0) {
    const double share = static_cast<double>(p.completed) / static_cast<double>(p.total), seconds = std::chrono::duration<double>(drawn_ - begun_).count();
    constexpr int kWidth = 24;
    const int full = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
    std::string bar;
    for (int i = 0; i < kWidth; ++i) bar += i < full ? "█" : " ";
    fields[0].text += fmt::format(" {:3.0f}%", 100 * share);
    fields.push_back({3, fmt::format("▕{}▏", bar)});
    fields.push_back({1, fmt::format("{}/{}", decimal_size(p.completed), decimal_size(p.total))});
    const double rate = seconds > 0.5 ? static_cast<double>(p.completed - std::min(begun_at_, p.completed)) / seconds : 0;
    if (rate > 0) {
      const auto left = static_cast<int64_t>(static_cast<double>(p.total - std::min(p.completed, p.total)) / rate);
      fields.push_back({2, fmt::format("{}/s", decimal_size(static_cast<uint64_t>(rate)))});
      fields.push_back({1, left >= 60 ? fmt::format("{}m{:02}s", left / 60, left % 60) : fmt::format("{}s", left)});
    }
  }
  line_.draw(std::move(fields));
  std::fflush(stdout);
}

}  // namespace hone::apps
