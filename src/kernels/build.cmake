# Each instruction set's folder is compiled for it and for nothing more. Debug builds optimise these files too: without inlining,
# inline functions of shared headers would leave weak symbols in them, which the linker may give to any processor.
# g++ 12 takes the undefined vectors of its own intrinsics for mistakes when sanitizers are on.
set(hone_isa_debug "$<$<CONFIG:Debug>:-O2>;$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx2/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};-mavx2;-mfma;-mf16c")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx512/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/avx512bf16/table.cc
    PROPERTIES COMPILE_OPTIONS "${hone_isa_debug};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mavx512vnni;-mavx512vbmi;-mfma;-mf16c;-mprefer-vector-width=512")
endif()
