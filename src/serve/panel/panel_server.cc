#include "serve/panel/panel_server.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <thread>

#include "serve/api/access.h"
#include "serve/api/assets.h"
#include "serve/api/errors.h"
#include "serve/api/service.h"
#include "serve/panel/feed.h"

namespace hone::serve::panel {
namespace {

constexpr int64_t kMaxListed = 500;
constexpr double kMinRateFactor = 0.001, kMaxRateFactor = 1000;
constexpr std::string_view kRuns = "/api/runs/";

Json list_of_runs() {
  runs::RunStore store(runs::RunStore::default_path());
  Json list = Json::array();
  for (const runs::Run& run : store.list(kMaxListed, "train")) {
    Json summary = Json::object();
    for (const auto& [name, value] : run.summary) summary[name] = value;
    list.push_back({{"id", run.id}, {"status", run.status}, {"folder", run.folder}, {"started", run.started}, {"ended", run.ended}, {"summary", summary}});
  }
  return {{"runs", list}};
}

void add_history_routes(http::Router& router, const std::string& bands) {
  add_asset_routes(router, "panel");
  add_route(router, "GET", "/health", http::Role::kNone, [](const Exchange& exchange) { exchange->send(json_response({{"status", "ok"}})); });
  add_route(router, "GET", "/api/runs", http::Role::kInfer, [](const Exchange& exchange) { exchange->send(json_response(list_of_runs())); });
  add_route(router, "GET", "/api/runs/*", http::Role::kInfer, [bands](const Exchange& exchange) {
    runs::RunStore store(runs::RunStore::default_path());
    exchange->send(json_response(Record::of_past(store, exchange->request().path.substr(kRuns.size()), bands).snapshot()));
  });
}

http::Router make_router(const PanelOptions& options) {
  http::Router router = serve::make_router(options.server.host, {.key_file = options.key_file, .hosts = {}, .origins = {}, .remedy = "give --panel-keys FILE (its lines are \"infer KEY\" or \"admin KEY\"), or use 127.0.0.1"});
  add_history_routes(router, options.bands);
  return router;
}

class PanelHttp {
 public:
  PanelHttp(const PanelOptions& options, http::Router router)
      : router_(std::move(router)), server_(make_server(options.server, router_)) {}
  http::Server& server() { return server_; }

 private:
  http::Router router_;
  http::Server server_;
};

}  // namespace

http::ServerOptions PanelOptions::default_server() {
  http::ServerOptions server;
  server.port = kDefaultPort;
  server.max_connections = 64;
  server.max_body_bytes = 4096;
  server.workers = 1;  // what is left of the machine trains
  server.stop_time = std::chrono::milliseconds(1500);
  return server;
}

void parse_address(const std::string& text, http::ServerOptions& server) {
  std::string_view rest = text;
  const auto all_digits = [](std::string_view s) { return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos; };
  const size_t colon = rest.rfind(':');
  const bool v6 = rest.starts_with('[');
  std::string_view port;
  if (all_digits(rest)) {
    port = std::exchange(rest, {});
  } else if (colon != std::string_view::npos && (v6 ? rest.find("]:") != std::string_view::npos : rest.find(':') == colon)) {
    port = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!all_digits(port)) throw Error(ErrorCode::kInvalidInput, "panel address", fmt::format("expected HOST:PORT, found \"{}\"", text), "write 127.0.0.1:6060, or a port alone");
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
    if (error != std::errc()) throw Error(ErrorCode::kInvalidInput, "panel address", fmt::format("expected a port from 0 to 65535, found {}", port), "write 127.0.0.1:6060, or 0 for any free port");
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  if (!rest.empty()) server.host = rest;
}

void run_panel(const PanelOptions& options, const std::function<void(const std::string&)>& ready, const std::function<bool()>& stop) {
  http::Router router = make_router(options);
  add_route(router, "GET", "/api/live", http::Role::kInfer, [](const Exchange& exchange) { exchange->send(json_response(nullptr)); });
  PanelHttp http(options, std::move(router));
  ready(http.server().address());
  http.server().run(stop, [] {});
}

struct LivePanel::Impl {
  Impl(const PanelOptions& options, std::function<uint64_t()> resident_memory_) : resident_memory(std::move(resident_memory_)), token(random_id("")), http(options, routes(options)) {
    serving = std::thread([this] {
      try {
        http.server().run([this] { return stopping.load(); }, [this] { feed.close(); });
      } catch (const std::exception&) {
        feed.close();  // the page is lost; the run goes on
      }
    });
    sampling = std::thread([this] { sample(); });
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    sampling.join();
    feed.close();
    serving.join();
  }

  http::Router routes(const PanelOptions& options) {
    http::Router router = make_router(options);
    add_route(router, "GET", "/api/live", http::Role::kInfer, [this](const Exchange& exchange) {
      uint64_t sequence = 0;
      const std::optional<Record> record = feed.copy(sequence);
      Json json = record ? record->snapshot() : Json::object();
      json["seq"] = sequence;
      exchange->send(json_response(json));
    });
    add_route(router, "GET", "/api/events", http::Role::kInfer, [this](const Exchange& exchange) { feed.subscribe(exchange); });
    add_route(router, "GET", "/metrics", http::Role::kInfer, [this](const Exchange& exchange) {
      exchange->send({200, "text/plain; version=0.0.4; charset=utf-8", feed.metrics(), {}});
    });
    const auto flag = [](std::atomic<bool>& wish, bool value) { return [&wish, value](const Exchange&) { wish = value; }; };
    add_control(router, "/api/stop", flag(stop, true));
    add_control(router, "/api/pause", flag(pause, true));
    add_control(router, "/api/resume", flag(pause, false));
    add_control(router, "/api/checkpoint", flag(checkpoint, true));
    add_control(router, "/api/learning_rate", [this](const Exchange& exchange) {
      const Json body = parse_body(exchange->request().body);
      const Fields fields(body);
      const auto factor = fields.number("factor", kMinRateFactor, kMaxRateFactor);
      if (!factor || peak_rate * *factor > recipes::kMaxLearningRate)
        throw Error(ErrorCode::kInvalidInput, "factor", fmt::format("expected a number from {} to {} by which the schedule's rate is multiplied; the peak may be at most {}", kMinRateFactor, kMaxRateFactor, recipes::kMaxLearningRate),
                    "send for example {\"factor\": 0.5}");
      rate_factor = *factor;
    });
    return router;
  }

  void add_control(http::Router& router, const char* path, std::function<void(const Exchange&)> take) {
    add_route(router, "POST", path, http::Role::kAdmin, [this, take = std::move(take)](const Exchange& exchange) {
      const std::string_view given = exchange->request().header("x-run-token");
      if (given.size() != token.size() || CRYPTO_memcmp(given.data(), token.data(), token.size()) != 0)
        return exchange->send(error_response(exchange->request(), 403, "the run's token is needed in X-Run-Token: it is at the end of the address that hone train printed"));
      take(exchange);
      exchange->send(json_response({{"status", "taken"}}));
    });
  }

  // Also tells a page that is idle during a long step that the run still lives.
  void sample() {
    const auto begun = Clock::now();
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, std::chrono::seconds(1), [this] { return stopping.load(); })) {
      const MemorySample sample{seconds_since(begun), resident_memory()};
      feed.publish([&](Record& record) { return record.add_memory(sample); });
    }
  }

  std::function<uint64_t()> resident_memory;
  std::string token;
  std::atomic<bool> stop = false, pause = false, checkpoint = false;  // what pages wish
  std::atomic<double> rate_factor = 0, peak_rate = 0;  // 0: no wish; not known yet
  std::atomic<bool> stopping = false;
  Feed feed;
  PanelHttp http;
  std::mutex mutex;
  std::condition_variable wake;
  std::thread serving, sampling;
};

LivePanel::LivePanel(const PanelOptions& options, std::function<uint64_t()> resident_memory) : impl_(std::make_unique<Impl>(options, std::move(resident_memory))) {}
LivePanel::~LivePanel() = default;

std::string LivePanel::address() const { return impl_->http.server().address(); }
const std::string& LivePanel::token() const { return impl_->token; }
bool LivePanel::stop_requested() const { return impl_->stop; }
bool LivePanel::pause_requested() const { return impl_->pause; }
bool LivePanel::take_checkpoint_request() { return impl_->checkpoint.exchange(false); }
std::optional<double> LivePanel::take_rate_factor() {
  const double factor = impl_->rate_factor.exchange(0);
  return factor > 0 ? std::optional(factor) : std::nullopt;
}
void LivePanel::set_paused(bool paused) {
  impl_->feed.publish([&](Record& record) { return record.set_status(paused ? "paused" : "running"); });
}

void LivePanel::on_plan(const recipes::TrainPlan& plan) {
  impl_->peak_rate = plan.peak_rate;
  impl_->feed.begin(plan);
}
void LivePanel::on_step(const recipes::StepReport& report) {
  impl_->feed.publish([&](Record& record) { return record.add(report); });
}
void LivePanel::on_validation(const recipes::ValidationReport& report) {
  impl_->feed.publish([&](Record& record) { return record.add(report); });
}
void LivePanel::on_event(int64_t step, const std::string& kind, const std::string& text) {
  impl_->feed.publish([&](Record& record) { return record.add_event(step, kind, text); });
}
void LivePanel::end(const std::string& status) { impl_->feed.end(status); }

}  // namespace hone::serve::panel
