#include "recipes/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace hone::recipes {
namespace {

// Below this loss per token, a fluctuation counts as a share of it and not of the loss: near 0 any is a large share, and none matters.
constexpr double kSmallLoss = 1;
// A smoothed loss this far above its lowest value has not merely wobbled: the smoothing averages about ten steps.
constexpr double kLossRise = 1.5;
// A validation loss this far above the best one; less is within what small validation sets show by chance.
constexpr double kValidationRise = 1.05;
// … and by so much: a loss of 0.01 that becomes 0.02 is still one of a model that knows its rows.
constexpr double kLeastRise = 0.05;
// An alarm that was silent for so many steps (or two windows) begins anew.
constexpr int64_t kQuietSteps = 100;

// What the value of an alarm measures.
std::string_view measured(const std::string& kind) {
  if (kind.starts_with("grad_norm")) return "gradient norm";
  if (kind.starts_with("memory")) return "share of the memory that the run may use";
  if (kind == "volatility") return "spread of the smoothed loss around its trend";
  if (kind == "loss_rises") return "smoothed loss";
  if (kind == "overfitting") return "validation loss";
  return "loss or gradient norm";
}

}  // namespace

double volatility(std::span<const double> losses) {
  if (losses.size() < 3) return NAN;
  const auto n = static_cast<double>(losses.size());
  double sum = 0;
  for (const double loss : losses) sum += loss;
  const double mean = sum / n, middle = (n - 1) / 2;
  double along = 0, across = 0, squares = 0;  // Σ(x − x̄)y, Σ(x − x̄)², Σ(y − ȳ)²
  for (size_t i = 0; i < losses.size(); ++i) {
    const double x = static_cast<double>(i) - middle, y = losses[i] - mean;
    along += x * y;
    across += x * x;
    squares += y * y;
  }
  const double left = std::isfinite(squares) ? std::max(0.0, squares - along * along / across) : NAN;
  const double result = std::sqrt(left / n) / std::fabs(mean);
  return std::isfinite(result) ? result : NAN;
}

Place place(double value, double low, double high) {
  if (!std::isfinite(value)) return Place::kNotFinite;
  return value < low ? Place::kBelow : value > high ? Place::kAbove : Place::kInside;
}

Bands parse_bands(const std::string& text, Bands bands) {
  const auto refuse = [](std::string_view part) {
    throw Error(ErrorCode::kInvalidInput, "--panel-bands", fmt::format("expected grad_norm=LOW:HIGH, volatility=HIGH or memory=LOW:HIGH, found \"{}\"", part),
                "write for example grad_norm=0.1:5,volatility=0.05,memory=0.7:0.9");
  };
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const size_t equals = part.find('='), colon = part.find(':');
    if (equals == std::string_view::npos) refuse(part);
    const std::string_view name = part.substr(0, equals), values = part.substr(equals + 1);
    const auto number = [&](std::string_view digits) {
      double value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc() || end != digits.data() + digits.size() || !(value >= 0 && std::isfinite(value))) refuse(part);
      return value;
    };
    if (name == "volatility") {
      bands.volatility_max = number(values);
      continue;
    }
    if ((name != "grad_norm" && name != "memory") || colon == std::string_view::npos) refuse(part);
    const double low = number(part.substr(equals + 1, colon - equals - 1)), high = number(part.substr(colon + 1));
    if (low > high || (name == "memory" && high > 1)) refuse(part);
    (name == "memory" ? bands.memory_min : bands.grad_norm_min) = low;
    (name == "memory" ? bands.memory_max : bands.grad_norm_max) = high;
  }
  return bands;
}

std::string advice(const std::string& kind) {
  if (kind == "grad_norm_high") return "lower training.learning_rate or optimizer.max_grad_norm, lengthen schedule.warmup_ratio, and look at the rows of these steps";
  if (kind == "grad_norm_low") return "little is learned: raise training.learning_rate, check that the answers are supervised (--dry-run), or stop if the loss is low already";
  if (kind == "volatility") return "raise training.gradient_accumulation or batch_size so that steps resemble each other, or lower training.learning_rate";
  if (kind == "memory_high") return "lower data.cutoff_length, turn on training.gradient_checkpointing, or use model.quantization: nf4";
  if (kind == "memory_low") return "there is room: no gradient_checkpointing, or a larger data.cutoff_length for rows that were cut";
  if (kind == "not_finite") return "the update was skipped: lower training.learning_rate, set optimizer.max_grad_norm, and look at the rows that the event names";
  if (kind == "loss_rises") return "training diverges: lower training.learning_rate, and go on from an earlier checkpoint";
  if (kind == "overfitting") return "the model learns the training rows by heart: stop (early_stop: true), use fewer epochs, more data, or lora.dropout";
  return {};
}

std::string Notice::text() const {
  const bool share = kind == "volatility" || kind.starts_with("memory");
  const auto figure = [&](double v) { return share ? fmt::format("{:.3g} %", 100 * v) : fmt::format("{:.4g}", v); };
  return fmt::format("{}: {} {}{}: {}", kind, measured(kind), figure(value), kind == "not_finite" ? "" : ", bound " + figure(bound), advice(kind));
}

void Health::raise(const char* kind, bool serious, int64_t step, double value, double bound) {
  ++version_;
  auto alarm = std::find_if(alarms_.begin(), alarms_.end(), [&](const Alarm& a) { return a.kind == kind; });
  if (alarm == alarms_.end() || (serious && step - alarm->last > std::max(kQuietSteps, 2 * bands_.volatility_window))) notices_.push_back({kind, serious, step, value, bound});
  if (alarm == alarms_.end()) {
    alarms_.push_back({kind, serious, step, step, 1, value, bound});
    return;
  }
  if (alarm->last != step) ++alarm->count;  // memory is sampled many times during one step
  alarm->last = step;
  if (std::fabs(value - bound) > std::fabs(alarm->worst - bound)) alarm->worst = value;
}

// The rate rises from each step to the next as long as the warm-up lasts. What the panel multiplies it by is no warm-up.
void Health::follow_warm_up(const recipes::StepReport& r) {
  const double rate = r.rate_factor > 0 ? r.learning_rate / r.rate_factor : r.learning_rate;
  warm_ = warm_ && (!last_rate_ || rate > *last_rate_);
  if (warm_ && last_rate_) warm_until_ = r.step;
  last_rate_ = rate;
}

std::optional<double> Health::add(const recipes::StepReport& r) {
  const Place grad = place(r.grad_norm, bands_.grad_norm_min, bands_.grad_norm_max);
  if (grad == Place::kNotFinite || !std::isfinite(r.loss)) raise("not_finite", true, r.step, grad == Place::kNotFinite ? r.grad_norm : r.loss, bands_.grad_norm_max);
  if (grad == Place::kAbove) raise("grad_norm_high", true, r.step, r.grad_norm, bands_.grad_norm_max);
  if (grad == Place::kBelow) raise("grad_norm_low", false, r.step, r.grad_norm, bands_.grad_norm_min);
  if (std::isfinite(r.smoothed)) {
    lowest_smoothed_ = std::min(lowest_smoothed_.value_or(r.smoothed), r.smoothed);
    if (r.smoothed > kLossRise * *lowest_smoothed_ && r.smoothed - *lowest_smoothed_ > kLeastRise) raise("loss_rises", true, r.step, r.smoothed, *lowest_smoothed_);
  }
  add_memory(r.step, r.memory);
  follow_warm_up(r);
  if (r.step != last_step_ + 1) window_.clear();
  last_step_ = r.step;
  window_.push_back(r.smoothed);  // single steps of small batches differ by nature
  const int64_t length = bands_.volatility_window;
  if (static_cast<int64_t>(window_.size()) > length) window_.pop_front();
  if (r.step % length != 0 || static_cast<int64_t>(window_.size()) < length) return std::nullopt;
  const std::vector<double> losses(window_.begin(), window_.end());
  const double value = volatility(losses), mean = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  const bool settled = r.step - length >= warm_until_, matters = value * std::min(1.0, std::fabs(mean) / kSmallLoss) > bands_.volatility_max;
  if (settled && matters) raise("volatility", true, r.step, value, bands_.volatility_max);
  return value;
}

void Health::add(const recipes::ValidationReport& r) {
  if (!std::isfinite(r.loss)) return raise("not_finite", true, r.step, r.loss, 0);
  if (lowest_validation_ && r.loss > kValidationRise * *lowest_validation_ && r.loss - *lowest_validation_ > kLeastRise) raise("overfitting", true, r.step, r.loss, *lowest_validation_);
  lowest_validation_ = std::min(lowest_validation_.value_or(r.loss), r.loss);
}

void Health::add_memory(int64_t step, uint64_t bytes) {
  if (memory_limit_ == 0 || bytes == 0) return;
  const double share = static_cast<double>(bytes) / static_cast<double>(memory_limit_);
  const Place where = place(share, bands_.memory_min, bands_.memory_max);
  if (where == Place::kAbove) raise("memory_high", true, step, share, bands_.memory_max);
  if (where == Place::kBelow && room_helps_) raise("memory_low", false, step, share, bands_.memory_min);
}

}  // namespace hone::recipes
