#pragma once

#include "kernels/table.h"

namespace hone::kernels {

const KernelTable& avx2_table();

}  // namespace hone::kernels
