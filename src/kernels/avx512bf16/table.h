#pragma once

#include "kernels/table.h"

namespace hone::kernels {

const KernelTable& avx512bf16_table();

}  // namespace hone::kernels
