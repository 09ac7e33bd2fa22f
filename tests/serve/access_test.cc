// What every server is set up with: who may ask, and the pages' files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "serve/api/access.h"
#include "serve/api/assets.h"

namespace hone::serve {
namespace {

int status(const http::Router& router, const std::string& path, const std::string& host, const std::string& key = "") {
  http::Request request;
  request.method = "GET";
  request.path = request.target = path;
  request.headers = {{"host", host}};
  if (!key.empty()) request.headers.emplace_back("x-api-key", key);
  const auto refused = router.admit(request);
  return refused ? refused->status : 200;
}

TEST(Access, AddressesOfOthersNeedKeys) {
  Access access;
  for (const char* mine : {"127.0.0.1", "localhost", "::1"}) EXPECT_NO_THROW(make_router(mine, access)) << mine;
  access.remedy = "lock the door";
  for (const char* open : {"0.0.0.0", "::", "10.0.0.1", "box"}) {
    try {
      make_router(open, access);
      ADD_FAILURE() << open;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_EQ(error.where(), open);
      EXPECT_EQ(error.hint(), "lock the door");
    }
  }
  access.insecure = true;
  EXPECT_NO_THROW(make_router("0.0.0.0", access));
}

TEST(Access, KeysAndHosts) {
  const std::string file = testing::TempDir() + "access_test_keys-" + std::to_string(::getpid());
  std::FILE* out = std::fopen(file.c_str(), "w");
  ASSERT_NE(out, nullptr);
  std::fputs("infer 0123456789abcdef\n", out);
  std::fclose(out);
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  Access access;
  access.hosts = {"Box.Example"};
  http::Router open = make_router("127.0.0.1", access);
  add_asset_routes(open, "chat");
  EXPECT_EQ(status(open, "/", "localhost:1"), 200);
  EXPECT_EQ(status(open, "/", "BOX.example"), 200);
  EXPECT_EQ(status(open, "/", "evil.example"), 421);
  access.key_file = file;
  http::Router closed = make_router("0.0.0.0", access);
  add_asset_routes(closed, "chat");
  EXPECT_EQ(status(closed, "/web/page/page.js", "localhost"), 401);
  EXPECT_EQ(status(closed, "/web/page/page.js", "localhost", "0123456789abcdef"), 200);
  EXPECT_EQ(std::remove(file.c_str()), 0);
}

TEST(Access, ACertificateNeedsItsKey) {
  const http::Router router = make_router("127.0.0.1", {});
  http::ServerOptions options;
  options.port = 0;
  EXPECT_NO_THROW(make_server(options, router));
  options.tls_certificate = "certificate.pem";
  EXPECT_THROW(make_server(options, router), Error);
}

TEST(Assets, EveryPageHasWhatItLoads) {
  http::Router nowhere = make_router("127.0.0.1", {});
  add_asset_routes(nowhere);
  EXPECT_EQ(status(nowhere, "/", "localhost"), 404);
  for (const char* page : {"chat", "panel", "review", "rating"}) {
    http::Router router = make_router("127.0.0.1", {});
    add_asset_routes(router, page);
    EXPECT_EQ(status(router, "/", "localhost"), 200);
    const std::string index = asset_response(std::string(page) + "/index.html").body;
    size_t links = 0;
    for (size_t at = 0; (at = index.find("\"/web/", at)) != std::string::npos; ++links) {
      const std::string name = index.substr(at + 6, index.find('"', at + 1) - at - 6);
      EXPECT_NE(find_asset(name), nullptr) << page << ": " << name;
      EXPECT_EQ(status(router, "/web/" + name, "localhost"), 200);
      at += 6;
    }
    EXPECT_GE(links, 6u) << page;
  }
  EXPECT_THROW(asset_response("page/none.js"), Error);
}

TEST(Assets, WhatOthersWroteIsServedLikeTheRestWithItsLicence) {
  const std::pair<const char*, const char*> files[] = {{"uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8"}, {"uplot/uPlot.min.css", "text/css; charset=utf-8"}, {"page/licenses.txt", "text/plain; charset=utf-8"}};
  const http::Response ours = asset_response("panel/chart.js");
  for (const auto& [name, type] : files) {
    const http::Response answer = asset_response(name);
    EXPECT_EQ(answer.status, 200) << name;
    EXPECT_EQ(answer.type, type) << name;
    EXPECT_EQ(answer.headers, ours.headers) << name;
  }
  EXPECT_EQ(asset_response("uplot/uPlot.iife.min.js").body.find("/*! https://github.com/leeoniya/uPlot (v"), 0u);
  const std::string licences = asset_response("page/licenses.txt").body;
  for (const char* part : {"uPlot 1.", "MIT License", "Copyright (c)", "Permission is hereby granted", "THE SOFTWARE IS PROVIDED \"AS IS\""}) EXPECT_NE(licences.find(part), std::string::npos) << part;
  EXPECT_NE(asset_response("panel/index.html").body.find("href=\"/web/page/licenses.txt\""), std::string::npos);
}

}  // namespace
}  // namespace hone::serve
