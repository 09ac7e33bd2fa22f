// Whatever is thrown becomes an Error, in the words of each API.
#include "serve/api/errors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "serve/ollama/store_routes.h"

namespace hone::serve {
namespace {

template <class Thrown>
Error caught(Thrown thrown) {
  try {
    throw thrown;
  } catch (...) {
    return current_error();
  }
}

TEST(Errors, OfAnyException) {
  const Error own = caught(Error(ErrorCode::kNotFound, "model", "message", "hint"));
  EXPECT_EQ(own.code(), ErrorCode::kNotFound);
  EXPECT_EQ(own.hint(), "hint");
  EXPECT_EQ(caught(std::bad_alloc()).code(), ErrorCode::kOutOfMemory);
  const Error file = caught(std::filesystem::filesystem_error("x", "/secret/folder/weights.gguf", std::make_error_code(std::errc::permission_denied)));
  EXPECT_EQ(file.code(), ErrorCode::kIo);
  EXPECT_EQ(file.where(), "weights.gguf") << "clients are not told where files lie";
  EXPECT_EQ(caught(std::logic_error("odd")).message(), "odd");
  EXPECT_EQ(caught(5).code(), ErrorCode::kInternal);
}

TEST(Errors, InTheShapeOfEachApi) {
  const auto body = [](const char* path, int status) {
    http::Request request;
    request.path = path;
    return Json::parse(error_response(request, status, "why").body);
  };
  EXPECT_EQ(body("/api/chat", 400), Json::parse(R"({"error":"why"})"));
  EXPECT_EQ(body("/v1/chat/completions", 401)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(body("/v1/messagesx", 404)["error"]["type"], "invalid_request_error");
  for (const auto& [status, type] : std::initializer_list<std::pair<int, const char*>>{{400, "invalid_request_error"}, {401, "authentication_error"}, {403, "permission_error"},
                                                                                      {404, "not_found_error"}, {405, "invalid_request_error"}, {413, "request_too_large"}, {500, "api_error"}, {503, "overloaded_error"}}) {
    EXPECT_EQ(body("/v1/messages", status), (Json{{"type", "error"}, {"error", {{"type", type}, {"message", "why"}}}})) << status;
    EXPECT_EQ(body("/v1/messages/count_tokens", status)["error"]["type"], type);
  }
}

TEST(StoreWork, RunsSoMuchAndEnds) {
  ollama::StoreWork work;
  std::atomic<bool> go_on = false;
  std::atomic<int> ended = 0;
  int started = 0;
  EXPECT_THROW(
      for (; started < 100; ++started) work.start([&] {
        while (!go_on) std::this_thread::yield();
        ++ended;
      }),
      Error);
  EXPECT_EQ(started, 8);
  go_on = true;
  while (ended < started) std::this_thread::yield();
  for (int i = 0;; ++i) {
    try {
      work.start([] { throw std::runtime_error("that it did not answer"); });
      break;
    } catch (const Error&) {
      ASSERT_LT(i, 1000) << "ended work makes room";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  work.finish();
  EXPECT_THROW(work.start([] {}), Error);
}

}  // namespace
}  // namespace hone::serve
