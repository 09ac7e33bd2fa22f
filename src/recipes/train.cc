// The training recipe, top to bottom: model, data, plan, loop, results.
#include "recipes/train.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/disk.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "recipes/chat_encoder.h"
#include "recipes/run_alarms.h"
#include "recipes/run_chat.h"
#include "recipes/run_folder.h"
#include "recipes/samples.h"
#include "recipes/train_plan.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"
#include "train/checkpoint.h"
#include "train/step.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kSkipsBeforeRollback = 3, kMaxRollbacks = 2;
constexpr double kSmoothing = 0.9;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

optim::Schedule schedule_of(const Config& config, int64_t steps) {
  optim::Schedule schedule;
  schedule.kind = config.schedule.type == "linear"     ? optim::ScheduleKind::kLinear
                  : config.schedule.type == "constant" ? optim::ScheduleKind::kConstant
                                                       : optim::ScheduleKind::kCosine;
  schedule.total_steps = steps;
  schedule.warmup_steps = config.schedule.warmup_steps > 0
                              ? config.schedule.warmup_steps
                              : static_cast<int64_t>(std::ceil(config.schedule.warmup_ratio * static_cast<double>(steps)));
  schedule.min_ratio = config.schedule.min_ratio;
  return schedule;
}

// The loop and what it carries from step to step.
class Training {
 public:
  Training(const Config& config, const TrainOptions& options, TrainObserver& observer, Clock::time_point begun)
      : config_(config), options_(options), observer_(observer), begun_(begun), files_(open_model(config.model.base, config.model.chat_template)),
        loader_(config.data, std::make_shared<ChatEncoder>(files_)), model_(load_trainable(config, files_)), parameters_(model_.parameters()),
        optimizer_(optimizer_of(config, parameters_)) {}

  TrainSummary run() {
    total_ = planned_steps(config_, loader_);
    schedule_ = schedule_of(config_, total_.steps);
    release_cached_memory();
    ::malloc_trim(0);  // what reading model and data left behind
    TrainPlan plan = make_plan(config_, files_, model_, loader_, total_);
    if (plan.data.measured) share_system(plan);
    // Samples are asked for as the result will be, whatever the base was taught.
    take_run_chat(files_, run_chat_of(files_, loader_.report()));
    const Samples samples(config_, files_, system_);
    samples_ = &samples;
    if (options_.dry_run) {
      observer_.on_plan(plan);
      return {};
    }
    refuse_if_too_large(plan);
    const fs::path folder = config_.training.output_dir;
    const train::RunLock lock(folder);
    train::CheckpointStore checkpoints(folder, config_.training.keep_checkpoints);
    checkpoints_ = &checkpoints;
    start_or_resume(folder, plan);
    RunFolder record(folder, config_, plan.resolved, state_.step);
    record_ = &record;
    RunAlarms alarms(config_.alarms, plan.available_memory, plan.room_helps, record.id());
    alarms_ = &alarms;
    plan.run_id = record.id();
    plan.run_folder = folder.string();
    plan.resumed_from = state_.step;
    observer_.on_plan(plan);
    try {
      if (state_.step == 0) checkpoints.save(state_, parameters_, optimizer_);  // also shows now that saving works
      TrainSummary summary = loop();
      summary.curve = record.finish(summary);
      return summary;
    } catch (const Error& error) {
      const std::string kept = rescue();
      record.fail(state_.step, error.message());
      if (error.code() != ErrorCode::kIo && error.code() != ErrorCode::kOutOfMemory) throw;
      throw Error(error.code(), error.where(), error.message(), error.hint() + kept);
    } catch (const std::exception& error) {  // standard output closed, memory gone
      rescue();
      record.fail(state_.step, error.what());
      throw;
    }
  }

 private:
  // What nearly all rows begin with goes with the result.
  void share_system(TrainPlan& plan) {
    const auto shared = data::shared_system(config_.data);
    system_ = shared_text(shared);
    if (system_) plan.notes.push_back(fmt::format("{:.0f} % of the rows to train on share a system message, which goes with the result: {}", 100 * shared->share, quoted_beginning(*system_)));
  }

  void start_or_resume(const fs::path& folder, TrainPlan& plan) {
    state_.loader = loader_.state();
    if (options_.overwrite) {
      for (const char* name : {"checkpoints", "best", "last", "tensorboard", "samples.jsonl"}) {
        std::error_code error;
        fs::remove_all(folder / name, error);
        if (error) throw write_error(folder / name, "remove the folder", error.value());
      }
      *checkpoints_ = train::CheckpointStore(folder, config_.training.keep_checkpoints);
      return;
    }
    const auto found = checkpoints_->newest_good();
    if (!found) {
      if (options_.resume) plan.notes.push_back("there is no checkpoint to resume from: the run begins at step 1");
      return;
    }
    if (!options_.resume)
      throw Error(ErrorCode::kInvalidInput, folder.string(), "holds a run already",
                  "add --resume to continue it, --overwrite to start again, or choose another training.output_dir");
    std::optional<Config> started;
    if (fs::exists(folder / "config.yaml")) {
      const Config before = load_config(folder / "config.yaml", {});
      if (const std::string difference = resume_difference(before, config_); !difference.empty())
        throw Error(ErrorCode::kInvalidInput, folder.string(), fmt::format("the run was started with another configuration ({})", difference),
                    "resume with the same settings, or start a new run with --overwrite");
      started.emplace(before);
    }
    for (const std::string& damaged : found->damaged) plan.notes.push_back("passed over " + damaged);
    state_ = train::CheckpointStore::load(found->folder, parameters_, optimizer_);
    loader_.restore(state_.loader);
    if (started) note_extension(*started, folder, plan);
  }

  // More epochs or steps than the run was started with: it goes on to the new end, on the schedule that leads there (as transformers
  // does: a schedule is a function of the step and of all steps).
  void note_extension(const Config& before, const fs::path& folder, TrainPlan& plan) const {
    const int64_t steps = planned_steps(before, loader_).steps;
    if (total_.steps < steps)
      throw Error(ErrorCode::kInvalidInput, folder.string(), fmt::format("the run was started for {} steps, and these settings make {}", steps, total_.steps),
                  "a run can be made longer, not shorter: end it with Ctrl-C, which saves, or start a new one with --overwrite");
    if (total_.steps == steps) return;
    const double peak = config_.training.learning_rate * state_.rate_factor, rate = peak * schedule_.factor(state_.step), old = peak * schedule_of(before, steps).factor(state_.step);
    std::string note = fmt::format("the run goes on to step {} instead of {}", total_.steps, steps);
    if (rate == old) note += ", at the same learning rate";
    else note += fmt::format("; its schedule ({}) is drawn anew over all {} steps: the learning rate of step {} is {:.3g} instead of {:.3g}", config_.schedule.type, total_.steps, state_.step + 1, rate, old);
    plan.notes.push_back(std::move(note));
  }

  // After a failure: saves what was learned since the last checkpoint, if that is still possible, and says where the run can
  // go on.
  std::string rescue() noexcept {
    try {
      if (whole_ && state_.step > saved_at_) save();
    } catch (const std::exception&) {
      // What failed first is what the caller reports.
    }
    return saved_at_ < 0 ? std::string() : fmt::format("; step {} is saved: then continue with --resume", saved_at_);
  }

  bool interrupted() const { return options_.interrupted && options_.interrupted(); }

  bool finished(const data::StepBatch& next) const {
    if (config_.training.max_steps > 0) return state_.step >= config_.training.max_steps;
    return total_.exact ? state_.step >= total_.steps : static_cast<double>(next.epoch) >= config_.training.epochs;
  }

  TrainSummary loop() {
    TrainSummary summary;
    summary.status = "done";
    summary.first_loss = record_->before().first_loss.value_or(NAN);
    saved_at_ = state_.step;
    if (!record_->has_samples()) sample();
    if (state_.validation_due) validate();
    for (;;) {
      data::StepBatch batch = loader_.next();
      if (finished(batch)) break;
      const bool complete = take_step(batch);
      if (!complete) {  // interrupted within the step: nothing of it remains
        summary.status = "interrupted";
        break;
      }
      if (std::isnan(summary.first_loss)) summary.first_loss = state_.smoothed_loss;
      if (session_steps_ == 1) summary.seconds_to_first_step = seconds_since(begun_);
      if (state_.validation_due) validate();
      change_rate();  // before a checkpoint, which keeps it
      if (state_.step % config_.training.save_steps == 0 || (options_.save_now && options_.save_now())) save(), sample();
      if (config_.early_stop && state_.since_best >= config_.patience) {
        summary.status = "stopped early";
        event("early stop", fmt::format("no new best loss in {} {}", config_.patience, has_validation() ? "evaluations" : "steps"));
        break;
      }
      if (interrupted()) {
        summary.status = "interrupted";
        break;
      }
    }
    if (summary.status != "interrupted" && has_validation() && state_.validated_step != state_.step) validate();
    if (state_.step != saved_at_) save(), sample();
    if (const auto failure = alarms_->close()) event("webhook", *failure);
    if (summary.status == "interrupted") event("interrupted", fmt::format("saved at step {}; continue with --resume", state_.step));
    write_tuned("last");
    if (!has_validation()) write_tuned("best");
    finish(summary);
    return summary;
  }

  // One optimizer step; false when it was interrupted and undone.
  bool take_step(const data::StepBatch& batch) {
    const auto start = Clock::now();
    whole_ = false;
    train::clear_gradients(model_);
    train::StepOptions step;
    step.seed = static_cast<uint64_t>(config_.training.seed);
    step.step = static_cast<uint32_t>(state_.step);
    step.checkpointing = config_.training.gradient_checkpointing;
    step.interrupted = [this] { return interrupted(); };
    const train::LossSum loss = train::accumulate_gradients(model_, batch, step);
    if (loss.tokens != batch.supervised && interrupted()) {
      whole_ = true;
      return false;
    }
    std::vector<Tensor> gradients;
    for (const auto& leaf : parameters_) gradients.push_back(leaf->grad);
    const double norm = optim::global_norm(gradients), rate = config_.training.learning_rate * schedule_.factor(state_.step) * state_.rate_factor;
    if (std::isfinite(loss.mean()) && std::isfinite(norm)) {
      const double limit = config_.optimizer.max_grad_norm;
      const double clip = limit > 0 && norm > limit ? limit / norm : 1;
      optimizer_.step(gradients, static_cast<float>(rate), static_cast<float>(clip));
      state_.smoothed_loss = state_.step == 0 || std::isnan(state_.smoothed_loss)
                                 ? loss.mean()
                                 : kSmoothing * state_.smoothed_loss + (1 - kSmoothing) * loss.mean();
      state_.skipped_in_row = 0;
      if (!has_validation()) consider_best(state_.smoothed_loss, state_.step + 1);
    } else {
      skip(batch, loss.mean(), norm);
    }
    ++state_.step;
    state_.tokens += batch.tokens;
    state_.supervised += batch.supervised;
    state_.loader = loader_.state();
    state_.validation_due = time_to_validate(batch);
    const double seconds = seconds_since(start);
    state_.seconds += seconds;
    whole_ = true;
    session_seconds_ += seconds;
    report(batch, loss.mean(), norm, rate, static_cast<double>(batch.tokens) / seconds);
    return true;
  }

  void report(const data::StepBatch& batch, double loss, double norm, double rate, double speed) {
    StepReport r;
    r.step = state_.step;
    r.steps = std::max(total_.steps, r.step);
    r.epoch = total_.per_epoch > 0 ? static_cast<double>(r.step) / static_cast<double>(total_.per_epoch) : static_cast<double>(batch.epoch);
    r.loss = loss;
    r.smoothed = state_.smoothed_loss;
    r.grad_norm = norm;
    r.learning_rate = rate;
    r.rate_factor = state_.rate_factor;
    r.tokens_per_second = speed;
    r.memory = train::resident_memory();
    ++session_steps_;
    r.seconds_left = session_seconds_ / static_cast<double>(session_steps_) * static_cast<double>(r.steps - r.step);
    record_->add(r);
    alarms_->add(r);
    observer_.on_step(r);
    tell_alarms();
  }

  void tell_alarms() {
    for (const Notice& notice : alarms_->take_notices()) event(notice.serious ? "alarm" : "hint", notice.text());
    if (const auto failure = alarms_->take_failure()) event("webhook", *failure);
  }

  // What a page wished since the last step.
  void change_rate() {
    const auto factor = options_.new_rate_factor ? options_.new_rate_factor() : std::nullopt;
    if (!factor) return;
    const double peak = config_.training.learning_rate;
    if (!(*factor > 0 && peak * *factor <= kMaxLearningRate)) return event("learning rate", fmt::format("the factor {} is refused: the peak may be at most {}", *factor, kMaxLearningRate));
    event("learning rate", fmt::format("from step {} on the schedule is multiplied by {:g} (before: {:g}); its peak is now {:g}", state_.step + 1, *factor, state_.rate_factor, peak * *factor));
    state_.rate_factor = *factor;
  }

  // What the weights as they are make of the sample questions. Training does not depend on it.
  void sample() {
    if (samples_->empty() || interrupted()) return;
    std::vector<std::string> answers;
    try {
      answers = samples_->answers(model_, options_.interrupted);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInterrupted) event("sample", fmt::format("none at this step: {}", error.message()));
      return;
    }
    record_->add_samples(state_.step, samples_->questions(), answers);
    for (size_t i = 0; i < answers.size(); ++i) event("sample", sample_text(samples_->questions()[i], answers[i]));
  }

  // A step whose loss or gradient is not finite changes nothing; three in a row bring the last good weights back.
  void skip(const data::StepBatch& batch, double loss, double norm) {
    ++state_.skipped;
    ++state_.skipped_in_row;
    std::string rows;
    for (const auto& micro : batch.micro_batches)
      for (size_t i = 0; i < micro.sources.size() && rows.size() < 400; ++i) rows += (rows.empty() ? "" : ", ") + loader_.describe(micro.sources[i]);
    event("skipped", fmt::format("loss {} and gradient norm {} are not both finite; rows: {}", loss, norm, rows));
    if (state_.skipped_in_row < kSkipsBeforeRollback) return;
    const auto good = checkpoints_->newest_good();
    if (!good || state_.rollbacks >= kMaxRollbacks)
      throw Error(ErrorCode::kInvalidInput, config_.training.output_dir,
                  fmt::format("training diverges: {} updates in a row were not finite, after {} rollbacks; rows of the last: {}", kSkipsBeforeRollback, state_.rollbacks, rows),
                  "lower training.learning_rate, or look at these rows");
    const train::TrainState before = train::CheckpointStore::load(good->folder, parameters_, optimizer_);
    state_.smoothed_loss = before.smoothed_loss;
    state_.skipped_in_row = 0;
    ++state_.rollbacks;
    event("rollback", fmt::format("weights and moments of step {} are back after {} updates in a row that were not finite; rows: {}", before.step, kSkipsBeforeRollback, rows));
  }

  bool has_validation() { return !config_.data.validation.empty() || config_.data.validation_share > 0; }

  bool time_to_validate(const data::StepBatch& batch) {
    if (!has_validation()) return false;
    return config_.training.eval_steps > 0 ? state_.step % config_.training.eval_steps == 0 : batch.last_in_epoch;
  }

  bool consider_best(double loss, int64_t step) {
    const bool better = std::isfinite(loss) && (!state_.has_best || loss < state_.best_loss);
    if (!better) {
      ++state_.since_best;
      return false;
    }
    state_.has_best = true;
    state_.best_loss = loss;
    state_.best_step = step;
    state_.since_best = 0;
    return true;
  }

  void validate() {
    const auto rows = loader_.validation();
    const train::LossSum sum = rows ? train::evaluate(model_, *rows, options_.interrupted) : train::LossSum{};
    if (interrupted()) return;
    state_.validation_due = false;
    state_.validated_step = state_.step;
    if (!rows) return;
    ValidationReport r{state_.step, sum.mean(), sum.accuracy(), false};
    r.best = consider_best(r.loss, state_.step);
    record_->add(r);
    alarms_->add(r);
    observer_.on_validation(r);
    tell_alarms();
    if (r.best) write_tuned("best");
  }

  void save() {
    files_.source->check_unchanged();
    const fs::path folder = checkpoints_->save(state_, parameters_, optimizer_);
    saved_at_ = state_.step;
    event("checkpoint", folder.string());
  }

  // RUN/best or RUN/last: replaced as a whole.
  void write_tuned(const std::string& name) {
    const fs::path target = fs::path(config_.training.output_dir) / name, fresh = target.string() + ".partial";
    train::fresh_folder(fresh);
    save_tuned(fresh, model_, config_, config_.model.base);
    write_run_chat(fresh, run_chat_of(files_, loader_.report()));
    write_tuned_system(fresh, system_);
    train::replace_folder(fresh, target);
  }

  void event(const std::string& kind, const std::string& text) {
    record_->add_event(state_.step, kind, text);
    observer_.on_event(state_.step, kind, text);
  }

  void finish(TrainSummary& s) {
    s.step = state_.step;
    s.skipped = state_.skipped;
    s.rollbacks = state_.rollbacks;
    s.last_loss = state_.smoothed_loss;
    if (std::isnan(s.first_loss)) s.first_loss = s.last_loss;
    if (has_validation() && state_.has_best) s.best_validation = state_.best_loss;
    s.best_step = has_validation() ? state_.best_step : state_.step;
    s.tokens = state_.tokens;
    s.seconds = state_.seconds;
    s.tokens_per_second = s.seconds > 0 ? static_cast<double>(s.tokens) / s.seconds : 0;
    s.peak_memory = std::max(train::peak_resident_memory(), record_->before().peak_memory);
    s.best_folder = (fs::path(config_.training.output_dir) / "best").string();
  }

  const Config& config_;
  const TrainOptions& options_;
  TrainObserver& observer_;
  Clock::time_point begun_;
  ModelFiles files_;
  data::Loader loader_;
  models::CausalLm model_;
  train::Parameters parameters_;
  optim::AdamW optimizer_;
  optim::Schedule schedule_;
  PlannedSteps total_;
  train::TrainState state_;
  train::CheckpointStore* checkpoints_ = nullptr;
  RunFolder* record_ = nullptr;
  RunAlarms* alarms_ = nullptr;
  const Samples* samples_ = nullptr;
  std::optional<std::string> system_;  // that nearly all training rows share
  bool whole_ = true;  // state, weights and moments belong to the same step
  int64_t saved_at_ = -1, session_steps_ = 0;
  double session_seconds_ = 0;
};

}  // namespace

TrainSummary train_model(const Config& config, const TrainOptions& options, TrainObserver& observer) {
  const auto begun = Clock::now();
  if (options.overwrite && options.resume)
    throw Error(ErrorCode::kInvalidInput, "--overwrite", "starts the run anew, and --resume continues it", "leave out one of the two");
  if (config.data.datasets.empty())
    throw Error(ErrorCode::kInvalidInput, "data.datasets", "no training data is named", "add data: path/to/rows.jsonl to the YAML file, or data=rows.jsonl to the command");
  return Training(config, options, observer, begun).run();
}

}  // namespace hone::recipes
