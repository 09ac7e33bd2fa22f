// The history of runs.
#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>

#include "runs/run_store.h"

namespace hone::runs {
namespace {

std::vector<std::string> names(const std::vector<Run>& runs) {
  std::vector<std::string> out;
  for (const Run& run : runs) out.push_back(run.id);
  return out;
}

TEST(RunStore, ListsTheNewestOfOneKind) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("hone_runs_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  {
    RunStore store(folder / "runs.db");
    for (int i = 0; i < 2; ++i) store.start("tuned", "train", "folder", "");
    for (int i = 0; i < 3; ++i) store.start("judged", "eval", "folder", "");
    EXPECT_THAT(names(store.list(2)), testing::ElementsAre("judged-5", "judged-4"));
    EXPECT_THAT(names(store.list(2, "train")), testing::ElementsAre("tuned-2", "tuned-1")) << "the limit counts runs of this kind";
    EXPECT_THAT(names(store.list(1, "train")), testing::ElementsAre("tuned-2"));
    EXPECT_THAT(store.list(9, "none"), testing::IsEmpty());
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hone::runs
