// TensorBoard's event files, read back by a reader that shares nothing with the writer, against metrics.jsonl.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "recipes/run_folder.h"

namespace hone::recipes {
namespace {

namespace fs = std::filesystem;

// Bit by bit, as the polynomial is defined (reflected 0x1EDC6F41).
uint32_t slow_crc(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78 : 0);
  }
  return crc ^ 0xFFFFFFFF;
}

uint32_t unmasked(uint32_t masked) {
  const uint32_t rotated = masked - 0xA282EAD8;
  return (rotated << 15) | (rotated >> 17);
}

template <class T>
T take(std::string_view& bytes) {
  if (bytes.size() < sizeof(T)) throw std::runtime_error("the file ends early");
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

// A message's fields: number → (varint or fixed bits, bytes).
struct Field {
  uint64_t bits = 0;
  std::string_view bytes;
};
std::multimap<uint64_t, Field> fields_of(std::string_view message) {
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = take<uint8_t>(message);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  std::multimap<uint64_t, Field> fields;
  while (!message.empty()) {
    const uint64_t key = varint();
    Field field;
    if ((key & 7) == 0) field.bits = varint();
    else if ((key & 7) == 1) field.bits = take<uint64_t>(message);
    else if ((key & 7) == 5) field.bits = take<uint32_t>(message);
    else if ((key & 7) == 2) {
      const uint64_t size = varint();
      if (size > message.size()) throw std::runtime_error("a field is longer than its message");
      field.bytes = message.substr(0, size);
      message.remove_prefix(size);
    } else throw std::runtime_error("unknown wire type");
    fields.emplace(key >> 3, field);
  }
  return fields;
}

template <class To, class From>
To bits_as(From bits) {
  To value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct ReadEvent {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  bool session_start = false;
  std::map<std::string, float> values;
};

std::vector<ReadEvent> read_events(const fs::path& path) {
  const std::string file = read_file(path);
  std::string_view rest = file;
  std::vector<ReadEvent> events;
  while (!rest.empty()) {
    const std::string_view head = rest.substr(0, 8);
    const auto size = take<uint64_t>(rest);
    EXPECT_EQ(unmasked(take<uint32_t>(rest)), slow_crc(head));
    if (size > rest.size()) throw std::runtime_error("a record is longer than the file");
    const std::string_view data = rest.substr(0, size);
    rest.remove_prefix(size);
    EXPECT_EQ(unmasked(take<uint32_t>(rest)), slow_crc(data));
    ReadEvent& event = events.emplace_back();
    for (const auto& [number, field] : fields_of(data)) {
      if (number == 1) event.wall_time = bits_as<double>(field.bits);
      if (number == 2) event.step = static_cast<int64_t>(field.bits);
      if (number == 3) event.version = field.bytes;
      if (number == 7) event.session_start = fields_of(field.bytes).find(1)->second.bits == 1;
      if (number != 5) continue;
      for (const auto& [inner, value] : fields_of(field.bytes)) {
        const auto parts = fields_of(value.bytes);
        event.values[std::string(parts.find(1)->second.bytes)] = bits_as<float>(static_cast<uint32_t>(parts.find(2)->second.bits));
      }
    }
  }
  return events;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// What TensorBoard shows of a folder: a session's start voids the steps from its own on.
std::map<std::pair<std::string, int64_t>, float> shown(const fs::path& folder) {
  std::map<std::pair<std::string, int64_t>, float> values;
  for (const fs::path& file : files_in(folder))
    for (const ReadEvent& event : read_events(file)) {
      if (event.session_start) std::erase_if(values, [&](const auto& one) { return one.first.second >= event.step; });
      for (const auto& [tag, value] : event.values) values[{tag, event.step}] = value;
    }
  return values;
}

class TensorBoard : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    ::setenv("HONE_HOME", (folder_ / "home").c_str(), 1);
    config_.report_to = {"tensorboard"};
  }
  void TearDown() override {
    fs::remove_all(folder_);
    ::unsetenv("HONE_HOME");
  }
  static StepReport report(int64_t step, double salt) {
    StepReport r;
    r.step = step;
    r.epoch = static_cast<double>(step) / 7;
    r.loss = 3 / (static_cast<double>(step) + salt);
    r.smoothed = r.loss * 1.1;
    r.grad_norm = step == 3 ? NAN : 0.3 * static_cast<double>(step);
    r.learning_rate = 1e-4 / static_cast<double>(step);
    r.tokens_per_second = 1234.5;
    r.memory = uint64_t{3} << 30;
    return r;
  }
  // Every number of metrics.jsonl is shown, and nothing else.
  void expect_equal() const {
    const std::map<std::string, std::string> tags = {{"loss", "train/loss"}, {"smoothed_loss", "train/smoothed_loss"}, {"grad_norm", "train/grad_norm"}, {"learning_rate", "train/learning_rate"},
                                                     {"tokens_per_second", "train/tokens_per_second"}, {"memory", "train/memory"}, {"epoch", "train/epoch"}, {"validation_loss", "eval/loss"},
                                                     {"validation_accuracy", "eval/accuracy"}};
    auto values = shown(folder_ / "tensorboard");
    std::ifstream lines(folder_ / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line);
      for (const auto& [name, tag] : tags) {
        if (!json.contains(name)) continue;
        const auto it = values.find({tag, json["step"]});
        ASSERT_NE(it, values.end()) << tag << line;
        if (json[name].is_null()) EXPECT_TRUE(std::isnan(it->second)) << tag << line;
        else EXPECT_EQ(it->second, static_cast<float>(json[name].get<double>())) << tag << line;
        values.erase(it);
      }
    }
    EXPECT_TRUE(values.empty()) << values.begin()->first.first << " " << values.begin()->first.second;
  }

  Config config_;
  const fs::path folder_ = fs::temp_directory_path() / ("hone-tensorboard-" + std::to_string(::getpid()));
};

TEST(Crc32c, HasItsPublishedCheckValues) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

TEST_F(TensorBoard, HoldsWhatMetricsHold) {
  {
    RunFolder run(folder_, config_, "", 0);
    for (int64_t step = 1; step <= 5; ++step) run.add(report(step, 0));
    run.add(ValidationReport{5, 0.75, 0.5, true});
    // Nothing waits in the program: what a kill -9 leaves is what is there now.
    EXPECT_EQ(read_events(files_in(folder_ / "tensorboard").at(0)).size(), 7u);
  }
  const auto files = files_in(folder_ / "tensorboard");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].filename().string().starts_with("events.out.tfevents.1")) << files[0];
  const auto events = read_events(files[0]);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  for (const ReadEvent& event : events) EXPECT_NEAR(event.wall_time, static_cast<double>(std::time(nullptr)), 60);
  expect_equal();
}

TEST_F(TensorBoard, GoesOnAfterAResume) {
  {
    RunFolder run(folder_, config_, "", 0);
    for (int64_t step = 1; step <= 6; ++step) run.add(report(step, 0));
  }
  for (const int64_t resumed : {4, 4, 5}) {  // three times within a second: the names still sort
    RunFolder run(folder_, config_, "", resumed);
    for (int64_t step = resumed + 1; step <= 7; ++step) run.add(report(step, 0.5));
  }
  EXPECT_EQ(files_in(folder_ / "tensorboard").size(), 4u);
  expect_equal();
  {
    RunFolder run(folder_, config_, "", 0);
    run.add(report(1, 2));
  }
  EXPECT_EQ(files_in(folder_ / "tensorboard").size(), 1u) << "a new run begins with new files";
  expect_equal();
}

TEST_F(TensorBoard, IsNotThereUnlessAskedFor) {
  config_.report_to.clear();
  RunFolder run(folder_, config_, "", 0);
  run.add(report(1, 0));
  EXPECT_FALSE(fs::exists(folder_ / "tensorboard"));
}

}  // namespace
}  // namespace hone::recipes
