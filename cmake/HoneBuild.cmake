# Build rules shared by every folder: language level, warnings, sanitizers, and the function that makes a layer.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
option(HONE_TESTS "Build the tests" ON)
option(HONE_SANITIZE "Address and undefined-behaviour sanitizers" OFF)
option(HONE_SANITIZE_THREADS "Thread sanitizer (scripts/test.sh --threads)" OFF)
option(HONE_QUICK "Layers that compute nothing at length, and tests, are not optimised: an edit compiles soonest" OFF)

# Most of a compiler's work here is the same headers and templates again in every file, so the files of a target are compiled in
# groups where that is asked for (docs/architecture.md). Files with flags of their own, as those of instruction sets, are left alone by CMake.
option(HONE_UNITY "Compile the files of a target in groups: a clean build takes a third of the time" OFF)
if(HONE_UNITY)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 10)
endif()

# Paths below the checkout are relative to ccache, so that the checkouts of a machine share what was
# compiled once (not in groups: their files name absolute paths).
find_program(HONE_CCACHE ccache)
if(HONE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${HONE_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)  # headers alone: Asio and Beast, for HTTP
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)  # lines of the terminal

# Boost as a system library, so that its headers do not meet our warnings.
add_library(hone_boost INTERFACE)
target_include_directories(hone_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})

add_library(hone_flags INTERFACE)
target_compile_options(hone_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror -fno-math-errno
                                            -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these two inside its own standard headers.
  target_compile_options(hone_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
  if(HONE_UNITY)
    # It takes the files of a group for headers, whose types must not hold types of an anonymous namespace.
    target_compile_options(hone_flags INTERFACE -Wno-subobject-linkage)
  endif()
endif()
if(HONE_SANITIZE)
  # What ASan shows as well (null) or what is said of types alone (vptr, object-size) doubles the work of the compiler.
  target_compile_options(hone_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    -fno-sanitize=vptr,null,object-size,nonnull-attribute,returns-nonnull-attribute,return)
  target_link_options(hone_flags INTERFACE -fsanitize=address,undefined)
endif()
if(HONE_SANITIZE_THREADS)
  # TSan knows no fences; Asio's queues are behind locks, which it knows.
  target_compile_definitions(hone_boost INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  target_compile_options(hone_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(hone_flags INTERFACE -fsanitize=thread)
endif()

# hone_optimise_little(target…): -O1 in a release, nothing in the presets that are compiled often or under sanitizers;
# there no checks of alignment, which matter where bytes of files are taken for numbers and take a quarter of the
# compiler's time.
function(hone_optimise_little)
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE
      $<IF:$<OR:$<BOOL:${HONE_SANITIZE}>,$<BOOL:${HONE_QUICK}>>,-O0,$<$<CONFIG:Release>:-O1>>
      $<$<BOOL:${HONE_SANITIZE}>:-fno-sanitize=alignment>)
  endforeach()
endfunction()

# hone_layer(name [DEPENDS layer…] [EXTERNAL target…]): the static library of src/<name>.
# A folder without sources yet becomes an interface library, so that the edges can be declared from the start.
function(hone_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;EXTERNAL" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(TRANSFORM ARG_DEPENDS PREPEND hone_)
  if(sources)
    add_library(hone_${name} STATIC ${sources})
    target_include_directories(hone_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(hone_${name} PUBLIC ${ARG_DEPENDS} ${ARG_EXTERNAL} PRIVATE hone_flags)
  else()
    add_library(hone_${name} INTERFACE)
    target_include_directories(hone_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(hone_${name} INTERFACE ${ARG_DEPENDS} ${ARG_EXTERNAL})
  endif()
  if(EXISTS ${CMAKE_SOURCE_DIR}/src/${name}/build.cmake)
    include(${CMAKE_SOURCE_DIR}/src/${name}/build.cmake)  # per-file flags (ISA folders)
  endif()
endfunction()
