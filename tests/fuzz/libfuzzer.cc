// The entry of a libFuzzer program with one target.
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hone::fuzz::examine(hone::fuzz::targets().front(), hone::fuzz::text_of(data, size));
  return 0;
}
