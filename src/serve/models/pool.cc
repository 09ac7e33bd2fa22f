#include "serve/models/pool.h"

#include <algorithm>
#include <map>

#include "io/peft.h"
#include "models/adapter.h"
#include "models/adapter_start.h"
#include "recipes/read_gguf_lora.h"
#include "recipes/run_chat.h"
#include "recipes/tuned_model.h"

namespace hone::serve {

struct Slot {
  std::string name, digest;
  std::string weights;                 // slots with the same share one base
  bool loads_base = false;             // others of these weights wait for it
  std::shared_ptr<Base> base;          // null until it is loaded or found
  std::unique_ptr<Resident> resident;  // null while it is being loaded; ends before its base
  int64_t uses = 0;
  double keep_alive = 0;
  std::chrono::steady_clock::time_point expires, last_used;
};

namespace {

// The adapter that the entry's requests go through, with the rows of PEFT's checkpoints; nullopt for a plain model.
std::optional<io::LoraAdapter> adapter_of(const ModelEntry& entry, const recipes::ModelFiles& files) {
  const bool stored = files.stored && !files.stored->adapters.empty();
  if (entry.adapter.empty() && !stored) return std::nullopt;
  if (stored && (!entry.adapter.empty() || files.stored->adapters.size() > 1))
    throw Error(ErrorCode::kUnsupported, entry.name, "has more than one adapter; hone applies one", "name its base instead");
  if (stored) return recipes::read_gguf_lora(files.stored->adapters.front(), *files.source);
  return models::read_adapter(*files.source, entry.adapter);
}

size_t bytes_of(const io::LoraAdapter& adapter) {
  size_t bytes = 0;
  for (const io::LoraPair& pair : adapter.pairs) bytes += pair.a.bytes() + pair.b.bytes();
  return bytes;
}

void expire_now(Slot& slot) {
  slot.keep_alive = 0;
  slot.expires = std::chrono::steady_clock::now();
}

constexpr const char* kAlone = "alone ";  // before the identity of weights that no other name may use
bool alone(const std::string& weights) { return weights.starts_with(kAlone); }

// The adapter changes what the engine cannot change row by row.
struct NeedsOwnBase {};

}  // namespace

Resident::~Resident() {
  if (base && !adapter.empty()) base->engine->unload_adapter(adapter);
}

std::shared_ptr<infer::TokenFilter> Resident::json_filter(const Json& format) const {
  if (format.is_string() && format != "json") throw Error(ErrorCode::kInvalidInput, "format", fmt::format("expected \"json\" or a JSON schema, found {}", dump(format)));
  const auto compile = [&] { return Schema::parse(format, "format"); };
  auto schema = format.is_string() ? Schema::any_object() : base->schemas.get("format " + dump(format), compile);
  return std::make_shared<JsonFilter>(token_table(), std::move(schema), files.stop_ids);
}

std::shared_ptr<const TokenTable> Resident::token_table() const {
  std::call_once(base->tokens_once, [&] { base->tokens = std::make_shared<TokenTable>(base->tokenizer); });
  return base->tokens;
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

Base::~Base() {
  engine.reset();
  release_cached_memory();
}

const Resident& ModelPool::Lease::operator*() const { return *slot_->resident; }

// ---- ModelPool

ModelPool::ModelPool(const Catalog& catalog, PoolOptions options) : catalog_(catalog), options_(std::move(options)), reaper_([this] { reap(); }) {}

ModelPool::~ModelPool() { close(); }

// The base of a slot: another slot's, or loaded now. `tuned`: what was trained into it, when it is not for others.
std::shared_ptr<Base> ModelPool::base_of(Slot* slot, const recipes::ModelFiles& files, const std::filesystem::path& tuned) {
  {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto other = std::find_if(slots_.begin(), slots_.end(), [&](const auto& s) { return s->weights == slot->weights && (s->base || s->loads_base); });
      if (other == slots_.end()) break;
      if ((*other)->base) return slot->base = (*other)->base;
      changed_.wait(lock);
    }
    slot->loads_base = true;
  }
  models::LoadOptions options;
  options.activation = options_.activation;
  options.panels = true;
  // What is for others too is loaded without the adapter that a stored model may bring along.
  auto model = std::make_shared<const models::CausalLm>(alone(slot->weights) ? recipes::load_tuned(files, options, tuned) : recipes::load_tuned(*files.source, options, {}));
  auto base = std::make_shared<Base>(files.tokenizer);
  base->bytes = model->owned_weight_bytes() + model->mapped_weight_bytes();
  base->engine = std::make_unique<infer::Engine>(std::move(model), base->tokenizer, options_.engine);
  const std::lock_guard lock(mutex_);
  slot->loads_base = false;
  slot->base = base;
  changed_.notify_all();
  return base;
}

std::unique_ptr<Resident> ModelPool::load(const ModelEntry& entry, Slot* slot) {
  recipes::ModelFiles files = recipes::open_model(entry.base, entry.chat_template, recipes::TemplateChoice::kStored);
  if (files.stored && files.stored->id != entry.manifest) throw Error(ErrorCode::kBusy, entry.name, "was replaced in the store just now", "try again; start the server again if it was named on the command line");
  recipes::take_run_chat(files, recipes::read_run_chat(entry.adapter));
  auto resident = std::make_unique<Resident>(Resident{.entry = entry, .files = std::move(files), .base = nullptr, .adapter = {}});
  const bool own = alone(slot->weights);
  resident->base = base_of(slot, resident->files, entry.adapter);
  if (!own)
    if (const auto adapter = adapter_of(entry, resident->files)) {
      const std::string where = entry.adapter.empty() ? entry.name : entry.adapter.string();
      try {
        auto layers = std::make_shared<const nn::AdapterLayers>(models::adapter_layers(resident->engine().model(), *adapter, where));
        std::string name;
        {
          const std::lock_guard lock(mutex_);
          name = fmt::format("{} {}", entry.name, ++adapters_);  // answers in progress keep the adapter that had the name before
        }
        resident->engine().load_adapter(name, std::move(layers));
        resident->adapter = std::move(name);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kUnsupported) throw NeedsOwnBase();
        throw;
      }
      resident->adapter_bytes = bytes_of(*adapter);
    }
  resident->tools = resident->files.shows_tools();
  return resident;
}

// Under the lock: whether `weights` are there or may be loaded. False: something was given up for them, and the lock was open
// meanwhile. Throws Error{kBusy}.
bool ModelPool::make_room(std::unique_lock<std::mutex>& lock, const std::string& weights, const std::string& name) {
  struct Shared {
    bool idle = true;
    Clock::time_point last_used;
  };
  std::map<std::string, Shared> bases;
  for (const auto& slot : slots_) {
    Shared& base = bases[slot->weights];
    base.idle = base.idle && slot->resident && slot->uses == 0;
    base.last_used = std::max(base.last_used, slot->last_used);
  }
  if (bases.contains(weights) || static_cast<int64_t>(bases.size()) < options_.max_models) return true;
  const std::pair<const std::string, Shared>* oldest = nullptr;
  for (const auto& base : bases)
    if (base.second.idle && (!oldest || base.second.last_used < oldest->second.last_used)) oldest = &base;
  if (!oldest) throw Error(ErrorCode::kBusy, name, fmt::format("{} other models are in use", bases.size()), "try again later, or start the server with a larger --max-models");
  std::vector<Slot*> idle;
  for (const auto& slot : slots_)
    if (slot->weights == oldest->first) idle.push_back(slot.get());
  std::vector<std::unique_ptr<Slot>> gone;
  for (Slot* slot : idle) gone.push_back(take(slot));
  lock.unlock();
  gone.clear();  // joins the engine's thread: not under the lock
  lock.lock();
  return false;
}

ModelPool::Lease ModelPool::acquire(const std::string& name, std::optional<double> keep_alive) {
  const ModelEntry entry = catalog_.resolve(name);
  const auto started = Clock::now();
  bool waited = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (closing_) throw Error(ErrorCode::kBusy, "server", "the server is stopping", "try again later");
    Slot* slot = nullptr;
    for (const auto& one : slots_) {
      if (one->name != entry.name) continue;
      if (one->digest == entry.digest) slot = one.get();
      else expire_now(*one);  // its files were replaced
    }
    if (slot) {
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
    const bool own = entry.own_weights || alone_.contains(entry.digest);
    const std::string weights = own ? kAlone + entry.digest : entry.weights;
    if (!make_room(lock, weights, entry.name)) continue;
    slots_.push_back(std::make_unique<Slot>());
    slot = slots_.back().get();
    slot->name = entry.name;
    slot->digest = entry.digest;
    slot->weights = weights;
    slot->keep_alive = options_.keep_alive;
    waited = true;
    lock.unlock();
    std::unique_ptr<Resident> resident;
    std::unique_ptr<Slot> failed;
    try {
      resident = load(entry, slot);
    } catch (const NeedsOwnBase&) {
      lock.lock();
      alone_.insert(entry.digest);
      failed = take(slot);
    } catch (...) {
      lock.lock();
      failed = take(slot);
      changed_.notify_all();
      lock.unlock();
      throw;
    }
    if (failed) {
      changed_.notify_all();
      lock.unlock();
      failed.reset();
      lock.lock();
      continue;
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
  const bool last = taken->base && std::none_of(slots_.begin(), slots_.end(), [&](const auto& s) { return s->base == taken->base; });
  if (last) past_ += taken->base->engine->metrics();
  return taken;
}

void ModelPool::release(Slot* slot) {
  const std::lock_guard lock(mutex_);
  --slot->uses;
  slot->last_used = Clock::now();
  if (slot->keep_alive >= 0) slot->expires = slot->last_used + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(slot->keep_alive));
  changed_.notify_all();
}

void ModelPool::unload(const std::string& name) { expire(catalog_.resolve(name).name); }

void ModelPool::expire(const std::string& name) {
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_)
    if (slot->name == name) expire_now(*slot);
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
    list.push_back({slot->resident->entry, slot->weights, slot->base->bytes, slot->resident->adapter_bytes, slot->resident->context(), left, slot->uses});
  }
  return list;
}

infer::EngineMetrics ModelPool::metrics() const {
  const std::lock_guard lock(mutex_);
  infer::EngineMetrics sum = past_;
  std::set<const Base*> counted;
  for (const auto& slot : slots_)
    if (slot->base && counted.insert(slot->base.get()).second) sum += slot->base->engine->metrics();
  return sum;
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
