#include "data/shared_system.h"

#include <algorithm>

#include "data/dataset.h"

namespace hone::data {
namespace {

constexpr size_t kKeptSystems = 1024;

std::string system_of(const Example& example) {
  if (example.kind != Example::Kind::kChat || example.messages.empty()) return {};
  const Json& first = example.messages.front();
  return first.value("role", "") == "system" && first.contains("content") && first["content"].is_string() ? first["content"].get<std::string>() : std::string();
}

}  // namespace

void SystemTally::add(const std::string& system, double weight) {
  all_ += weight;
  const auto known = rows_.find(system);
  if (known != rows_.end()) known->second += weight;
  else if (rows_.size() < kKeptSystems) rows_.emplace(system, weight);
}

std::optional<SharedSystem> SystemTally::most() const {
  const auto most = std::max_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == rows_.end() || most->first.empty()) return std::nullopt;
  return SharedSystem{most->first, most->second / all_};
}

std::optional<SharedSystem> shared_system(const DataConfig& config) {
  SystemTally tally;
  for (size_t i = 0; i < config.datasets.size(); ++i) {
    const Dataset dataset(config.datasets[i], config, static_cast<uint32_t>(i), /*validation_only=*/false);
    for (uint64_t row = 0; row < dataset.rows(); ++row) {
      Example example;
      if (dataset.is_training(row) && !dataset.is_unusable(row) && !dataset.read(row, example)) tally.add(system_of(example), dataset.weight());
    }
  }
  return tally.most();
}

}  // namespace hone::data
