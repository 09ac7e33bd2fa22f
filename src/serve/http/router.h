// Which request goes where, and what every request must pass before.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "serve/http/guard.h"
#include "serve/http/server.h"

namespace hone::serve::http {

class Router {
 public:
  using Route = std::function<void(const std::shared_ptr<Exchange>&)>;
  using Refusal = Server::Refusal;
  /// Makes the sink for the body of an admitted request. Called on the io thread: it must return at once, and not throw.
  using BodyOpener = std::function<std::shared_ptr<BodySink>(const Request&)>;

  Router(GuardOptions guard, Keys keys, Refusal refusal) : guard_(std::move(guard)), keys_(std::move(keys)), refusal_(std::move(refusal)) {}

  /// `path` ending in "/*" takes everything below. A GET route answers HEAD too. Role::kNone: no key is asked for. With `open_body`,
  /// bodies go to a sink instead of memory.
  void add(std::string method, std::string path, Role role, Route route, BodyOpener open_body = {});

  /// Host, origin, key, path, method; for Server's Admission.
  std::optional<Response> admit(Request& request) const;
  /// Runs the route of an admitted request. What it throws is the caller's to answer.
  void dispatch(const std::shared_ptr<Exchange>& exchange) const;

 private:
  struct Entry {
    std::string method, path;
    Role role;
    Route route;
    BodyOpener open_body;
    bool takes(std::string_view wanted) const;
  };
  const Entry* find(const Request& request) const;
  Response allow_cross_origin(const Request& request) const;

  GuardOptions guard_;
  Keys keys_;
  Refusal refusal_;
  std::vector<Entry> entries_;
};

}  // namespace hone::serve::http
