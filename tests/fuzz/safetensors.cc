// A safetensors file: its header and every tensor. Bytes that begin with { are a header alone, whose length and data are put around it.
#include <cstring>

#include "fuzz/target.h"
#include "io/safetensors.h"

namespace hone::fuzz {
namespace {

void run_safetensors(const uint8_t* data, size_t size) {
  std::string bytes(text_of(data, size));
  if (bytes.starts_with('{')) {
    const uint64_t header = bytes.size();
    bytes.insert(0, sizeof header, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.append(64, '\0');
  }
  const MemoryFile file(bytes);
  const auto tensors = io::Safetensors::open(file.path());
  for (const std::string& name : tensors.names())
    part([&] {
      const Tensor tensor = tensors.tensor(name);
      const auto* first = static_cast<const volatile uint8_t*>(tensor.raw());
      if (tensor.bytes() > 0) static_cast<void>(first[0] + first[tensor.bytes() - 1]);
      hold(tensor.bytes() <= bytes.size(), "a tensor is no larger than its file");
    });
}

const Registered registered_safetensors({"safetensors", run_safetensors, 3000,
                             {"\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"F32\"", "\"F16\"", "\"BF16\"", "\"I64\"", "\"F8_E4M3\"", "\"BOOL\"", "[0,0]", "[]", "[4294967296,4294967296]", "[0,18446744073709551615]", "-1", "{", "}", ","},
                             {"models/llama/adapter/adapter_model.safetensors"}});

}  // namespace
}  // namespace hone::fuzz
