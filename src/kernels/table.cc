#include "kernels/table.h"

#include <algorithm>

#include "base/error.h"
#include "base/profile.h"
#include "kernels/profile.h"
#include "kernels/scalar/table.h"
#ifdef __x86_64__
#include "kernels/avx2/table.h"
#include "kernels/avx512/table.h"
#include "kernels/avx512bf16/table.h"
#endif

namespace hone::kernels {

const KernelTable& kernels(Isa isa) {
  const auto& available = available_isas();
  if (std::find(available.begin(), available.end(), isa) == available.end())
    throw Error(ErrorCode::kUnsupported, "kernels", fmt::format("this processor has no {}", name(isa)), "unset HONE_FORCE_ISA");
  switch (isa) {
    case Isa::kScalar: return scalar_table();
#ifdef __x86_64__
    case Isa::kAvx2: return avx2_table();
    case Isa::kAvx512: return avx512_table();
    case Isa::kAvx512Bf16:
    case Isa::kAmx: return avx512bf16_table();  // AMX tiles come with their own folder; its processors all have bf16
#endif
    default: throw Error(ErrorCode::kUnsupported, "kernels", fmt::format("this build has no kernels for {}", name(isa)));
  }
}

const KernelTable& kernels() {
  static const KernelTable& table = kernels(selected_isa());
  return profile::enabled() ? profiled(table) : table;
}

}  // namespace hone::kernels
