#include "data/rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/thread_pool.h"

namespace hone::data {
namespace {

constexpr uint32_t kBlock = 512;

}  // namespace

Rows::Rows(const std::vector<DatasetConfig>& files, BadRowLimit allowed, const TurnRules& turns) {
  DataConfig config;
  config.turns = turns;
  config.max_bad_rows = allowed;
  uint64_t total = 0;
  files_.reserve(files.size());
  for (const DatasetConfig& file : files) {
    files_.emplace_back(file, config, static_cast<uint32_t>(files_.size()), /*validation_only=*/false);
    total += files_.back().rows();
    if (total > uint64_t{1} << 31) throw Error(ErrorCode::kInvalidInput, file.path, fmt::format("{} rows in all, at most 2147483648 are compared", total), "work on the files one at a time");
    begin_.push_back(static_cast<uint32_t>(total));
  }
}

size_t Rows::file_of(uint32_t row) const {
  HONE_CHECK(row < size(), "row {} of {}", row, size());
  return static_cast<size_t>(std::upper_bound(begin_.begin(), begin_.end(), row) - begin_.begin()) - 1;
}

bool Rows::usable(uint32_t row) const {
  const size_t file = file_of(row);
  return !files_[file].is_unusable(row - begin_[file]);
}

void Rows::read(uint32_t row, ReadRow& to) const {
  const size_t file = file_of(row);
  to.number = row;
  auto issue = files_[file].read_json(row - begin_[file], to.json);
  if (!issue) issue = files_[file].format().read(to.json, to.example);
  if (issue) throw Error(ErrorCode::kIo, where(row), "the file was changed while it was read: " + issue->message, "keep it unchanged meanwhile");
}

std::string Rows::raw(uint32_t row) const {
  const size_t file = file_of(row);
  return files_[file].raw(row - begin_[file]);
}

std::string Rows::where(uint32_t row) const {
  const size_t file = file_of(row);
  return files_[file].where(row - begin_[file]);
}

size_t Rows::blocks() const { return (size() + kBlock - 1) / kBlock; }

void Rows::each(const std::function<void(const ReadRow& row, size_t block)>& work, const std::function<bool()>& stop) const {
  ThreadPool::global().run(static_cast<int64_t>(blocks()), [&](int64_t block, int) {
    if (stop && stop()) throw Error(ErrorCode::kInterrupted, "data", "interrupted");
    ReadRow row;
    const auto from = static_cast<uint32_t>(block) * kBlock;
    for (uint32_t r = from; r < std::min(from + kBlock, size()); ++r) {
      if (!usable(r)) continue;
      read(r, row);
      work(row, static_cast<size_t>(block));
    }
  });
}

}  // namespace hone::data
