// The prompt that asks for what stands in a gap.
#include "serve/models/infill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "io/gguf_writer.h"
#include "serve/model_files.h"

namespace hone::serve {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

class InfillTest : public testing::Test {
 protected:
  // A model of bytes with two special tokens for chats and `specials` behind them, which are 258, 259 …
  recipes::ModelFiles model(const std::string& specials) const {
    const fs::path file = folder_.path() / "gap.gguf";
    const std::string command =
        fmt::format("'{}' '{}' f32 llama 1 chatml '' '<|im_end|>' {}", HONE_TINY_MODEL, file.string(), specials);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return recipes::open_model(file.string(), "", recipes::TemplateChoice::kStored);
  }
  // The same file with further metadata.
  recipes::ModelFiles with(const recipes::ModelFiles& files, const io::GgufMetadata& more) const {
    const io::Gguf& gguf = *files.source->gguf();
    io::GgufMetadata metadata(gguf.metadata().begin(), gguf.metadata().end());
    metadata.insert(metadata.end(), more.begin(), more.end());
    std::vector<io::GgufEntry> entries;
    std::vector<Tensor> tensors;
    for (const std::string& name : gguf.tensor_names()) {
      tensors.push_back(gguf.tensor(name));
      entries.push_back({name, tensors.back().dtype(), tensors.back().shape()});
    }
    const fs::path file = folder_.path() / "named.gguf";
    io::GgufWriter writer(file, metadata, entries);
    for (const Tensor& tensor : tensors) writer.write(tensor.raw(), tensor.bytes());
    writer.finish();
    return recipes::open_model(file.string(), "", recipes::TemplateChoice::kStored);
  }
  static bool ends(const Infill& gap, int32_t id) {
    return std::find(gap.stop_ids.begin(), gap.stop_ids.end(), id) != gap.stop_ids.end();
  }
  // The keys of three tokens.
  static io::GgufMetadata keys(std::array<const char*, 3> names, std::array<int64_t, 3> ids) {
    io::GgufMetadata metadata;
    for (size_t i = 0; i < names.size(); ++i)
      metadata.emplace_back(fmt::format("tokenizer.ggml.{}_token_id", names[i]), ids[i]);
    return metadata;
  }

  ModelFolder folder_;
};

TEST_F(InfillTest, KnowsFamiliesByTheirTokens) {
  for (const char* names : {"'<|fim_prefix|>' '<|fim_suffix|>' '<|fim_middle|>'",
                            "'<fim_prefix>' '<fim_suffix>' '<fim_middle>'",
                            "'<｜fim▁begin｜>' '<｜fim▁hole｜>' '<｜fim▁end｜>'"}) {
    const recipes::ModelFiles files = model(names);
    const int32_t first = *files.tokenizer.token_id("<|im_end|>") + 1;
    const Infill gap = infill(files, "gap", "a", "b", "suffix");
    EXPECT_EQ(gap.prompt, (Ids{first, 'a', first + 1, 'b', first + 2})) << names;
    for (int32_t mark : {first, first + 1, first + 2}) EXPECT_TRUE(ends(gap, mark)) << names;
    EXPECT_TRUE(ends(gap, *files.tokenizer.token_id("<|im_end|>")));
  }
}

TEST_F(InfillTest, ReadsTheTokensThatAGgufFileNames) {
  const recipes::ModelFiles files = model("'[before]' '[behind]' '[gap]' '[file]'");
  const int32_t first = *files.tokenizer.token_id("[before]");
  for (const std::array<const char*, 3>& names :
       {std::array{"fim_pre", "fim_suf", "fim_mid"}, std::array{"prefix", "suffix", "middle"}}) {
    io::GgufMetadata metadata = keys(names, {first, first + 1, first + 2});
    metadata.emplace_back("tokenizer.ggml.fim_sep_token_id", int64_t{first + 3});
    const Infill gap = infill(with(files, metadata), "gap", "a", "[gap]b", "suffix");
    const Ids wanted = {first, 'a', first + 1, '[', 'g', 'a', 'p', ']', 'b', first + 2};
    EXPECT_EQ(gap.prompt, wanted) << "marks in the text are text";
    EXPECT_TRUE(ends(gap, first + 3));
  }
  const recipes::ModelFiles wrong = with(files, keys({"fim_pre", "fim_suf", "fim_mid"}, {first, first + 1, 1 << 20}));
  EXPECT_EQ(code_of([&] { infill(wrong, "gap", "a", "b", "suffix"); }), ErrorCode::kUnsupported)
      << "no token of this vocabulary";
}

TEST_F(InfillTest, OtherModelsFillNoGaps) {
  const recipes::ModelFiles files = model("'<|other|>'");
  EXPECT_EQ(code_of([&] { infill(files, "gap", "a", "b", "suffix"); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace hone::serve
