#include "serve/models/pool.h"

#include <algorithm>

#include "recipes/tuned_model.h"

namespace hone::serve {

struct Slot {
  std::string name;
  std::unique_ptr<Resident> resident;  // null while it is being loaded
  int64_t uses = 0;
  double keep_alive = 0;
  std::chrono::steady_clock::time_point expires, last_used;
};

namespace {

void add(infer::EngineMetrics& sum, const infer::EngineMetrics& m) {
  sum.finished += m.finished;
  sum.refused += m.refused;
  sum.cancelled += m.cancelled;
  sum.failed += m.failed;
  sum.prompt_tokens += m.prompt_tokens;
  sum.reused_tokens += m.reused_tokens;
  sum.answer_tokens += m.answer_tokens;
  sum.steps += m.steps;
  sum.batch_rows += m.batch_rows;
  sum.busy_seconds += m.busy_seconds;
}

}  // namespace

std::shared_ptr<infer::TokenFilter> Resident::json_filter(const Json& format) const {
  if (format.is_string() && format != "json") throw Error(ErrorCode::kInvalidInput, "format", fmt::format("expected \"json\" or a JSON schema, found {}", dump(format)));
  auto schema = format.is_string() ? Schema::any_object() : Schema::parse(format, "format");
  std::call_once(tokens->once, [&] { tokens->table = std::make_shared<TokenTable>(files.tokenizer); });
  return std::make_shared<JsonFilter>(tokens->table, std::move(schema), files.stop_ids);
}

// ---- Lease

ModelPool::Lease::Lease(Lease&& other) noexcept { *this = std::move(other); }

ModelPool::Lease& ModelPool::Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    slot_ = std::exchange(other.slot_, nullptr);
    pool_ = std::exchange(other.pool_, nullptr);
    load_seconds_ = other.load_seconds_;
  }
  return *this;
}

void ModelPool::Lease::release() {
  if (ModelPool* pool = std::exchange(pool_, nullptr)) pool->release(slot_);
}

const Resident& ModelPool::Lease::operator*() const { return *slot_->resident; }

// ---- ModelPool

ModelPool::ModelPool(const Catalog& catalog, PoolOptions options) : catalog_(catalog), options_(std::move(options)), reaper_([this] { reap(); }) {}

ModelPool::~ModelPool() { close(); }

std::unique_ptr<Resident> ModelPool::load(const ModelEntry& entry) const {
  recipes::ModelFiles files = recipes::open_model(entry.base, entry.chat_template);
  models::LoadOptions load;
  load.activation = options_.activation;
  auto model = std::make_shared<const models::CausalLm>(recipes::load_tuned(files, load, entry.adapter));
  auto resident = std::make_unique<Resident>(Resident{.entry = entry, .files = std::move(files), .engine = nullptr});
  resident->bytes = model->owned_weight_bytes() + model->mapped_weight_bytes();
  if (resident->files.chat) {
    const std::string& source = resident->files.chat->source();
    resident->tools = source.find("tools") != std::string::npos;
    resident->enable_thinking = source.find("enable_thinking") != std::string::npos;
    resident->thinks = source.find("<think>") != std::string::npos;
  }
  if (!resident->thinks) resident->thinks = resident->files.tokenizer.token_id("<think>").has_value();
  resident->engine = std::make_unique<infer::Engine>(std::move(model), resident->files.tokenizer, options_.engine);
  return resident;
}

ModelPool::Lease ModelPool::acquire(const std::string& name, std::optional<double> keep_alive) {
  const ModelEntry entry = catalog_.resolve(name);
  const auto started = Clock::now();
  bool waited = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (closing_) throw Error(ErrorCode::kBusy, "server", "the server is stopping", "try again later");
    const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& s) { return s->name == entry.name; });
    if (found != slots_.end()) {
      Slot* slot = found->get();
      if (!slot->resident) {
        waited = true;
        changed_.wait(lock);
        continue;
      }
      ++slot->uses;
      if (keep_alive) slot->keep_alive = *keep_alive;
      Lease lease;
      lease.slot_ = slot;
      lease.pool_ = this;
      if (waited) lease.load_seconds_ = std::chrono::duration<double>(Clock::now() - started).count();
      return lease;
    }
    if (static_cast<int64_t>(slots_.size()) >= options_.max_models) {
      Slot* oldest = nullptr;
      for (const auto& slot : slots_)
        if (slot->resident && slot->uses == 0 && (!oldest || slot->last_used < oldest->last_used)) oldest = slot.get();
      if (!oldest) throw Error(ErrorCode::kBusy, entry.name, fmt::format("{} other models are in use", slots_.size()), "try again later, or start the server with a larger --max-models");
      const std::unique_ptr<Slot> gone = take(oldest);
      lock.unlock();
      gone->resident.reset();  // joins the engine's thread: not under the lock
      lock.lock();
      continue;
    }
    slots_.push_back(std::make_unique<Slot>());
    Slot* slot = slots_.back().get();
    slot->name = entry.name;
    slot->keep_alive = options_.keep_alive;
    waited = true;
    lock.unlock();
    std::unique_ptr<Resident> resident;
    try {
      resident = load(entry);
    } catch (...) {
      lock.lock();
      take(slot);
      changed_.notify_all();
      throw;
    }
    lock.lock();
    slot->resident = std::move(resident);
    slot->last_used = Clock::now();
    ++loads_;
    changed_.notify_all();
  }
}

// Under the lock: takes a slot out of the list.
std::unique_ptr<Slot> ModelPool::take(Slot* slot) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& s) { return s.get() == slot; });
  std::unique_ptr<Slot> taken = std::move(*found);
  slots_.erase(found);
  if (taken->resident) add(past_, taken->resident->engine->metrics());
  return taken;
}

void ModelPool::release(Slot* slot) {
  const std::lock_guard lock(mutex_);
  --slot->uses;
  slot->last_used = Clock::now();
  if (slot->keep_alive >= 0) slot->expires = slot->last_used + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(slot->keep_alive));
  changed_.notify_all();
}

void ModelPool::unload(const std::string& name) {
  const std::string known = catalog_.resolve(name).name;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_)
    if (slot->name == known) {
      slot->keep_alive = 0;
      slot->expires = Clock::now();
    }
  changed_.notify_all();
}

void ModelPool::reap() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    std::unique_ptr<Slot> gone;
    auto next = Clock::now() + std::chrono::hours(1);
    for (const auto& slot : slots_) {
      if (!slot->resident || slot->uses > 0 || slot->keep_alive < 0) continue;
      if (slot->expires <= Clock::now()) {
        gone = take(slot.get());
        break;
      }
      next = std::min(next, slot->expires);
    }
    if (gone) {
      lock.unlock();
      gone.reset();
      lock.lock();
      changed_.notify_all();
      continue;
    }
    changed_.wait_until(lock, next);
  }
}

std::vector<ModelPool::Loaded> ModelPool::loaded() const {
  const std::lock_guard lock(mutex_);
  std::vector<Loaded> list;
  for (const auto& slot : slots_) {
    if (!slot->resident) continue;
    const double left = slot->keep_alive < 0 ? -1 : slot->uses > 0 ? slot->keep_alive : std::max(0.0, std::chrono::duration<double>(slot->expires - Clock::now()).count());
    list.push_back({slot->resident->entry, slot->resident->bytes, slot->resident->context(), left, slot->uses, slot->resident->engine->metrics()});
  }
  return list;
}

infer::EngineMetrics ModelPool::past_metrics() const {
  const std::lock_guard lock(mutex_);
  return past_;
}

int64_t ModelPool::loads() const {
  const std::lock_guard lock(mutex_);
  return loads_;
}

void ModelPool::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (reaper_.joinable()) reaper_.join();
  std::vector<std::unique_ptr<Slot>> gone;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return std::all_of(slots_.begin(), slots_.end(), [](const auto& s) { return s->resident && s->uses == 0; }); });
  gone.swap(slots_);
}

}  // namespace hone::serve
