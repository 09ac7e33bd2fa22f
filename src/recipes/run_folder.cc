#include "recipes/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/disk.h"
#include "base/file.h"
#include "io/atomic_file.h"
#include "runs/loss_curve.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kMetrics = "metrics.jsonl", *kSamples = "samples.jsonl";

// The lines of metrics.jsonl (or samples.jsonl) up to `step`; a line cut short by a crash is dropped.
std::string lines_until(const fs::path& path, int64_t step) {
  std::string kept;
  if (!fs::exists(path)) return kept;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("step") && json["step"].is_number() && json["step"].get<int64_t>() <= step) kept += line + "\n";
  }
  return kept;
}

RunFolder::Before found_before(const std::string& metrics) {
  RunFolder::Before before;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto smoothed = json.find("smoothed_loss"), memory = json.find("memory");
    if (!before.first_loss && smoothed != json.end() && smoothed->is_number()) before.first_loss = smoothed->get<double>();
    if (memory != json.end() && memory->is_number_unsigned()) before.peak_memory = std::max(before.peak_memory, memory->get<uint64_t>());
  }
  return before;
}

int open_to_append(const fs::path& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) throw write_error(path, "open the file", errno);
  return file;
}

}  // namespace

RunFolder::RunFolder(fs::path folder, const Config& config, const std::string& config_yaml, int64_t resumed_step)
    : folder_(std::move(folder)), store_(runs::RunStore::default_path()) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error))  // of a process that was killed while it wrote
    if (entry.path().filename().string().find(".partial-") != std::string::npos) fs::remove(entry.path(), error);
  const std::string absolute = fs::absolute(folder_).lexically_normal().string();
  const auto before = resumed_step > 0 ? store_.find_by_folder(absolute) : std::nullopt;
  if (before) {
    id_ = *before;
    store_.resume(id_, resumed_step);
  } else {
    id_ = store_.start(folder_.filename().string(), "train", absolute, config_yaml);
  }
  const fs::path metrics = folder_ / kMetrics, samples = folder_ / kSamples;
  const std::string kept_metrics = resumed_step > 0 ? lines_until(metrics, resumed_step) : "";
  before_ = found_before(kept_metrics);
  io::write_file(metrics, kept_metrics);
  if (fs::exists(samples)) {
    const std::string kept = resumed_step > 0 ? lines_until(samples, resumed_step) : "";
    has_samples_ = kept.find(fmt::format("{{\"step\":{},", resumed_step)) != std::string::npos;
    io::write_file(samples, kept);
  }
  io::write_file(folder_ / "config.yaml", config_yaml);
  if (std::find(config.report_to.begin(), config.report_to.end(), "tensorboard") != config.report_to.end()) tensorboard_.emplace(folder_ / "tensorboard", resumed_step);
  metrics_ = open_to_append(metrics);
}

RunFolder::~RunFolder() {
  for (const int file : {metrics_, samples_})
    if (file >= 0) ::close(file);
}

// A full disk takes part of a line first; resuming drops that part.
void RunFolder::add_line(const nlohmann::ordered_json& metrics) { write_all(metrics_, metrics.dump() + "\n", folder_ / kMetrics); }

void RunFolder::add(const StepReport& r) {
  add_line(nlohmann::ordered_json{{"step", r.step}, {"epoch", r.epoch}, {"loss", r.loss}, {"smoothed_loss", r.smoothed}, {"grad_norm", r.grad_norm},
                                  {"learning_rate", r.learning_rate}, {"tokens_per_second", r.tokens_per_second}, {"memory", r.memory}});
  store_.add_metrics(id_, {{r.step, "loss", r.loss}, {r.step, "smoothed_loss", r.smoothed}, {r.step, "grad_norm", r.grad_norm},
                           {r.step, "learning_rate", r.learning_rate}, {r.step, "tokens_per_second", r.tokens_per_second},
                           {r.step, "memory", static_cast<double>(r.memory)}});
  if (!tensorboard_) return;
  const std::pair<std::string_view, double> values[] = {{"train/loss", r.loss}, {"train/smoothed_loss", r.smoothed}, {"train/grad_norm", r.grad_norm}, {"train/learning_rate", r.learning_rate},
                                                        {"train/tokens_per_second", r.tokens_per_second}, {"train/memory", static_cast<double>(r.memory)}, {"train/epoch", r.epoch}};
  tensorboard_->add(r.step, values);
}

void RunFolder::add(const ValidationReport& r) {
  add_line(nlohmann::ordered_json{{"step", r.step}, {"validation_loss", r.loss}, {"validation_accuracy", r.accuracy}, {"best", r.best}});
  store_.add_metrics(id_, {{r.step, "validation_loss", r.loss}, {r.step, "validation_accuracy", r.accuracy}});
  if (!tensorboard_) return;
  const std::pair<std::string_view, double> values[] = {{"eval/loss", r.loss}, {"eval/accuracy", r.accuracy}};
  tensorboard_->add(r.step, values);
}

void RunFolder::add_samples(int64_t step, const std::vector<Question>& questions, const std::vector<std::string>& answers) {
  if (samples_ < 0) samples_ = open_to_append(folder_ / kSamples);
  std::string lines;  // written at once, so that a step's samples are there together
  for (size_t i = 0; i < questions.size(); ++i) {
    nlohmann::ordered_json line = {{"step", step}, {"where", questions[i].where}, {"prompt", questions[i].prompt_text}};
    if (!questions[i].expected.empty()) line["expected"] = questions[i].expected;
    line["answer"] = answers[i];
    lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  write_all(samples_, lines, folder_ / kSamples);
}

void RunFolder::add_event(int64_t step, const std::string& kind, const std::string& text) {
  store_.add_event(id_, step, kind, text);
}

std::string RunFolder::finish(const TrainSummary& s) {
  const auto series = [&](const char* name, const char* label, const char* color) {
    runs::Series line{label, color, {}};
    for (const runs::Metric& m : store_.metrics(id_, name)) line.points.emplace_back(static_cast<double>(m.step), m.value);
    return line;
  };
  const fs::path curve = folder_ / "loss.svg";
  io::write_file(curve, runs::loss_curve_svg(id_ + ": loss per supervised token",
                                             {series("loss", "step", "#b9cdf5"), series("smoothed_loss", "smoothed", "#2456c9"),
                                              series("validation_loss", "validation", "#d1495b")}));
  std::map<std::string, double> figures = {{"steps", static_cast<double>(s.step)}, {"first_loss", s.first_loss}, {"last_loss", s.last_loss},
                                           {"tokens", static_cast<double>(s.tokens)}, {"seconds", s.seconds},
                                           {"tokens_per_second", s.tokens_per_second}, {"peak_memory", static_cast<double>(s.peak_memory)},
                                           {"skipped", static_cast<double>(s.skipped)}};
  if (s.best_validation) figures["best_validation_loss"] = *s.best_validation;
  store_.finish(id_, s.status, figures);
  return curve.string();
}

void RunFolder::fail(int64_t step, const std::string& message) noexcept {
  try {
    store_.add_event(id_, step, "failed", message);
    store_.finish(id_, "failed", {});
  } catch (...) {
    // The failure itself is what the caller reports.
  }
}

}  // namespace hone::recipes
