# The pages' files, ours and those of uPlot, become a source file of the program: cmake/EmbedFiles.cmake writes it whenever one of them changes.
include(UPlot)
file(GLOB page_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*/* ${HONE_FETCHED_WEB}/*/*)
set(page_source ${CMAKE_BINARY_DIR}/generated/pages.cc)
add_custom_command(OUTPUT ${page_source}
                   COMMAND ${CMAKE_COMMAND} "-DFOLDERS=${CMAKE_SOURCE_DIR}/web;${HONE_FETCHED_WEB}" -DOUTPUT=${page_source} -P ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake
                   DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake VERBATIM)
set_source_files_properties(${page_source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)  # made when built
target_sources(hone_serve PRIVATE ${page_source})

target_compile_options(hone_serve PRIVATE $<$<CONFIG:Release>:-O2>)  # -O3 buys nothing here and takes longer
