// Keys, hosts, origins, paths, routes.
#include <gtest/gtest.h>

#include "base/error.h"
#include "serve/http/router.h"

namespace hone::serve::http {
namespace {

Request request(std::string method, std::string path, std::vector<std::pair<std::string, std::string>> headers = {{"host", "localhost:1"}}) {
  Request made;
  made.method = std::move(method);
  made.path = made.target = std::move(path);
  made.headers = std::move(headers);
  return made;
}

TEST(Keys, RolesByKey) {
  const Keys keys = Keys::parse("# people\n infer  0123456789abcdef \r\nadmin 0123456789abcdeg\n\n", "keys");
  EXPECT_EQ(keys.role_of("0123456789abcdef"), Role::kInfer);
  EXPECT_EQ(keys.role_of("0123456789abcdeg"), Role::kAdmin);
  for (const char* wrong : {"", "0123456789abcde", "0123456789abcdeff", "infer"}) EXPECT_EQ(keys.role_of(wrong), Role::kNone) << wrong;
  for (const char* bad : {"", "# none", "infer short", "root 0123456789abcdef", "0123456789abcdef", "infer 0123456789 abcdef"}) EXPECT_THROW(Keys::parse(bad, "keys"), Error) << bad;
}

TEST(Keys, WhereRequestsCarryThem) {
  const auto key = [](const char* name, const char* value) { return key_of(request("GET", "/", {{name, value}})); };
  EXPECT_EQ(key("authorization", "Bearer abc"), "abc");
  EXPECT_EQ(key("authorization", "bearer  abc"), "abc");
  EXPECT_EQ(key("authorization", "Basic bWU6c2VjcmV0"), "secret");
  EXPECT_EQ(key("x-api-key", "abc"), "abc");
  for (const char* bad : {"", "Bearer", "Bearer ", "Basic ???", "Basic bWU=", "Digest abc"}) EXPECT_EQ(key("authorization", bad), std::nullopt) << bad;
}

TEST(Guard, HostNames) {
  EXPECT_EQ(host_name("LocalHost:11434"), "localhost");
  EXPECT_EQ(host_name("[::1]:80"), "::1");
  EXPECT_EQ(host_name("example.org."), "example.org");
  for (const char* bad : {"", ":80", "a b", "a:port", "[::1", "[::1]x", "a/b", "a:123456"}) EXPECT_EQ(host_name(bad), std::nullopt) << bad;
  for (const char* mine : {"localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"}) EXPECT_TRUE(is_loopback(mine)) << mine;
  for (const char* other : {"127.0.0.1.evil.example", "127.evil", "localhost.evil", "10.0.0.1", "0.0.0.0"}) EXPECT_FALSE(is_loopback(other)) << other;
}

TEST(Guard, HostsAndOrigins) {
  const auto asks = [](const char* host) { return request("GET", "/", {{"host", host}}); };
  const GuardOptions local, open{.loopback = false, .keys = false, .hosts = {"box"}, .origins = {"https://chat.example"}};
  EXPECT_EQ(wrong_host(asks("localhost:1"), local), "");
  EXPECT_NE(wrong_host(asks("evil.example"), local), "");
  EXPECT_NE(wrong_host(asks("10.0.0.1"), local), "");
  for (const char* own : {"0.0.0.0:11434", "0.0.0.0", "[::]:11434", "host.docker.internal:11434", "HOST.containers.internal"}) EXPECT_EQ(wrong_host(asks(own), local), "") << own;
  for (const char* other : {"0.0.0.0.evil.example", "10.0.0.0", "x.host.docker.internal", "docker.internal"}) EXPECT_NE(wrong_host(asks(other), local), "") << other;
  EXPECT_EQ(wrong_host(asks("10.0.0.1:5"), open), "");
  EXPECT_EQ(wrong_host(asks("BOX"), open), "");
  EXPECT_NE(wrong_host(asks("evil.example"), open), "");
  EXPECT_NE(wrong_host(request("GET", "/", {{"host", "localhost"}, {"host", "localhost"}}), local), "");
  const auto from = [](const char* origin, const GuardOptions& options, const char* host = "localhost:1") { return origin_allowed(request("GET", "/", {{"host", host}, {"origin", origin}}), options); };
  EXPECT_TRUE(from("http://localhost:3000", local));
  EXPECT_TRUE(from("http://[::1]:3000", local));
  for (const char* bad : {"null", "", "https://evil.example", "http://localhost.evil", "http://", "ftp://localhost", "chrome-extension://x", "https://app", "xapp://y", "app:", "http://app://x"}) EXPECT_FALSE(from(bad, local)) << bad;
  for (const char* desktop : {"app://obsidian.md", "app://.", "file://", "tauri://localhost", "vscode-webview://0b7k", "vscode-file://vscode-app", "http://0.0.0.0:8080"}) {
    EXPECT_TRUE(from(desktop, local)) << desktop;
    EXPECT_FALSE(from(desktop, open, "box")) << desktop << ": a server that others reach allows what it was told to";
  }
  const GuardOptions wild{.loopback = false, .keys = true, .hosts = {}, .origins = {"https://*.example.org", "chrome-extension://*", "http://LAN:*"}};
  for (const char* good : {"https://a.example.org", "https://a.b.example.org", "HTTPS://A.example.ORG", "chrome-extension://abc", "http://lan:3000"}) EXPECT_TRUE(from(good, wild, "box")) << good;
  for (const char* bad : {"https://example.org", "http://a.example.org", "https://a.example.org.evil", "https://a.example.org:8443", "http://lan", "null"}) EXPECT_FALSE(from(bad, wild, "box")) << bad;
  const GuardOptions anybody{.loopback = false, .keys = true, .hosts = {}, .origins = {"*"}};
  EXPECT_TRUE(from("https://anything.example", anybody, "box"));
  EXPECT_FALSE(from("http://localhost:3000", open, "box"));
  EXPECT_TRUE(from("http://box:1", open, "box:1"));
  EXPECT_TRUE(from("https://chat.example", open));
}

TEST(Message, Paths) {
  EXPECT_EQ(decode_path("/a%20b?c=%zz"), "/a b");
  EXPECT_EQ(decode_path("http://x:1/a"), "/a");
  EXPECT_EQ(decode_path("http://x"), "/");
  for (const char* bad : {"", "a", "*", "/%", "/%g0", "/%00", "/\n", "/%7f"}) EXPECT_EQ(decode_path(bad), std::nullopt) << bad;
}

TEST(Router, AdmitsByKeyPathAndMethod) {
  const auto refusal = [](const Request&, int status, const std::string& message) { return Response{status, "text/plain", message, {}}; };
  Router router({.keys = true, .hosts = {}, .origins = {}}, Keys::parse("infer 0123456789abcdef\nadmin 0123456789abcdeg", "keys"), refusal);
  const auto nothing = [](const std::shared_ptr<Exchange>&) {};
  router.add("GET", "/open", Role::kNone, nothing);
  router.add("POST", "/ask", Role::kInfer, nothing);
  router.add("DELETE", "/models/*", Role::kAdmin, nothing);
  const auto status = [&](const char* method, const char* path, const char* key) {
    Request asked = request(method, path, {{"host", "localhost"}, {"authorization", std::string("Bearer ") + key}});
    const auto refused = router.admit(asked);
    return refused ? refused->status : 200;
  };
  EXPECT_EQ(status("GET", "/open", ""), 200);
  EXPECT_EQ(status("HEAD", "/open", ""), 200);
  EXPECT_EQ(status("POST", "/ask", ""), 401);
  EXPECT_EQ(status("POST", "/ask", "wrong"), 401);
  EXPECT_EQ(status("POST", "/ask", "0123456789abcdef"), 200);
  EXPECT_EQ(status("GET", "/ask", "0123456789abcdef"), 405);
  EXPECT_EQ(status("DELETE", "/models/a/b", "0123456789abcdef"), 403);
  EXPECT_EQ(status("DELETE", "/models/a/b", "0123456789abcdeg"), 200);
  EXPECT_EQ(status("DELETE", "/models/", "0123456789abcdeg"), 404);
  EXPECT_EQ(status("GET", "/none", ""), 401);  // what is there is nobody's business without a key
  EXPECT_EQ(status("GET", "/none", "0123456789abcdef"), 404);
}

}  // namespace
}  // namespace hone::serve::http
