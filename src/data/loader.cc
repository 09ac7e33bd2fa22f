#include "data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "data/batch_stream.h"
#include "data/data_check.h"
#include "data/dataset.h"
#include "data/row_order.h"
#include "data/sample_store.h"

namespace hone::data {
namespace {

constexpr uint64_t kRowsAtOnce = 256;
constexpr uint64_t kProbedRows = 64;      // of every dataset that is not measured
constexpr uint64_t kEmptyEpochs = 1000;   // in a row, before next() gives up
constexpr double kPackedFill = 0.98;      // of packed rows, for estimates

class ValidationBatches : public ValidationPass {
 public:
  ValidationBatches(SampleStore& store, int64_t batch_size)
      : stream_(store, std::make_unique<ValidationOrder>(store.datasets()), 0, 0), batch_size_(batch_size) {}

  bool next(MicroBatch& batch) override {
    batch = {};
    while (batch.rows < batch_size_ && stream_.has_more()) stream_.take(batch);
    return batch.rows > 0;
  }

 private:
  BatchStream stream_;
  int64_t batch_size_;
};

}  // namespace

struct Loader::Impl {
  DataConfig config;
  std::shared_ptr<const Encoder> encoder;
  std::vector<Dataset> datasets;
  std::unique_ptr<SampleStore> store;
  bool measured = false;
  std::vector<std::vector<uint32_t>> row_tokens;  // by dataset and row, when measured
  uint64_t fingerprint = 0;
  uint64_t epoch = 0;
  std::unique_ptr<BatchStream> stream;  // of `epoch`

  Impl(DataConfig wanted, std::shared_ptr<const Encoder> words) : config(std::move(wanted)), encoder(std::move(words)) {
    check_config(config);
    datasets.reserve(config.datasets.size() + config.validation.size());
    for (const DatasetConfig& dataset : config.datasets) open(dataset, /*validation_only=*/false);
    for (const DatasetConfig& dataset : config.validation) open(dataset, /*validation_only=*/true);
    store = std::make_unique<SampleStore>(datasets, config, *encoder);
    int64_t bytes = 0;
    for (const Dataset& dataset : datasets) bytes += dataset.report().bytes;
    measured = bytes <= config.measure_bytes;
    for (const Dataset& dataset : datasets) {
      measured ? measure(dataset) : probe(dataset);
      check_usable(dataset, measured);
    }
    if (measured) check_sides();
    fingerprint = fingerprint_of(config, datasets);
    for (const int32_t id : first_sample_ids()) fingerprint = row_hash({reinterpret_cast<const char*>(&id), 4}, fingerprint);
    start(0, 0, 0);
  }

  void open(const DatasetConfig& dataset, bool validation_only) {
    datasets.emplace_back(dataset, config, static_cast<uint32_t>(datasets.size()), validation_only);
    check_encoder(datasets.back(), *encoder);
  }

  void start(uint64_t at_epoch, uint64_t position, uint64_t row) {
    epoch = at_epoch;
    stream = std::make_unique<BatchStream>(*store, order_of(epoch), position, row);
  }

  std::unique_ptr<EpochOrder> order_of(uint64_t at_epoch) const {
    return std::make_unique<EpochOrder>(datasets, config.seed, config.shuffle, at_epoch);
  }

  void measure(const Dataset& dataset) {
    std::vector<uint32_t>& tokens = row_tokens.emplace_back(dataset.rows());
    for (uint64_t at = 0; at < dataset.rows();) {
      std::vector<SourceRow> rows;
      for (uint64_t row = at; row < std::min(at + kRowsAtOnce, dataset.rows()); ++row) rows.push_back({dataset.number(), row});
      rows.resize(store->affordable(rows));
      for (const RowSamples& samples : store->get(rows)) {
        int64_t sum = samples->empty() ? 0 : 1 - static_cast<int64_t>(samples->size());
        for (const Sample& sample : *samples) sum += sample.length();
        tokens[at++] = static_cast<uint32_t>(sum);
      }
    }
  }

  void probe(const Dataset& dataset) {
    const uint64_t count = std::min(kProbedRows, dataset.rows());
    for (uint64_t i = 0; i < count; ++i) {
      const SourceRow row{dataset.number(), i * dataset.rows() / count};
      store->get({&row, 1});
    }
  }

  // Training and validation must each have a sample, where they are wanted at all.
  void check_sides() const {
    bool training = false, validation = false;
    for (const Dataset& dataset : datasets) {
      const auto& tokens = row_tokens[dataset.number()];
      for (uint64_t row = 0; row < tokens.size(); ++row) {
        if (tokens[row] > 0) (dataset.is_training(row) ? training : validation) = true;
      }
    }
    const std::string& path = datasets.front().report().path;
    if (!training) throw Error(ErrorCode::kInvalidInput, path, "no row is left to train on", "lower validation_share or add rows");
    if (!validation && (config.validation_share > 0 || !config.validation.empty())) {
      throw Error(ErrorCode::kInvalidInput, path, "validation is wanted, but no usable row is on its side of the split",
                  "raise validation_share, add rows, or name a validation file");
    }
  }

  std::vector<int32_t> first_sample_ids() {
    const auto order = order_of(0);
    for (uint64_t at = 0; at < std::min<uint64_t>(order->size(), kProbedRows); ++at) {
      const SourceRow row = order->at(at);
      const auto samples = store->get({&row, 1});
      if (!samples.front()->empty()) return samples.front()->front().ids;
    }
    return {};
  }

  // The windows of the epoch as BatchStream cuts them, from the lengths alone.
  int64_t packed_rows(uint64_t at_epoch) const {
    const auto order = order_of(at_epoch);
    const int64_t most_tokens = window_tokens(config);
    int64_t rows = 0;
    for (uint64_t at = 0; at < order->size();) {
      const uint64_t end = std::min(at + static_cast<uint64_t>(config.pack_window), order->size());
      std::vector<int64_t> lengths;
      for (int64_t tokens = 0; at < end && tokens < most_tokens; ++at) {
        const SourceRow row = order->at(at);
        for (const int64_t length : chunk_lengths(row_tokens[row.dataset][row.row], config.cutoff_length)) {
          lengths.push_back(length);
          tokens += length;
        }
      }
      rows += static_cast<int64_t>(rows_of_window(lengths, config).size());
    }
    return rows;
  }

  int64_t estimated_rows() const {
    double rows = 0;
    for (const Dataset& dataset : datasets) {
      const DatasetReport& report = dataset.report();
      const int64_t seen = dataset.visited_rows();
      if (seen == 0) continue;
      const double visits = dataset.weight() * static_cast<double>(dataset.training_rows()) / static_cast<double>(seen);
      rows += config.packing ? visits * static_cast<double>(report.tokens) /
                                   (kPackedFill * static_cast<double>(config.cutoff_length))
                             : visits * static_cast<double>(report.samples);
    }
    return std::max<int64_t>(1, std::llround(std::ceil(rows)));
  }
};

Loader::Loader(DataConfig config, std::shared_ptr<const Encoder> encoder)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(encoder))) {}
Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

StepBatch Loader::next() {
  Impl& m = *impl_;
  for (Dataset& dataset : m.datasets) dataset.check_unchanged();
  for (uint64_t empty = 0; !m.stream->has_more(); ++empty) {
    if (empty == kEmptyEpochs) {
      throw Error(ErrorCode::kInvalidInput, m.datasets.front().report().path, "no row gives a sample",
                  "see the report of the data's problems");
    }
    m.start(m.epoch + 1, 0, 0);
  }
  StepBatch step;
  step.epoch = m.epoch;
  for (int64_t i = 0; i < m.config.gradient_accumulation && m.stream->has_more(); ++i) {
    MicroBatch& batch = step.micro_batches.emplace_back();
    while (batch.rows < m.config.batch_size && m.stream->has_more()) m.stream->take(batch);
    step.supervised += batch.supervised;
    step.tokens += batch.tokens();
  }
  if (!m.stream->has_more()) {
    step.last_in_epoch = true;
    m.start(m.epoch + 1, 0, 0);
  }
  return step;
}

LoaderState Loader::state() const {
  return {impl_->epoch, impl_->stream->position(), impl_->stream->row(), impl_->fingerprint};
}

void Loader::restore(const LoaderState& state) {
  Impl& m = *impl_;
  const std::string& path = m.datasets.front().report().path;
  if (state.fingerprint != m.fingerprint) {
    throw Error(ErrorCode::kInvalidInput, path, "the data, its settings or the tokenizer are not those of the saved run",
                "resume with the same files and settings, or start a new run");
  }
  const Error bad(ErrorCode::kInvalidInput, path,
                  fmt::format("the saved place (epoch {}, position {}, row {}) does not exist in this data", state.epoch,
                              state.position, state.row),
                  "the checkpoint is damaged: resume from an earlier one");
  if (state.epoch >= (uint64_t{1} << 31)) throw bad;
  BatchStream stream(*m.store, m.order_of(state.epoch), state.position, state.row);
  if (state.position >= stream.order().size()) throw bad;
  if (state.row > 0 && (!stream.has_more() || stream.position() != state.position)) throw bad;
  m.start(state.epoch, state.position, state.row);
}

StepCount Loader::steps_in_epoch(uint64_t epoch) const {
  const Impl& m = *impl_;
  const int64_t rows = m.measured ? m.packed_rows(epoch) : m.estimated_rows();
  const int64_t per_step = m.config.batch_size * m.config.gradient_accumulation;
  return {(rows + per_step - 1) / per_step, m.measured};
}

std::unique_ptr<ValidationPass> Loader::validation() {
  if (ValidationOrder(impl_->datasets).size() == 0) return nullptr;
  return std::make_unique<ValidationBatches>(*impl_->store, impl_->config.batch_size);
}

uint64_t Loader::cache_bytes_to_come() const {
  if (impl_->measured) return 0;
  double bytes = 0;
  for (const Dataset& dataset : impl_->datasets) {
    const auto seen = static_cast<double>(dataset.visited_rows()), rows = static_cast<double>(dataset.rows());
    if (seen > 0) bytes += rows * (300 + 5 * static_cast<double>(dataset.report().tokens) / seen);
  }
  return static_cast<uint64_t>(std::min(bytes, static_cast<double>(impl_->store->memory_left())));
}

const DataConfig& Loader::config() const { return impl_->config; }

DataReport Loader::report() const {
  DataReport report;
  report.measured = impl_->measured;
  for (const Dataset& dataset : impl_->datasets) report.datasets.push_back(dataset.report());
  return report;
}

std::optional<Preview> Loader::preview(int64_t index) {
  Impl& m = *impl_;
  const auto order = m.order_of(0);
  for (uint64_t at = 0; at < order->size(); ++at) {
    const SourceRow row = order->at(at);
    const auto samples = m.store->get({&row, 1}).front();
    if (index >= static_cast<int64_t>(samples->size())) {
      index -= static_cast<int64_t>(samples->size());
      continue;
    }
    const Sample& sample = (*samples)[static_cast<size_t>(index)];
    Preview preview{describe(row), sample.truncated, {}};
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      preview.tokens.push_back({sample.ids[i], m.encoder->describe(sample.ids[i]), sample.loss_mask[i] != 0});
    }
    return preview;
  }
  return std::nullopt;
}

std::string Loader::describe(const SourceRow& source) const {
  HONE_CHECK(source.dataset < impl_->datasets.size(), "dataset {} of {}", source.dataset, impl_->datasets.size());
  return impl_->datasets[source.dataset].where(source.row);
}

int64_t DataReport::training_rows() const {
  int64_t rows = 0;
  for (const DatasetReport& dataset : datasets) rows += dataset.training_rows;
  return rows;
}

int64_t DataReport::validation_rows() const {
  int64_t rows = 0;
  for (const DatasetReport& dataset : datasets) rows += dataset.validation_rows;
  return rows;
}

}  // namespace hone::data
