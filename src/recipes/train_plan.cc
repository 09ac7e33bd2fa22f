#include "recipes/train_plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "data/report_notes.h"
#include "recipes/run_chat.h"

namespace hone::recipes {
namespace {

constexpr double kUsualRate = 0.1;

// "210 × Q4_1, 1 × Q8_0": how the linear layers' weights are held.
std::string weight_formats(models::CausalLm& model) {
  std::map<std::string_view, int64_t> count;
  model.each_linear([&](nn::Linear& linear) { ++count[name(linear.weight.value().dtype())]; });
  std::string text;
  for (const auto& [format, layers] : count) text += fmt::format("{}{} × {}", text.empty() ? "" : ", ", layers, format);
  return text;
}

int64_t frozen_values(models::CausalLm& model) {
  const models::ModelConfig& c = model.config();
  int64_t total = c.vocab_size * c.hidden_size * (c.tied_head ? 1 : 2) + c.hidden_size * (2 * c.layers + 1);
  model.each_linear([&](nn::Linear& linear) { total += linear.weight.value().elements(); });
  return total;
}

std::vector<std::string> advice(const Config& config, const TrainPlan& plan, models::CausalLm& model, train::MemoryQuestion question) {
  std::vector<std::string> list;
  const auto fits = [&](const train::MemoryPlan& memory) { return memory.peak() <= plan.available_memory; };
  const auto gib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  const auto offer = [&](const train::MemoryPlan& memory, const std::string& change) {
    list.push_back(fmt::format("{}: {:.1f} GiB{}", change, gib(memory.peak()), fits(memory) ? ", fits" : ", still too much"));
  };
  if (!question.checkpointing) {
    question.checkpointing = true;
    offer(train::plan_memory(model, question), "training.gradient_checkpointing=true");
  }
  if (config.data.cutoff_length > 512) {
    question.tokens = question.tokens * 512 / config.data.cutoff_length;
    question.longest = std::min<int64_t>(question.longest, 512);
    offer(train::plan_memory(model, question), "also data.cutoff_length=512");
  }
  if (config.model.adapter == "full") list.push_back("model.adapter=lora trains a small part of the weights");
  else if (config.model.quantization != "nf4") list.push_back("model.quantization=nf4 holds the base in 4 bits per weight");
  return list;
}

}  // namespace

PlannedSteps planned_steps(const Config& config, const data::Loader& loader) {
  PlannedSteps planned;
  const data::StepCount first = loader.steps_in_epoch(0);
  planned.per_epoch = first.steps;
  planned.exact = first.exact;
  const double whole = std::floor(config.training.epochs);
  double total = (config.training.epochs - whole) * static_cast<double>(first.steps);
  // Packing makes epochs differ by a few steps; those that are known count as they are.
  constexpr int64_t kCounted = 64;
  for (int64_t epoch = 0; epoch < static_cast<int64_t>(whole); ++epoch) {
    if (epoch >= kCounted) {
      total += (whole - static_cast<double>(kCounted)) * static_cast<double>(first.steps);
      break;
    }
    total += static_cast<double>(loader.steps_in_epoch(static_cast<uint64_t>(epoch)).steps);
  }
  planned.steps = std::max<int64_t>(1, std::llround(total));
  if (config.training.max_steps > 0) {
    planned.steps = config.training.max_steps;
    planned.exact = true;
  }
  return planned;
}

TrainPlan make_plan(const Config& config, const ModelFiles& files, models::CausalLm& model, data::Loader& loader, const PlannedSteps& steps) {
  TrainPlan plan;
  const models::ModelConfig& c = model.config();
  plan.model = files.stored ? files.stored->name.shortest() : files.source->path().string();
  plan.notes = config.notes;
  plan.notes.insert(plan.notes.end(), files.notes.begin(), files.notes.end());
  if (config.training.max_steps > 0 && steps.per_epoch > 0) {
    const double passes = static_cast<double>(config.training.max_steps) / static_cast<double>(steps.per_epoch);
    if (passes > config.training.epochs) plan.notes.push_back(fmt::format("training.max_steps {} overrides training.epochs {:g}: about {:.1f} passes over the data", config.training.max_steps, config.training.epochs, passes));
  }
  plan.architecture = fmt::format("{}, {} layers, width {}, {} heads, vocabulary {}", models::name(c.family), c.layers, c.hidden_size, c.heads, c.vocab_size);
  if (c.moe) plan.architecture += fmt::format(", {} experts of which {} work on each token", c.moe->n_routed_experts, c.moe->top_k);
  plan.base_format = weight_formats(model);
  for (const auto& leaf : model.parameters()) plan.trainable_values += leaf->value.elements();
  plan.frozen_values = config.model.adapter == "full" ? 0 : frozen_values(model);
  for (const auto& leaf : model.parameters())
    if (config.model.adapter != "full" && !models::is_adapter_leaf(leaf->name)) plan.frozen_values -= leaf->value.elements();
  model.each_linear([&](nn::Linear& linear) { plan.adapted_layers += linear.has_lora(); });
  plan.adapted_layers += model.head().has_lora() + model.embedding().has_lora();
  plan.steps = steps.steps;
  plan.exact_steps = steps.exact;
  plan.data = loader.report();
  plan.sample = loader.preview(0);
  plan.resolved = to_yaml(config);
  plan.bands = config.alarms.bands;
  plan.peak_rate = config.training.learning_rate;
  if (plan.peak_rate > kUsualRate)
    plan.notes.push_back(fmt::format("training.learning_rate {:g} is far above what trains a model (1e-5 to 1e-3): expect the loss to rise", plan.peak_rate));
  for (const data::DatasetReport& report : plan.data.datasets) {
    for (std::string& note : data::notes_of(report)) plan.notes.push_back(std::move(note));
    if (report.truncated > 0) plan.notes.push_back(fmt::format("{}: {} samples cut at the prompt's start to fit data.cutoff_length {}", report.path, report.truncated, config.data.cutoff_length));
  }
  for (const data::DatasetReport& report : plan.data.datasets) plan.room_helps |= report.truncated > 0 || report.problems.of(data::ProblemKind::kTooLong) > 0;
  plan.room_helps |= config.training.gradient_checkpointing;
  for (std::string& note : chat_notes(files, plan.data)) plan.notes.push_back(std::move(note));
  if (!plan.data.measured) plan.notes.push_back("the data is too large to tokenise in advance: the number of steps is an estimate, and a system message that the rows share is not looked for");
  train::MemoryQuestion question;
  question.tokens = config.training.batch_size * config.data.cutoff_length;
  question.longest = config.data.cutoff_length;
  if (plan.data.measured) {
    // Rows are never longer than the data: unpacked samples, or everything packed into fewer tokens than a row could hold.
    int64_t tokens = 0, longest = 0;
    for (const data::DatasetReport& report : plan.data.datasets) {
      tokens += report.tokens;
      longest = std::max(longest, report.longest);
    }
    question.longest = std::min(longest, question.longest);
    if (!config.data.packing) question.tokens = config.training.batch_size * std::min(longest, config.data.cutoff_length);
    question.tokens = std::min(question.tokens, std::max<int64_t>(tokens, 1));
  }
  question.supervised = question.tokens;
  question.checkpointing = config.training.gradient_checkpointing;
  plan.memory = train::plan_memory(model, question);
  // What is there already and stays: everything resident but weights, parameters (without gradients) and moments.
  uint64_t values = 0;
  for (const auto& leaf : model.parameters())
    if (models::is_adapter_leaf(leaf->name)) values += leaf->value.bytes();
  const uint64_t counted = plan.memory.weights + values + plan.memory.optimizer, resident = train::resident_memory();
  question.program_bytes = resident > counted ? resident - counted : 0;
  question.program_bytes += loader.cache_bytes_to_come();
  plan.memory = train::plan_memory(model, question);
  plan.available_memory = train::available_memory() + train::resident_memory();
  if (plan.available_memory > train::resident_memory() && plan.memory.peak() > plan.available_memory) plan.memory_advice = advice(config, plan, model, question);
  return plan;
}

void refuse_if_too_large(const TrainPlan& plan) {
  if (plan.memory_advice.empty()) return;
  std::string hint = "what would help: ";
  for (size_t i = 0; i < plan.memory_advice.size(); ++i) hint += (i > 0 ? "; " : "") + plan.memory_advice[i];
  throw Error(ErrorCode::kOutOfMemory, "memory", fmt::format("training needs about {:.1f} GiB at its peak; {:.1f} GiB are available",
                                                             static_cast<double>(plan.memory.peak()) / (1 << 30),
                                                             static_cast<double>(plan.available_memory) / (1 << 30)), hint);
}

}  // namespace hone::recipes
