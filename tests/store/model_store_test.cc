// One folder of models: what is written is whole, what is used is kept, what is unused goes, and nothing happens elsewhere.
#include "store/model_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "io/atomic_file.h"
#include "store/digest.h"
#include "store/library.h"

namespace hone::store {
namespace {

namespace fs = std::filesystem;

class StoreTest : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }

  // A model with these weights and this system message.
  void put(const std::string& name, const std::string& weights, const std::string& system) {
    const WriteLease lease = store_.lease();
    Manifest manifest;
    manifest.layers = {store_.add(lease, media::kModel, weights), store_.add(lease, media::kSystem, system)};
    manifest.config = store_.add(lease, media::kConfig, to_json(ModelFacts{"gguf", "llama", {}, "1M", "F32"}, manifest.layers));
    store_.put(lease, parse_name(name), to_json(manifest));
  }
  size_t blobs() const { return static_cast<size_t>(std::distance(fs::directory_iterator(root_ / "blobs"), fs::directory_iterator())); }

  const fs::path root_ = fs::temp_directory_path() / ("hone-store-" + std::to_string(::getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
  ModelStore store_{root_};
};

TEST_F(StoreTest, KeepsWhatItIsGiven) {
  put("a:1", "weights", "be brief");
  put("me/b", "weights", "be long");
  const std::vector<ModelName> names = store_.names();
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0].shortest(), "a:1");
  const StoredModel model = open_stored(store_, names[0]);
  EXPECT_EQ(read_file(model.weights), "weights");
  EXPECT_EQ(model.system, "be brief");
  EXPECT_EQ(model.facts.family, "llama");
  EXPECT_EQ(model.id, digest_of(read_file(model.manifest_file)).substr(7));
  EXPECT_EQ(blobs(), 5u) << "equal weights are one blob";
}

TEST_F(StoreTest, NamesMayDifferInCase) {
  put("Acme/Triage:Q4", "weights", "one");
  Library library({store_});
  EXPECT_EQ(library.open(parse_name("acme/triage:q4")).system, "one");
  EXPECT_EQ(library.find(parse_name("acme/triage")), std::nullopt) << "another tag";
  put("acme/triage:q4", "weights", "two");
  EXPECT_EQ(library.open(parse_name("acme/triage:q4")).system, "two") << "the very name comes first";
  EXPECT_EQ(library.open(parse_name("Acme/Triage:Q4")).system, "one");
  remove_model(library, parse_name("ACME/TRIAGE:q4"));
  remove_model(library, parse_name("ACME/TRIAGE:q4"));
  EXPECT_TRUE(store_.names().empty());
}

TEST_F(StoreTest, PrunesWhatNobodyUses) {
  put("a", "weights", "one");
  put("b", "weights", "two");
  store_.remove(parse_name("a"));
  EXPECT_EQ(store_.prune().files, 2u) << "the system message and the config";
  EXPECT_EQ(open_stored(store_, parse_name("b")).system, "two");
  store_.remove(parse_name("b"));
  EXPECT_EQ(store_.prune().files, 3u);
  EXPECT_TRUE(fs::is_empty(root_ / "manifests"));
  EXPECT_THROW(store_.remove(parse_name("b")), Error);
}

TEST_F(StoreTest, PrunesOnlyWhileNobodyAdds) {
  put("a", "weights", "one");
  {
    const WriteLease lease = store_.lease();
    const Layer layer = store_.add(lease, media::kModel, "not named yet");
    EXPECT_FALSE(store_.prune().skipped.empty());
    EXPECT_TRUE(store_.has_blob(layer));
  }
  EXPECT_EQ(store_.prune().files, 1u);
}

TEST_F(StoreTest, PrunesNothingBesideADamagedManifest) {
  put("a", "weights", "one");
  put("b", "other", "two");
  std::ofstream(store_.manifest_path(parse_name("b"))) << "{\"config\":";
  store_.remove(parse_name("a"));
  const size_t before = blobs();
  const Pruned pruned = store_.prune();
  EXPECT_TRUE(pruned.damaged);
  EXPECT_NE(pruned.skipped.find(store_.manifest_path(parse_name("b")).string()), std::string::npos) << pruned.skipped;
  EXPECT_NE(pruned.skipped.find("hone rm b:latest"), std::string::npos) << pruned.skipped;
  EXPECT_EQ(blobs(), before);
  store_.remove(parse_name("b"));
  EXPECT_EQ(store_.prune().files, before) << "as the remedy says";
}

TEST_F(StoreTest, TakesNoTemporaryFileForAManifest) {
  put("a", "weights", "one");
  const fs::path folder = store_.manifest_path(parse_name("a")).parent_path();
  // What a killed process left: a manifest cut off, a whole one, and one under the name that older versions gave it.
  const std::string whole = read_file(folder / "latest");
  std::ofstream(folder / ".latest.partial-12-1") << whole.substr(0, 40);
  std::ofstream(folder / ".v2.partial-12-2") << whole;
  std::ofstream(folder / "latest.partial-12-3") << whole.substr(0, 40);
  EXPECT_EQ(store_.names().size(), 1u);
  EXPECT_EQ(Library({store_}).list().size(), 1u);
  store_.remove(parse_name("a"));
  const Pruned pruned = store_.prune();
  EXPECT_EQ(pruned.skipped, "");
  EXPECT_EQ(pruned.files, 6u) << "three left-over files, and all blobs";
  EXPECT_TRUE(fs::is_empty(root_ / "manifests"));
}

TEST_F(StoreTest, NeverWritesUnderANameOfItsKind) {
  EXPECT_EQ(try_name("a:latest.partial-12-3"), std::nullopt);
  EXPECT_NE(try_name("a:v1.partial-results"), std::nullopt);
  put("a", "weights", "one");
  const fs::path folder = store_.manifest_path(parse_name("a")).parent_path();
  io::AtomicFile file(folder / "v2");
  file.write("half of it");
  EXPECT_EQ(store_.names().size(), 1u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 2);
}

TEST_F(StoreTest, RefusesAManifestWithoutLayers) {
  put("a", "weights", "one");
  const WriteLease lease = store_.lease();
  Manifest manifest = store_.manifest(parse_name("a"));
  manifest.layers.clear();
  EXPECT_THROW(store_.put(lease, parse_name("b"), to_json(manifest)), Error);
}

TEST_F(StoreTest, RemovesWhatKilledProcessesLeft) {
  put("a", "weights", "one");
  std::ofstream(root_ / "blobs" / "incoming-1.partial-99") << "x";
  std::ofstream(root_ / "blobs" / ("sha256-" + std::string(64, 'a') + "-unfinished")) << "a download to go on with";
  std::ofstream(root_ / "blobs" / "someone-elses-file") << "x";
  EXPECT_EQ(store_.prune().files, 1u);
  fs::last_write_time(root_ / "blobs" / ("sha256-" + std::string(64, 'a') + "-unfinished"), fs::file_time_type::clock::now() - std::chrono::hours(24 * 8));
  EXPECT_EQ(store_.prune().files, 1u) << "given up after a week";
  EXPECT_TRUE(fs::exists(root_ / "blobs" / "someone-elses-file"));
}

TEST_F(StoreTest, RefusesToPublishWhatIsNotThere) {
  const WriteLease lease = store_.lease();
  Manifest manifest;
  manifest.config = {"c", digest_of("never added"), 11};
  EXPECT_THROW(store_.put(lease, parse_name("a"), to_json(manifest)), Error);
  EXPECT_FALSE(store_.has(parse_name("a")));
}

TEST_F(StoreTest, FollowsNoLinkOutOfTheFolder) {
  put("a", "weights", "one");
  const fs::path outside = root_.string() + "-outside";
  fs::create_directories(outside / "x");
  std::ofstream(outside / "x" / "latest") << "precious";
  fs::create_directory_symlink(outside, root_ / "manifests" / "registry.ollama.ai" / "evil");
  EXPECT_THROW(put("evil/x", "w", "s"), Error);
  EXPECT_THROW(store_.remove(parse_name("evil/x")), Error);
  EXPECT_EQ(read_file(outside / "x" / "latest"), "precious");
  fs::remove_all(outside);
}

TEST_F(StoreTest, ReadOnlyIsReadOnly) {
  put("a", "weights", "one");
  ModelStore other(root_, /*read_only=*/true);
  EXPECT_EQ(open_stored(other, parse_name("a")).system, "one");
  EXPECT_THROW(other.lease(), Error);
  EXPECT_THROW(other.remove(parse_name("a")), Error);
  EXPECT_THROW(other.prune(), Error);
  EXPECT_FALSE(fs::exists(ModelStore(root_ / "nowhere").root()));
  EXPECT_TRUE(ModelStore(root_ / "nowhere").names().empty());
}

TEST_F(StoreTest, SaysWhatIsDamaged) {
  put("a", "weights", "one");
  const StoredModel model = open_stored(store_, parse_name("a"));
  fs::resize_file(model.weights, 3);
  EXPECT_THROW(open_stored(store_, parse_name("a")), Error);
  const Library library({store_});
  ASSERT_EQ(library.list().size(), 1u);
  EXPECT_NE(library.list()[0].damage, "");
}

TEST_F(StoreTest, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this, t] {
      for (int i = 0; i < 20; ++i) {
        put(fmt::format("t/m{}", t), "shared", fmt::format("{} {}", t, i));
        store_.prune();
        EXPECT_EQ(open_stored(store_, parse_name(fmt::format("t/m{}", t))).system, fmt::format("{} {}", t, i));
        if (i % 3 == 2) store_.remove(parse_name(fmt::format("t/m{}", t)));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) EXPECT_EQ(open_stored(store_, parse_name(fmt::format("t/m{}", t))).system, fmt::format("{} 19", t));
  store_.prune();
  EXPECT_EQ(blobs(), 9u) << "one of weights, a message and a config each";
}

}  // namespace
}  // namespace hone::store
