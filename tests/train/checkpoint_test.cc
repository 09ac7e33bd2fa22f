// Checkpoints: whole and verified, or not there; damage of any file is found, and the checkpoint before it is taken.
#include "train/checkpoint.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"

namespace hone::train {
namespace {

namespace fs = std::filesystem;

class Checkpoints : public testing::Test {
 protected:
  Checkpoints() : folder_(fs::path(testing::TempDir()) / ("checkpoints-" + std::to_string(::getpid()) + "-" + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* name : {"a.lora_A.weight", "a.lora_B.weight"}) {
      std::vector<float> values;
      for (int i = 0; i < 12; ++i) values.push_back(static_cast<float>(i) * 0.25f - 1);
      parameters_.push_back(autograd::Variable::parameter(Tensor::from({3, 4}, std::span<const float>(values)), name).leaf());
    }
  }
  ~Checkpoints() override { fs::remove_all(folder_); }

  optim::AdamW optimizer() const {
    std::vector<optim::Parameter> list;
    for (const auto& leaf : parameters_) list.push_back({leaf->name, leaf->value, 1, 0.01f});
    return optim::AdamW(std::move(list), {});
  }
  // Moves every parameter, so that moments exist.
  void step(optim::AdamW& adamw, int64_t number) {
    const std::vector<float> slope(12, 0.1f * static_cast<float>(number));
    const std::vector<Tensor> gradients(parameters_.size(), Tensor::from({3, 4}, std::span<const float>(slope)));
    adamw.step(gradients, 0.01f, number);
  }
  std::vector<float> values() const {
    std::vector<float> all;
    for (const auto& leaf : parameters_) all.insert(all.end(), leaf->value.data<float>(), leaf->value.data<float>() + 12);
    return all;
  }
  static TrainState state_at(int64_t step) {
    TrainState state;
    state.step = step;
    state.tokens = 1000 * step;
    state.smoothed_loss = 0.1 + static_cast<double>(step) / 3;
    state.has_best = true;
    state.best_loss = 1.0 / 3;
    state.loader = {.epoch = 1, .position = 7, .row = 3, .fingerprint = 0xFFFFFFFFFFFFFFFFu};
    return state;
  }

  const fs::path folder_;
  Parameters parameters_;
};

TEST_F(Checkpoints, ComeBackToTheLastBit) {
  auto adamw = optimizer();
  step(adamw, 1);
  step(adamw, 2);
  CheckpointStore store(folder_, 2);
  store.save(state_at(2), parameters_, adamw);
  const std::vector<float> saved = values();
  step(adamw, 3);
  const std::vector<float> next = values();
  ASSERT_NE(saved, next);

  const auto found = store.newest_good();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->damaged.empty());
  auto again = optimizer();
  const TrainState state = CheckpointStore::load(found->folder, parameters_, again);
  EXPECT_EQ(values(), saved);
  EXPECT_EQ(state.step, 2);
  EXPECT_EQ(state.smoothed_loss, state_at(2).smoothed_loss);
  EXPECT_EQ(state.best_loss, 1.0 / 3);
  EXPECT_EQ(state.loader, state_at(2).loader);
  step(again, 3);
  EXPECT_EQ(values(), next) << "the moments came back as well";
}

TEST_F(Checkpoints, OnlyTheNewestAreKept) {
  const auto adamw = optimizer();
  CheckpointStore store(folder_, 2);
  for (const int64_t n : {0, 5, 10, 200}) store.save(state_at(n), parameters_, adamw);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "checkpoints")) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, testing::UnorderedElementsAre("step-00000010", "step-00000200"));
}

// Whatever happens to a byte of the newest checkpoint, it is named and the one before it taken.
TEST_F(Checkpoints, DamageOfAnyFileIsFound) {
  auto adamw = optimizer();
  step(adamw, 1);
  CheckpointStore store(folder_, 4);
  store.save(state_at(1), parameters_, adamw);
  step(adamw, 2);
  const fs::path newest = store.save(state_at(2), parameters_, adamw);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(newest)) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 4u);
  for (const fs::path& file : files) {
    const std::string whole = read_file(file);
    const auto write = [&](const std::string& bytes) { std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes; };
    std::vector<std::string> damages = {whole.substr(0, whole.size() - 2), "", whole + "x"};
    for (const size_t at : {size_t{0}, whole.size() / 2, whole.size() - 2}) {
      damages.push_back(whole);
      damages.back()[at] = static_cast<char>(damages.back()[at] ^ 0x11);
    }
    for (const std::string& damage : damages) {
      write(damage);
      const auto found = store.newest_good();
      ASSERT_TRUE(found) << file;
      EXPECT_EQ(found->folder.filename(), "step-00000001") << file;
      ASSERT_EQ(found->damaged.size(), 1u) << file;
      EXPECT_THAT(found->damaged[0], testing::HasSubstr("step-00000002"));
    }
    fs::remove(file);
    EXPECT_EQ(store.newest_good()->folder.filename(), "step-00000001") << file << " is gone";
    write(whole);
  }
  EXPECT_EQ(store.newest_good()->folder, newest);
}

TEST_F(Checkpoints, WhatAnInterruptedSaveLeftIsRemoved) {
  const auto adamw = optimizer();
  fs::path good;
  {
    CheckpointStore store(folder_, 2);
    good = store.save(state_at(3), parameters_, adamw);
  }
  const fs::path half = folder_ / "checkpoints" / ".partial-step-00000009";
  fs::create_directories(half);
  std::ofstream(half / "weights.safetensors") << "half";
  CheckpointStore store(folder_, 2);
  EXPECT_FALSE(fs::exists(half));
  EXPECT_EQ(store.newest_good()->folder, good);
}

TEST_F(Checkpoints, OfAnotherRunAreRefused) {
  auto adamw = optimizer();
  step(adamw, 1);
  CheckpointStore store(folder_, 2);
  const fs::path saved = store.save(state_at(1), parameters_, adamw);
  Parameters wider = {parameters_[0], autograd::Variable::parameter(Tensor::zeros({3, 5}, DType::kF32), "a.lora_B.weight").leaf()};
  Parameters renamed = {parameters_[0], autograd::Variable::parameter(Tensor::zeros({3, 4}, DType::kF32), "b.lora_B.weight").leaf()};
  for (const Parameters& other : {wider, renamed}) {
    std::vector<optim::Parameter> list;
    for (const auto& leaf : other) list.push_back({leaf->name, leaf->value, 1, 0});
    optim::AdamW moments(std::move(list), {});
    try {
      CheckpointStore::load(saved, other, moments);
      FAIL() << "it was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2) << "bad input, not a fault of hone";
      EXPECT_THAT(error.what(), testing::HasSubstr("lora_B.weight"));
    }
  }
}

TEST_F(Checkpoints, OneProcessWritesARun) {
  const RunLock lock(folder_);
  EXPECT_THROW(RunLock{folder_}, Error);
}

TEST_F(Checkpoints, AFolderIsReplacedAsAWhole) {
  const fs::path target = folder_ / "best", fresh = folder_ / "best.partial";
  for (const char* word : {"one", "two"}) {
    fresh_folder(fresh);
    std::ofstream(fresh / word) << word;
    replace_folder(fresh, target);
    EXPECT_TRUE(fs::exists(target / word));
    EXPECT_FALSE(fs::exists(fresh));
  }
  EXPECT_FALSE(fs::exists(target / "one"));
}

}  // namespace
}  // namespace hone::train
