#include "serve/panel/record.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "base/error.h"

namespace hone::serve::panel {
namespace {

// 130,000 reports are about 10 MB here and half a minute's worth of a phone's patience; of longer runs every 2, 4, 8 … steps one report stays.
constexpr size_t kMaxPoints = size_t{1} << 17, kMaxMemory = 8192, kMaxEvents = 4096, kMaxText = 2000;

Json point(const recipes::StepReport& r) { return {r.step, r.loss, r.smoothed, r.grad_norm, r.learning_rate, r.tokens_per_second, r.memory, r.epoch}; }
Json validation(const recipes::ValidationReport& r) { return {r.step, r.loss, r.accuracy, r.best}; }
Json settings(const Bands& b) {
  return {{"grad_norm_min", b.grad_norm_min}, {"grad_norm_max", b.grad_norm_max}, {"volatility_max", b.volatility_max}, {"volatility_window", b.volatility_window}, {"memory_min", b.memory_min}, {"memory_max", b.memory_max}};
}
// Of a run's resolved settings; a configuration that this version does not read has the usual bands.
Bands bands_of(const std::string& config, const std::string& more) {
  Bands bands;
  try {
    bands = recipes::parse_config(config, "config", {}).alarms.bands;
  } catch (const Error&) {
  }
  return recipes::parse_bands(more, bands);
}

// What is worth keeping among neighbours: numbers that are none, gradients out of band, then losses far from their trend.
std::pair<bool, double> weight(const recipes::StepReport& r, const Bands& bands) {
  const double away = std::fabs(r.loss - r.smoothed);
  return {!(r.grad_norm >= bands.grad_norm_min && r.grad_norm <= bands.grad_norm_max), std::isfinite(away) ? away : INFINITY};
}

Json event(const runs::Event& e) { return {{"step", e.step}, {"kind", e.kind}, {"text", e.text}}; }

}  // namespace

std::vector<recipes::StepReport> thinned(const std::vector<recipes::StepReport>& points, const Bands& bands) {
  if (points.size() < 4) return points;
  std::vector<recipes::StepReport> kept = {points.front()};
  for (size_t i = 1; i + 1 < points.size(); i += 2) {
    const bool second = i + 2 < points.size() && weight(points[i + 1], bands) > weight(points[i], bands);
    kept.push_back(points[second ? i + 1 : i]);
  }
  kept.push_back(points.back());
  return kept;
}

Record Record::of_past(runs::RunStore& store, const std::string& id, const std::string& bands) {
  const runs::Run run = store.get(id);
  Record record(bands_of(run.config, bands), 0);
  record.run_ = {{"id", run.id}, {"folder", run.folder}, {"status", run.status}, {"started", run.started}, {"ended", run.ended}, {"config", run.config}};
  record.run_["summary"] = Json::object();
  for (const auto& [name, value] : run.summary) record.run_["summary"][name] = value;
  record.add_past(store, id);
  return record;
}

void Record::add_past(runs::RunStore& store, const std::string& id) {
  std::map<int64_t, recipes::StepReport> steps;
  const auto read = [&](const char* name, auto set) {
    for (const runs::Metric& m : store.metrics(id, name)) set(steps[m.step], m.value);
  };
  read("loss", [](auto& r, double v) { r.loss = v; });
  read("smoothed_loss", [](auto& r, double v) { r.smoothed = v; });
  read("grad_norm", [](auto& r, double v) { r.grad_norm = v; });
  read("learning_rate", [](auto& r, double v) { r.learning_rate = v; });
  read("tokens_per_second", [](auto& r, double v) { r.tokens_per_second = v; });
  read("memory", [](auto& r, double v) { r.memory = v > 0 && v < 1e18 ? static_cast<uint64_t>(v) : 0; });
  for (auto& [step, report] : steps) {
    report.step = step;
    add(report);
  }
  steps_ = steps.empty() ? 0 : steps.rbegin()->first;
  std::map<int64_t, recipes::ValidationReport> validations;
  for (const runs::Metric& m : store.metrics(id, "validation_loss")) validations[m.step].loss = m.value;
  for (const runs::Metric& m : store.metrics(id, "validation_accuracy")) validations[m.step].accuracy = m.value;
  for (auto& [step, report] : validations) {
    report.step = step;
    add(report);
  }
  for (const runs::Event& e : store.events(id)) add_event(e.step, e.kind, e.text);
}

Json Record::begin(const recipes::TrainPlan& plan) {
  steps_ = plan.steps;
  run_ = {{"id", plan.run_id}, {"folder", plan.run_folder}, {"status", "running"}, {"model", plan.model}, {"architecture", plan.architecture},
          {"weights", plan.base_format}, {"trainable", plan.trainable_values}, {"frozen", plan.frozen_values}, {"resumed_from", plan.resumed_from},
          {"memory_planned", plan.memory.peak()}, {"notes", plan.notes}, {"config", plan.resolved}};
  return {{"event", "run"}, {"run", run_}, {"steps", steps_}, {"memory_limit", memory_limit_}, {"room_helps", room_helps_}, {"settings", settings(bands_)}};
}

Json Record::add(const recipes::StepReport& r) {
  steps_ = r.steps;
  last_ = r;
  if (++in_group_ <= group_ && !points_.empty()) {
    if (weight(r, bands_) > weight(points_.back(), bands_)) points_.back() = r;
  } else {
    if (points_.size() >= kMaxPoints) {
      points_ = thinned(points_, bands_);
      group_ *= 2;
    }
    points_.push_back(r);
    in_group_ = 1;
  }
  const auto volatile_now = health_.add(r);
  if (volatile_now) volatilities_.emplace_back(r.step, *volatile_now);
  Json json = {{"event", "step"}, {"step", r.step}, {"steps", r.steps}, {"epoch", r.epoch}, {"loss", r.loss}, {"smoothed_loss", r.smoothed}, {"grad_norm", r.grad_norm},
               {"learning_rate", r.learning_rate}, {"rate_factor", r.rate_factor}, {"tokens_per_second", r.tokens_per_second}, {"memory", r.memory}, {"seconds_left", r.seconds_left}};
  if (volatile_now) json["volatility"] = *volatile_now;
  return json;
}

Json Record::add(const recipes::ValidationReport& r) {
  validations_.push_back(r);
  health_.add(r);
  return {{"event", "validation"}, {"step", r.step}, {"validation_loss", r.loss}, {"validation_accuracy", r.accuracy}, {"best", r.best}};
}

Json Record::add_event(int64_t step, const std::string& kind, const std::string& text) {
  if (events_.size() >= kMaxEvents) events_.erase(events_.begin(), events_.begin() + kMaxEvents / 2);
  events_.push_back({step, kind, text.substr(0, kMaxText), {}});
  return {{"event", "event"}, {"step", step}, {"kind", kind}, {"text", events_.back().text}};
}

Json Record::add_memory(const MemorySample& sample) {
  if (memory_.size() >= kMaxMemory) {
    for (size_t i = 0; i < kMaxMemory / 2; ++i) memory_[i] = memory_[2 * i].bytes > memory_[2 * i + 1].bytes ? memory_[2 * i] : memory_[2 * i + 1];
    memory_.resize(kMaxMemory / 2);
  }
  memory_.push_back(sample);
  health_.add_memory(last_ ? last_->step : 0, sample.bytes);
  return {{"event", "memory"}, {"seconds", sample.seconds}, {"bytes", sample.bytes}};
}

Json Record::set_status(const std::string& status) {
  run_["status"] = status;
  return {{"event", "status"}, {"status", status}};
}

Json Record::end(const std::string& status) {
  run_["status"] = status;
  return {{"event", "end"}, {"status", status}};
}

Json Record::alarms() const {
  Json out = Json::array();
  for (const recipes::Alarm& a : health_.alarms())
    out.push_back({{"kind", a.kind}, {"serious", a.serious}, {"first", a.first}, {"last", a.last}, {"count", a.count}, {"worst", a.worst}, {"bound", a.bound}, {"advice", recipes::advice(a.kind)}});
  return out;
}

Json Record::changed_alarms() {
  if (health_.version() == told_version_) return nullptr;
  told_version_ = health_.version();
  return {{"event", "alarms"}, {"alarms", alarms()}};
}

Json Record::snapshot() const {
  Json json = {{"run", run_}, {"steps", steps_}, {"memory_limit", memory_limit_}, {"room_helps", room_helps_}, {"settings", settings(bands_)}};
  json["columns"] = {"step", "loss", "smoothed_loss", "grad_norm", "learning_rate", "tokens_per_second", "memory", "epoch"};
  json["seconds_left"] = last_ ? last_->seconds_left : 0.0;
  json["rate_factor"] = last_ ? last_->rate_factor : 1.0;
  const auto list = [&](const char* name, const auto& from, auto row) {
    Json& out = json[name] = Json::array();
    for (const auto& one : from) out.push_back(row(one));
  };
  list("points", points_, point);
  if (last_ && points_.back().step != last_->step) json["points"].push_back(point(*last_));
  list("validations", validations_, validation);
  list("volatilities", volatilities_, [](const auto& v) -> Json { return {v.first, v.second}; });
  list("memory", memory_, [](const MemorySample& m) -> Json { return {m.seconds, m.bytes}; });
  list("events", events_, event);
  json["alarms"] = alarms();
  return json;
}

std::string Record::metrics() const {
  std::string text;
  const auto gauge = [&](const char* name, const char* help, double value) {
    text += fmt::format("# HELP hone_train_{0} {1}\n# TYPE hone_train_{0} gauge\nhone_train_{0} {2}\n", name, help, std::isnan(value) ? "NaN" : fmt::format("{}", value));
  };
  if (last_) {
    const recipes::StepReport& r = *last_;
    gauge("step", "Optimizer steps that are done.", static_cast<double>(r.step));
    gauge("steps", "Optimizer steps that are planned.", static_cast<double>(r.steps));
    gauge("loss", "Loss per supervised token of the last step.", r.loss);
    gauge("smoothed_loss", "The loss, smoothed exponentially.", r.smoothed);
    gauge("grad_norm", "Global norm of the gradient before clipping.", r.grad_norm);
    gauge("learning_rate", "Learning rate of the last step.", r.learning_rate);
    gauge("tokens_per_second", "Tokens per second of the last step.", r.tokens_per_second);
    gauge("seconds_left", "Seconds until the last step, estimated.", r.seconds_left);
  }
  if (!memory_.empty()) gauge("memory_bytes", "Resident memory.", static_cast<double>(memory_.back().bytes));
  if (memory_limit_ > 0) gauge("memory_limit_bytes", "Memory that the run may use.", static_cast<double>(memory_limit_));
  if (!validations_.empty()) gauge("validation_loss", "Loss per supervised token of the validation rows.", validations_.back().loss);
  if (!volatilities_.empty()) gauge("volatility", "Spread of a window's smoothed losses around their trend, as a share of their mean.", volatilities_.back().second);
  text += "# HELP hone_train_alarms Steps with values out of band.\n# TYPE hone_train_alarms gauge\n";
  for (const recipes::Alarm& a : health_.alarms()) text += fmt::format("hone_train_alarms{{kind=\"{}\"}} {}\n", a.kind, a.count);
  return text;
}

}  // namespace hone::serve::panel
