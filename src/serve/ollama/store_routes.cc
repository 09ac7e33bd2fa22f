#include "serve/ollama/store_routes.h"

#include <charconv>
#include <cmath>

#include "recipes/create.h"
#include "serve/api/errors.h"
#include "serve/api/request_keys.h"
#include "serve/api/stream.h"
#include "serve/ollama/blob_upload.h"
#include "serve/ollama/requests.h"
#include "store/digest.h"
#include "store/parameters.h"
#include "store/transfer.h"

namespace hone::serve::ollama {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxWork = 8;

// Progress as lines, or one answer at the end. An error before the first line has its status; later it is the last line.
class Reply {
 public:
  Reply(Exchange exchange, bool streams) : stream_(std::move(exchange), Stream::Kind::kLines), streams_(streams) {}
  void progress(const store::Progress& p) {
    const auto now = Clock::now();
    const bool same = p.status == last_ && p.completed < p.total;
    if (same && now - sent_ < std::chrono::milliseconds(100)) return;
    last_ = p.status;
    sent_ = now;
    Json json = {{"status", p.status}};
    if (!p.digest.empty()) json["digest"] = p.digest;
    if (p.total > 0) json["total"] = p.total, json["completed"] = p.completed;
    if (streams_) stream_.send(json);
  }
  void success() {
    if (!streams_) return stream_.exchange()->send(json_response({{"status", "success"}}));
    stream_.send({{"status", "success"}});
    stream_.end();
  }
  void failure(const Error& error) {
    if (!stream_.begun()) return stream_.exchange()->send(error_response(stream_.exchange()->request(), error));
    stream_.send(ollama_error(in_words(error)));
    stream_.end();
  }

 private:
  Stream stream_;
  bool streams_;
  std::string last_;
  Clock::time_point sent_;
};

void run(StoreWork& work, const Exchange& exchange, bool stream, std::function<void(const store::Watch&)> task) {
  work.start([&work, exchange, stream, task = std::move(task)] {
    Reply reply(exchange, stream);
    try {
      task({[&](const store::Progress& p) { reply.progress(p); }, [&] { return work.stopping() || exchange->gone(); }});
      reply.success();
    } catch (...) {
      reply.failure(current_error());
    }
  });
}

bool streams(const Fields& fields) { return fields.boolean("stream").value_or(true); }

void transfer(Service& service, StoreWork& work, const Exchange& exchange, bool pull) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const store::ModelName name = store::parse_name(model_name(fields));
  if (pull) service.catalog.check_storable(name.shortest());
  const bool insecure = fields.boolean("insecure").value_or(false);
  run(work, exchange, streams(fields), [=](const store::Watch& watch) {
    store::Library library;
    if (!pull) return store::push(library, name, insecure, watch);
    const store::Pulled pulled = store::pull(library, name, insecure, watch);
    if (name.on_hub() && !pulled.snapshot) recipes::complete_model(library, pulled.name, watch);
  });
}

std::string blob_file(const std::string& digest, const char* name) {
  const fs::path path = store::Library().own().blob_path(digest);
  if (!fs::exists(path)) throw Error(ErrorCode::kNotFound, name, fmt::format("there is no blob {}", digest), "send it first: POST /api/blobs/DIGEST");
  return path.string();
}

// "files" and "adapters": {"file name": "sha256:…"} of blobs that were sent before; one each.
std::string blob_of(const Fields& fields, const char* name) {
  const Json* files = fields.object(name);
  if (!files || files->empty()) return {};
  const Json& digest = files->begin().value();
  if (files->size() != 1 || !digest.is_string()) throw Error(ErrorCode::kUnsupported, name, "expected one GGUF file", "send it as {\"model.gguf\": \"sha256:…\"}");
  return blob_file(digest.get<std::string>(), name);
}

// As request options are read: null says nothing, and an integer may be written as 40.0. An empty list takes the parent's away.
void set_parameter(store::Modelfile& file, const std::string& name, const Json& value) {
  const std::string where = "parameters";
  if (value.is_null()) return;
  if (value.is_array() && value.empty() && store::find_parameter(name)) {
    file.parameters[name] = Json::array();
    return;
  }
  for (const Json& one : value.is_array() ? value : Json::array({value})) {
    std::string text = one.is_string() ? one.get<std::string>() : dump(one);
    const bool whole = one.is_number_float() && std::abs(one.get<double>()) < 1e15 && std::trunc(one.get<double>()) == one.get<double>();
    if (whole) text = fmt::format("{}", one.get<int64_t>());
    std::string note = store::set_parameter(file.parameters, name, text, where);
    if (!note.empty()) file.notes.push_back(std::move(note));
  }
}

// {"model", "from" or "files", "adapters", "template", "system", "parameters", "messages", "license", "quantize"}, or a "modelfile".
void create(Service& service, StoreWork& work, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const store::ModelName name = store::parse_name(model_name(fields));
  check_keys(ollama_create_keys(), body, "/api/create");
  service.catalog.check_storable(name.shortest());
  recipes::CreateOptions options;
  if (const auto text = fields.string("modelfile", size_t{4} << 20)) options.file = store::parse_modelfile(*text, "modelfile");
  if (const auto from = fields.string("from", 4096)) options.file.from = *from;
  // Paths of this machine are not for clients: FROM is a name, or a blob that was sent.
  if (options.file.from.starts_with('@')) options.file.from = blob_file(options.file.from.substr(1), "modelfile");  // as older clients write it
  else if (!options.file.from.empty()) options.file.from = store::parse_name(options.file.from).full();
  for (std::string& adapter : options.file.adapters)
    if (adapter.starts_with('@')) adapter = blob_file(adapter.substr(1), "modelfile");
    else throw Error(ErrorCode::kInvalidInput, "modelfile", "ADAPTER names a path of this machine", "send the file, and name it in adapters");
  if (const Json* files = fields.object("files"); files && !files->empty() && !options.file.from.empty())
    throw Error(ErrorCode::kInvalidInput, "files", "stands beside from, and a model is made from one", "leave one of the two out");
  if (const std::string blob = blob_of(fields, "files"); !blob.empty()) options.file.from = blob;
  if (options.file.from.empty()) throw Error(ErrorCode::kInvalidInput, "from", "neither from nor files was given", "name a model of the store");
  if (const std::string blob = blob_of(fields, "adapters"); !blob.empty()) options.file.adapters = {blob};
  if (const auto text = fields.string("template", size_t{1} << 20)) options.file.chat_template = *text;
  if (const auto text = fields.string("system", size_t{1} << 20)) options.file.system = *text;
  if (fields.find("license")) options.file.licenses = fields.strings("license", 64);
  if (const Json* parameters = fields.object("parameters"))
    for (const auto& [key, value] : parameters->items()) set_parameter(options.file, key, value);
  if (const Json* messages = fields.array("messages", 4096))
    for (size_t i = 0; i < messages->size(); ++i) {
      const std::string where = fmt::format("messages[{}]", i);
      const Json message = data::read_message((*messages)[i], where);
      const std::string role = message.value("role", "");
      // What a model's file of messages has no place for would be lost.
      if (role != "system" && role != "user" && role != "assistant") throw Error(ErrorCode::kUnsupported, where + ".role", fmt::format("a model keeps no examples of the role {}", role), "roles are system, user and assistant");
      for (const char* key : {"tool_calls", "reasoning_content", "name"})
        if (message.contains(key)) throw Error(ErrorCode::kUnsupported, where, fmt::format("a model's examples hold role and content, no {}", key), "leave it out");
      options.file.messages.push_back({role, message.value("content", "")});
    }
  options.quantize = fields.string("quantize", 32).value_or("");
  options.folder = store::ModelStore::default_root();
  run(work, exchange, streams(fields), [name, options](const store::Watch& watch) {
    recipes::CreateOptions watched = options;
    watched.watch = watch;
    store::Library library;
    for (const std::string& note : recipes::create_model(library, name, watched).notes) watch.report({"note: " + note, {}, 0, 0});
  });
}

// Answers without a stream: a status and nothing, as Ollama does.
void run_quietly(StoreWork& work, const Exchange& exchange, std::function<void()> task, int status = 200) {
  work.start([exchange, status, task = std::move(task)] {
    try {
      task();
      exchange->send({status, "text/plain; charset=utf-8", "", {}});
    } catch (...) {
      exchange->send(error_response(exchange->request(), current_error()));
    }
  });
}

void copy(Service& service, StoreWork& work, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Fields fields(body);
  const store::ModelName from = store::parse_name(fields.string("source", 512).value_or("")), to = store::parse_name(fields.string("destination", 512).value_or(""));
  service.catalog.check_storable(to.shortest());
  run_quietly(work, exchange, [from, to, &work] {
    store::Library library;
    store::copy_model(library, from, to, {{}, [&work] { return work.stopping(); }});
  });
}

void remove(Service& service, StoreWork& work, const Exchange& exchange) {
  const Json body = parse_body(exchange->request().body);
  const store::ModelName given = store::parse_name(model_name(Fields(body)));
  service.catalog.check_storable(given.shortest());
  run_quietly(work, exchange, [given, &service] {
    store::Library library;
    const auto found = library.find(given);
    const store::ModelName name = found ? *found : library.open(given).name;  // which says what is near
    service.pool.expire(name.shortest());
    store::remove_model(library, name);
    library.own().prune();
  });
}

// The last part of /api/blobs/DIGEST; some clients write "sha256:" twice.
std::string_view digest_in(const http::Request& request) {
  std::string_view digest = std::string_view(request.path).substr(std::string_view("/api/blobs/").size());
  if (digest.starts_with("sha256:sha256:")) digest.remove_prefix(std::string_view("sha256:").size());
  return digest;
}

std::string checked_digest(const Exchange& exchange) {
  const std::string digest(digest_in(exchange->request()));
  if (!store::is_digest(digest)) throw Error(ErrorCode::kInvalidInput, "digest", "expected sha256: and 64 hexadecimal digits");
  return digest;
}

void has_blob(const Exchange& exchange) {
  const std::string digest = checked_digest(exchange);
  std::error_code error;
  if (!fs::is_regular_file(store::Library().own().blob_path(digest), error)) throw Error(ErrorCode::kNotFound, "digest", fmt::format("there is no blob {}", digest));
  exchange->send({200, "text/plain; charset=utf-8", "", {}});
}

void add_blob(StoreWork& work, const Exchange& exchange) {
  const auto upload = std::dynamic_pointer_cast<BlobUpload>(exchange->request().sink);
  HONE_CHECK(upload, "blobs are sent into an upload");
  if (upload->failure()) throw *upload->failure();
  run_quietly(work, exchange, [upload] { upload->finish(); }, /*status=*/201);
}

// What Content-Length says; the transport has checked that it is a number, or that there is none.
uint64_t announced(const http::Request& request) {
  const std::string_view text = request.header("content-length");
  uint64_t bytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), bytes);
  return bytes;
}

}  // namespace

void StoreWork::start(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  for (auto it = running_.begin(); it != running_.end();) {
    if (!it->done) {
      ++it;
      continue;
    }
    it->thread.join();
    it = running_.erase(it);
  }
  if (stopping_) throw Error(ErrorCode::kBusy, "server", "the server is stopping", "try again later");
  if (running_.size() >= kMaxWork) throw Error(ErrorCode::kBusy, "store", fmt::format("{} changes of the store are going on", running_.size()), "try again later");
  Running& one = running_.emplace_back();
  try {
    one.thread = std::thread([&one, work = std::move(work)]() mutable {
      try {
        work();
      } catch (...) {
        // It answers for itself; where even that failed, the exchange ends the connection.
      }
      work = nullptr;  // lets go of the exchange
      one.done = true;
    });
  } catch (const std::system_error& error) {
    running_.pop_back();
    throw Error(ErrorCode::kBusy, "store", fmt::format("no further thread can be started: {}", error.code().message()), "try again later");
  }
}

void StoreWork::finish() {
  stop();
  const std::lock_guard lock(mutex_);
  for (Running& one : running_) one.thread.join();
  running_.clear();
}

void add_store_routes(http::Router& router, Service& service, StoreWork& work) {
  const auto add = [&](const char* method, const char* path, http::Router::Route route) { add_route(router, method, path, http::Role::kAdmin, std::move(route)); };
  add("POST", "/api/pull", [&service, &work](const Exchange& exchange) { transfer(service, work, exchange, /*pull=*/true); });
  add("POST", "/api/push", [&service, &work](const Exchange& exchange) { transfer(service, work, exchange, /*pull=*/false); });
  add("POST", "/api/create", [&service, &work](const Exchange& exchange) { create(service, work, exchange); });
  add("POST", "/api/copy", [&service, &work](const Exchange& exchange) { copy(service, work, exchange); });
  add("DELETE", "/api/delete", [&service, &work](const Exchange& exchange) { remove(service, work, exchange); });
  add("GET", "/api/blobs/*", has_blob);
  add_route(router, "POST", "/api/blobs/*", http::Role::kAdmin, [&work](const Exchange& exchange) { add_blob(work, exchange); },
            [limit = service.max_blob_bytes, open = std::make_shared<std::atomic<int>>(0)](const http::Request& request) {
              return std::make_shared<BlobUpload>(std::string(digest_in(request)), announced(request), limit, open);
            });
}

}  // namespace hone::serve::ollama
