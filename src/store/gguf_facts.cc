#include "store/gguf_facts.h"

#include <array>

namespace hone::store {
namespace {

// llama.cpp's numbers of general.file_type.
std::string file_type(int64_t number) {
  constexpr auto kTypes = std::to_array<std::pair<int64_t, std::string_view>>(
      {{0, "F32"},     {1, "F16"},     {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},   {8, "Q5_0"},    {9, "Q5_1"},    {10, "Q2_K"}, {11, "Q3_K_S"},
       {12, "Q3_K_M"}, {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"}, {18, "Q6_K"}, {32, "BF16"}});
  for (const auto& [id, name] : kTypes)
    if (id == number) return std::string(name);
  return "unknown";
}

}  // namespace

GgufFacts facts_of(const io::Gguf& gguf) {
  GgufFacts facts;
  facts.architecture = gguf.find_string("general.architecture").value_or("unknown");
  facts.quantization = file_type(gguf.find_int("general.file_type").value_or(-1));
  facts.context_length = gguf.find_int(facts.architecture + ".context_length").value_or(0);
  facts.embedding_length = gguf.find_int(facts.architecture + ".embedding_length").value_or(0);
  for (const std::string& name : gguf.tensor_names()) facts.parameters += static_cast<uint64_t>(gguf.tensor(name).elements());
  return facts;
}

ModelFacts model_facts(const io::Gguf& gguf) {
  const GgufFacts facts = facts_of(gguf);
  return {"gguf", facts.architecture, {facts.architecture}, human_count(facts.parameters), facts.quantization};
}

}  // namespace hone::store
