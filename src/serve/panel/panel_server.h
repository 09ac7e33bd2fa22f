// The panel's server: its page, the runs of the history, and the run that is being trained, if there is one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "recipes/train.h"
#include "serve/http/server.h"

namespace hone::serve::panel {

constexpr uint16_t kDefaultPort = 6060;

struct PanelOptions {
  http::ServerOptions server = default_server();
  std::string key_file;  // as of `hone serve`; empty: no keys, and then only addresses of this machine
  std::string bands;     // recipes::parse_bands, above those of each run's own settings
  static http::ServerOptions default_server();
};

/// "", "port", ":port", "host", "host:port" or "[v6]:port"; what is not said stays at 127.0.0.1 and kDefaultPort. Throws Error{kInvalidInput}.
void parse_address(const std::string& text, http::ServerOptions& server);

/// The page for the runs of the history until `stop` returns true; `ready` is called once with the address.
void run_panel(const PanelOptions& options, const std::function<void(const std::string& address)>& ready, const std::function<bool()>& stop);

/// The page for a run that goes on, beside those of the history. Whoever trains only puts copies into bounded queues, one per page that
/// watches; a page that reads too slowly is cut off and asks again.
class LivePanel : public recipes::TrainObserver {
 public:
  /// Binds, and serves from now on. Throws Error{kIo} when the address is taken, Error{kInvalidInput} when others can reach it without keys.
  /// `resident_memory`: bytes of this process, asked every second on a thread of the panel.
  LivePanel(const PanelOptions& options, std::function<uint64_t()> resident_memory);
  /// Ends the streams and the server.
  ~LivePanel() override;

  std::string address() const;
  /// What a page must show to control the run: 24 random characters.
  const std::string& token() const;
  /// A page asked, with the token, that the run be saved and ended; that it wait; that it save a checkpoint now (true once per wish).
  bool stop_requested() const;
  bool pause_requested() const;
  bool take_checkpoint_request();
  /// A page asked, with the token, for another factor on the schedule's learning rate (once per wish).
  std::optional<double> take_rate_factor();
  /// Tells the pages whether the run waits.
  void set_paused(bool paused);

  void on_plan(const recipes::TrainPlan& plan) override;
  void on_step(const recipes::StepReport& report) override;
  void on_validation(const recipes::ValidationReport& report) override;
  void on_event(int64_t step, const std::string& kind, const std::string& text) override;
  /// Tells every page how the run ended: TrainSummary's status, or "failed".
  void end(const std::string& status);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone::serve::panel
