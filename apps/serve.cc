// hone serve [MODEL…] [--adapter NAME=DIR]
#include <fmt/format.h>

#include <cstdio>

#include "apps/page_options.h"
#include "base/error.h"
#include "recipes/tuned_model.h"
#include "recipes/tuned_system.h"
#include "serve/http/address.h"
#include "serve/models/store_catalog.h"
#include "serve/run_server.h"

namespace hone::apps {
void add_serve(CLI::App& app, Action& action) {
  struct Arguments {
    std::vector<std::string> models, adapters, templates;
    std::string host, keep_alive = "5m", cache_type = "auto";
    int port = -1;
    bool no_draft = false;
    bool f32 = false;
    serve::RunOptions run;
    double stop_seconds = 10;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("serve", "Answer over HTTP, in the dialects of Ollama, OpenAI and Anthropic");
  verb->add_option("models", a->models, "GGUF files, Hugging Face folders, or names under $HONE_MODELS; NAME=PATH chooses the name. All models of the store are served besides");
  verb->add_option("--adapter", a->adapters, "NAME=DIR or NAME=DIR@MODEL: a run's folder or an adapter, served under a name of its own");
  verb->add_option("--chat-template", a->templates, "MODEL=TEMPLATE: a Jinja file or a known name, instead of the model's own");
  verb->add_option("--host", a->host, "address to listen on; else $HONE_HOST, else 127.0.0.1");
  verb->add_option("--port", a->port, "0: any free one; else that of $HONE_HOST, else 11434")->check(CLI::Range(0, 65535));
  add_access_options(verb, a->run.server, a->run.access);
  verb->add_option("--keep-alive", a->keep_alive, "how long a model stays in memory after its last request; negative: for ever")->capture_default_str();
  verb->add_option("--max-models", a->run.pool.max_models, "in memory at the same time")->check(CLI::Range(1, 64))->capture_default_str();
  verb->add_option("--max-batch,--max-batch-size", a->run.pool.engine.max_batch, "answers that are computed together")->check(CLI::Range(1, 1024))->capture_default_str();
  verb->add_option("--batch-timeout", a->run.pool.engine.batch_timeout, "seconds that requests without an answer (embeddings, scores) may wait for --max-batch of them to come together")->check(CLI::Range(0.0, 60.0))->capture_default_str();
  verb->add_option("--cache-type", a->cache_type, "how keys and values are kept: as the activations are (auto), or in half the memory (q8_0)")->check(CLI::IsMember({"auto", "q8_0"}))->capture_default_str();
  verb->add_flag("--no-draft", a->no_draft, "never guess an answer's next tokens from earlier text; guesses change how fast few answers come, not what they say");
  verb->add_option("--max-queue", a->run.pool.engine.max_queue, "answers that may wait for each model")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  verb->add_option("--max-connections", a->run.server.max_connections, "")->check(CLI::Range(1, 65536))->capture_default_str();
  verb->add_option("--max-blob", a->run.max_blob_bytes, "largest file that clients may send into the store, such as 8GB")->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))->capture_default_str();
  verb->add_option("--stop-seconds", a->stop_seconds, "how long open answers may go on after SIGTERM")->check(CLI::Range(0.0, 3600.0))->capture_default_str();
  verb->add_flag("--f32", a->f32, "compute in f32 instead of bf16");
  verb->callback([a, &action] {
    action = [a] {
      watch_signals();
      serve::RunOptions& run = a->run;
      const serve::http::Address listen = serve::http::default_address();
      run.server.host = listen.host;
      run.server.port = listen.port;
      if (!a->host.empty()) run.server.host = a->host;
      if (a->port >= 0) run.server.port = static_cast<uint16_t>(a->port);
      run.server.stop_time = std::chrono::milliseconds(static_cast<int64_t>(a->stop_seconds * 1000));
      run.pool.keep_alive = serve::parse_duration(a->keep_alive, "--keep-alive");
      run.pool.engine.draft = !a->no_draft;
      run.pool.engine.cache_q8 = a->cache_type == "q8_0";
      run.pool.activation = a->f32 ? DType::kF32 : DType::kBF16;
      run.version = HONE_VERSION;
      const serve::LocalCatalog named(a->models, a->adapters, a->templates);
      for (const auto& entry : named.list())
        for (const std::string& note : recipes::tuned_notes(entry.adapter)) fmt::print(stderr, "note: {}\n", note);
      for (const auto& entry : named.list())
        if (const auto system = recipes::tuned_system(entry.adapter))
          fmt::print(stderr, "note: {}: system message of the training rows, where a request brings none: {}\n", entry.name, recipes::quoted_beginning(*system));
      const serve::StoreCatalog catalog(named);
      const char* scheme = run.server.tls_certificate.empty() ? "http" : "https";
      serve::run_server(catalog, run, [&](const std::string& address) {
        std::string names;
        for (const auto& entry : named.list()) names += entry.name + ", ";
        fmt::print("hone serves {}the store {} on {}://{}\n", names, store::ModelStore::default_root().string(), scheme, address);
        std::fflush(stdout);
      }, [] { return interrupted(); });
      return 0;
    };
  });
}

}  // namespace hone::apps
