// Names of models: of a command line, and of the store.
#include "serve/models/catalog.h"

#include <gtest/gtest.h>

#include <fstream>

#include "serve/model_files.h"
#include "io/safetensors_buffer.h"
#include "recipes/create.h"
#include "recipes/export_safetensors.h"
#include "serve/models/store_catalog.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names(const Catalog& catalog) {
  std::vector<std::string> list;
  for (const ModelEntry& entry : catalog.list()) list.push_back(entry.name);
  return list;
}

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() {
    ::setenv("HONE_MODELS", (folder_.path() / "store").c_str(), 1);
    ::unsetenv("OLLAMA_MODELS");
  }
  ~CatalogTest() override { ::unsetenv("HONE_MODELS"); }
  void create(const std::string& name, const std::string& from, const std::string& system) const {
    store::Library library;
    recipes::CreateOptions options;
    options.file.from = from;
    options.file.system = system;
    options.folder = folder_.path();
    recipes::create_model(library, store::parse_name(name), options);
  }

  ModelFolder folder_;
  const std::string file_ = folder_.model("Tiny model+1.gguf").string();
};

TEST_F(CatalogTest, NamesOfTheCommandLine) {
  const LocalCatalog catalog({file_, "mine=" + file_}, {}, {});
  EXPECT_EQ(names(catalog), (std::vector<std::string>{"Tiny-model-1", "mine"}));
  const ModelEntry entry = catalog.resolve("mine:latest");
  EXPECT_EQ(entry.name, "mine");
  EXPECT_EQ(entry.family, "llama");
  EXPECT_EQ(entry.context_length, 512);
  EXPECT_EQ(entry.digest.size(), 64u);
  EXPECT_EQ(entry.size, fs::file_size(file_));
  EXPECT_EQ(entry.weights, catalog.resolve("Tiny-model-1").weights) << "two names of one file share its weights";
  EXPECT_NE(entry.digest, catalog.resolve("Tiny-model-1").digest);
  try {
    catalog.resolve("mime");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(error.hint().find("mine"), std::string::npos);
  }
}

TEST_F(CatalogTest, AFolderMayHoldBuffersOfAnyType) {
  const recipes::ModelFiles files = recipes::open_model(file_, "", recipes::TemplateChoice::kStored);
  models::CausalLm model = models::CausalLm::load(*files.source, {});
  const fs::path folder = folder_.path() / "buffered";
  fs::create_directories(folder);
  recipes::write_merged_safetensors(folder, files, model, "f32");
  io::testing::add_buffer(folder / "model.safetensors", "model.position_ids");
  const LocalCatalog catalog({folder.string(), file_}, {}, {});
  EXPECT_EQ(catalog.resolve("buffered").parameter_count, catalog.resolve("Tiny-model-1").parameter_count);
}

TEST_F(CatalogTest, WhatCommandLinesMayNotSay) {
  const auto refused = [&](std::vector<std::string> models, std::vector<std::string> adapters, std::vector<std::string> templates) {
    return code_of([&] { LocalCatalog(models, adapters, templates); });
  };
  EXPECT_EQ(refused({"x=" + file_, "x:latest=" + file_}, {}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({"a b=" + file_}, {}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({"=" + file_}, {}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({std::string(200, 'x') + "=" + file_}, {}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({"x=" + file_ + ".none"}, {}, {}), ErrorCode::kNotFound);
  EXPECT_EQ(refused({"x=" + file_}, {"tuned"}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({}, {"tuned=" + folder_.path().string()}, {}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({"x=" + file_}, {"tuned=" + (folder_.path() / "none").string()}, {}), ErrorCode::kNotFound);
  EXPECT_EQ(refused({"x=" + file_}, {"tuned=" + folder_.path().string() + "@y"}, {}), ErrorCode::kNotFound);
  EXPECT_EQ(refused({"x=" + file_}, {}, {"chatml"}), ErrorCode::kInvalidInput);
  EXPECT_EQ(refused({"x=" + file_}, {}, {"y=chatml"}), ErrorCode::kNotFound);
  std::ofstream(folder_.path() / "bad.gguf") << "GGUF, but not really";
  EXPECT_EQ(refused({"x=" + (folder_.path() / "bad.gguf").string()}, {}, {}), ErrorCode::kInvalidInput);
}

TEST_F(CatalogTest, ADigestFollowsTheFile) {
  const ModelEntry before = describe_model("x", file_);
  EXPECT_EQ(describe_model("x", file_).digest, before.digest);
  fs::last_write_time(file_, fs::last_write_time(file_) - std::chrono::hours(1));
  const ModelEntry after = describe_model("x", file_);
  EXPECT_NE(after.digest, before.digest);
  EXPECT_NE(after.weights, before.weights);
  EXPECT_EQ(after.modified, before.modified - 3600);
}

TEST_F(CatalogTest, TheStoreIsReadAtEveryCall) {
  const LocalCatalog local({"mine=" + file_}, {}, {});
  const StoreCatalog catalog(local);
  EXPECT_EQ(names(catalog), std::vector<std::string>{"mine"});
  create("stored", file_, "be brief");
  EXPECT_EQ(names(catalog), (std::vector<std::string>{"mine", "stored:latest"}));
  const ModelEntry first = catalog.resolve("stored");
  EXPECT_EQ(first.system, "be brief");
  EXPECT_FALSE(first.manifest.empty());
  EXPECT_EQ(first.weights, catalog.resolve("stored:latest").weights);
  create("stored", file_, "be long");
  const ModelEntry second = catalog.resolve("stored");
  EXPECT_EQ(second.system, "be long");
  EXPECT_NE(second.digest, first.digest);
  EXPECT_EQ(second.weights, first.weights) << "other words, the same weights";
  store::Library library;
  store::remove_model(library, store::parse_name("stored"));
  EXPECT_EQ(code_of([&] { catalog.resolve("stored"); }), ErrorCode::kNotFound);
  EXPECT_EQ(names(catalog), std::vector<std::string>{"mine"});
}

TEST_F(CatalogTest, TheCommandLineHidesTheStore) {
  create("mine", file_, "of the store");
  const LocalCatalog local({"mine=" + file_}, {}, {});
  const StoreCatalog catalog(local);
  EXPECT_EQ(names(catalog), std::vector<std::string>{"mine"});
  EXPECT_EQ(catalog.resolve("mine").system, "");
  const LocalCatalog plain({"mine"}, {}, {});
  EXPECT_EQ(StoreCatalog(plain).resolve("mine").system, "of the store");
  create("mine", file_, "replaced");
  EXPECT_EQ(StoreCatalog(plain).resolve("mine").system, "replaced") << "a model named by its name in the store is what the store holds now";
}

TEST_F(CatalogTest, DamagedModelsOfTheStore) {
  create("stored", file_, "x");
  const store::StoredModel model = store::Library().open(store::parse_name("stored"));
  fs::permissions(model.weights, fs::perms::owner_all);
  fs::resize_file(model.weights, 100);
  const LocalCatalog none({}, {}, {});
  const StoreCatalog catalog(none);
  EXPECT_TRUE(names(catalog).empty());
  EXPECT_EQ(code_of([&] { catalog.resolve("stored"); }), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of([&] { catalog.resolve("../x"); }), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hone::serve
