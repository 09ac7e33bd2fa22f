// docs/formats.md holds the very tables that the readers consult. HONE_WRITE_DOCS=1 writes them into it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "io/atomic_file.h"
#include "models/format_keys.h"
#include "serve/api/request_keys.h"
#include "text/tokenizer_config.h"

namespace hone::serve {
namespace {

TEST(FormatsPage, HoldsTheTables) {
  const std::filesystem::path path = std::filesystem::path(HONE_SOURCE_DIR) / "docs" / "formats.md";
  const std::pair<const char*, KeyTable> tables[] = {{"config.json", models::config_keys()}, {"rope", models::rope_keys()}, {"generation_config.json", models::generation_keys()},
                                                     {"tokenizer_config.json", text::tokenizer_config_keys()}, {"gguf", models::gguf_keys()},
                                                     {"/v1/chat/completions", chat_completion_keys()}, {"/v1/completions", completion_keys()}, {"/v1/responses", response_keys()},
                                                     {"/v1/messages", message_keys()}, {"/api/chat", ollama_chat_keys()}, {"/api/generate", ollama_generate_keys()},
                                                     {"/v1/embeddings", embedding_keys()}, {"/api/embed", ollama_embed_keys()}, {"/api/create", ollama_create_keys()}};
  std::string page = read_file(path);
  const std::string before = page;
  for (const auto& [name, table] : tables) {
    const std::string mark = fmt::format("<!-- {} -->\n", name);
    const size_t begin = page.find(mark), end = page.find("<!-- end -->", begin);
    ASSERT_NE(begin, std::string::npos) << name;
    ASSERT_NE(end, std::string::npos) << name;
    page.replace(begin + mark.size(), end - begin - mark.size(), markdown(table));
    for (const KnownKey& key : table)
      for (const KnownKey& other : table) EXPECT_TRUE(&key == &other || key.name != other.name) << name << " has " << key.name << " twice";
  }
  if (std::getenv("HONE_WRITE_DOCS")) {
    io::write_file(path, page);
  } else {
    EXPECT_EQ(page, before) << "HONE_WRITE_DOCS=1 writes the page";
  }
}

}  // namespace
}  // namespace hone::serve
