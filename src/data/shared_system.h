// Which system message rows share.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/config.h"

namespace hone::data {

/// A system message and the share of the rows that begin with it, from 0 to 1.
struct SharedSystem {
  std::string text;
  double share = 0;
};

/// Counts rows by their system message. Memory is bounded: once many differ, a new one counts among the others only.
class SystemTally {
 public:
  /// `system`: empty where a row has none. `weight`: how much the row counts.
  void add(const std::string& system, double weight);
  /// The system message that most rows have; nothing when most have none of those counted.
  std::optional<SharedSystem> most() const;

 private:
  std::map<std::string, double> rows_;
  double all_ = 0;
};

/// Of the usable training rows of `config.datasets`, which are read once more for it: for data that Loader measured in advance.
std::optional<SharedSystem> shared_system(const DataConfig& config);

}  // namespace hone::data
