# Each instruction set's folder is compiled for it and for nothing more. Debug builds optimise these files too: without inlining,
# inline functions of shared headers would leave weak symbols in them, which the linker may give to any processor.
# g++ 12 takes the undefined vectors of its own intrinsics for mistakes when sanitizers are on.
# Under sanitizers the same source is checked for undefined behaviour once, as AVX2; alignment and pointer arithmetic, and the checks of the
# wider sets, would be two thirds of the compiler's time for the whole program.
set(hone_isa_debug "$<$<CONFIG:Debug>:-O2>;$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx2/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};$<$<BOOL:${HONE_SANITIZE}>:-fno-sanitize=alignment,pointer-overflow>;-mavx2;-mfma;-mf16c")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx512/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};$<$<BOOL:${HONE_SANITIZE}>:-fno-sanitize=undefined>;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx512bf16/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};$<$<BOOL:${HONE_SANITIZE}>:-fno-sanitize=undefined>;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mavx512vnni;-mavx512vbmi;-mfma;-mf16c;-mprefer-vector-width=512")
endif()
