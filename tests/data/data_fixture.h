// Shared by the data tests: a temporary folder, and an encoder whose tokens are bytes.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "data/encoder.h"
#include "data/loader.h"

namespace hone::data {

/// A folder that is removed with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hone-data-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw Error(ErrorCode::kIo, pattern, "cannot make a folder");
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Token 3 + b is byte b; 1 begins, 2 ends. A turn is rendered as <role> content eos, the role as one token (300 system,
/// 301 user, 302 assistant, 303 tool), and the assistant's content and eos are its words.
class ByteEncoder : public Encoder {
 public:
  static constexpr int32_t kBos = 1, kEos = 2;
  bool with_template = true, mark_assistant = true;
  std::string refused;  // a content that the template refuses

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(3 + static_cast<unsigned char>(c));
    return ids;
  }
  std::vector<EncodedChat> encode_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json&) const override {
    EncodedChat chat;
    chat.ids = {kBos};
    chat.weights = {0};
    for (const auto& message : messages) {
      const auto role = message["role"].get<std::string>();
      const auto content = message["content"].get<std::string>();
      if (!refused.empty() && content == refused) throw Error(ErrorCode::kInvalidInput, "template", "refused");
      const bool assistant = role == "assistant";
      chat.ids.push_back(role == "system" ? 300 : role == "user" ? 301 : assistant ? 302 : 303);
      for (const int32_t id : encode(content)) chat.ids.push_back(id);
      chat.ids.push_back(kEos);
      chat.weights.push_back(0);
      chat.weights.insert(chat.weights.end(), content.size() + 1, assistant && mark_assistant ? message.value("weight", 1.0f) : 0.0f);
    }
    return {chat};
  }
  EncodedChat encode_whole_chat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools) const override {
    auto marked = messages;
    for (auto& message : marked) message.erase("weight");
    EncodedChat chat = encode_chat(marked, tools).front();
    for (const float weight : chat.weights) chat.answers.push_back(weight > 0);
    chat.weights.assign(chat.ids.size(), 1.0f);
    size_t at = 1;
    for (const auto& message : messages) {
      const size_t end = at + 2 + message["content"].get<std::string>().size();
      if (message["role"] == "assistant") std::fill(chat.weights.begin() + static_cast<long>(at) + 1, chat.weights.begin() + static_cast<long>(end), message.value("weight", 1.0f));
      at = end;
    }
    return chat;
  }
  bool has_chat_template() const override { return with_template; }
  std::optional<int32_t> bos() const override { return kBos; }
  std::optional<int32_t> eos() const override { return kEos; }
  bool ends_answer(std::span<const int32_t> ids) const override { return !ids.empty() && ids.back() == kEos; }
  std::string describe(int32_t id) const override {
    return id >= 3 && id < 259 ? std::string(1, static_cast<char>(id - 3)) : "<" + std::to_string(id) + ">";
  }
};

inline std::shared_ptr<ByteEncoder> byte_encoder() { return std::make_shared<ByteEncoder>(); }

/// The words of a token sequence.
inline std::string words(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += ByteEncoder().describe(id);
  return text;
}

/// Runs `body`, which must throw an Error of kind `code` whose text holds every one of `parts`.
template <class Body>
void expect_error(ErrorCode code, const std::vector<std::string>& parts, Body body) {
  try {
    body();
    FAIL() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "\"" << part << "\" is not in: " << error.what();
    }
    EXPECT_FALSE(error.where().empty()) << error.what();
  }
}

}  // namespace hone::data
