// hone ps
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "apps/server_client.h"
#include "apps/terminal.h"
#include "apps/verb.h"

namespace hone::apps {
namespace {

constexpr int64_t kForever = int64_t{10} * 365 * 86400;  // nobody waits ten years

// "2026-01-31T12:00:00.123Z" or "…+02:00": "4 minutes from now".
std::string until(const std::string& timestamp) {
  std::tm time{};
  const char* rest = ::strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (!rest) return timestamp;
  if (*rest == '.') rest += 1 + std::strspn(rest + 1, "0123456789");
  int64_t at = ::timegm(&time);
  int hours = 0, minutes = 0;
  if ((*rest == '+' || *rest == '-') && std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2) at -= (*rest == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  const int64_t left = at - std::time(nullptr);
  return left > kForever ? "Forever" : left < 0 ? "Stopping..." : time_ahead(left);
}

// Where the weights are: "100% CPU".
std::string processor(uint64_t size, uint64_t on_gpu) {
  if (on_gpu == 0 || size == 0) return "100% CPU";
  if (on_gpu >= size) return "100% GPU";
  const uint64_t share = on_gpu * 100 / size;
  return fmt::format("{}%/{}% CPU/GPU", 100 - share, share);
}

}  // namespace

void add_ps(CLI::App& app, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("ps", "The models that the server at $HONE_HOST has in memory");
  verb->add_flag("--json", *json, "one JSON array");
  verb->callback([json, &action] {
    action = [json] {
      watch_signals();
      const auto answer = ServerClient().ask("GET", "/api/ps");
      const auto models = answer.value("models", nlohmann::ordered_json::array());
      if (*json) {
        fmt::print("{}\n", models.dump());
        return 0;
      }
      std::vector<std::array<std::string, 6>> rows = {{"NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"}};
      for (const auto& m : models) {
        const auto size = m.value("size", uint64_t{0});
        rows.push_back({m.value("name", ""), m.value("digest", "").substr(0, 12), decimal_size(size), processor(size, m.value("size_vram", uint64_t{0})), std::to_string(m.value("context_length", int64_t{0})),
                        until(m.value("expires_at", ""))});
      }
      std::array<size_t, 6> width{};
      for (const auto& row : rows)
        for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
      for (const auto& row : rows) {
        for (size_t i = 0; i + 1 < row.size(); ++i) fmt::print("{:<{}}    ", row[i], width[i]);
        fmt::print("{}\n", row.back());
      }
      return 0;
    };
  });
}

}  // namespace hone::apps
