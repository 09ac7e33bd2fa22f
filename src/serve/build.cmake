# The files of each page become a source file of the program: cmake/EmbedFiles.cmake writes it whenever one of them changes.
foreach(page chat panel)
  file(GLOB page_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/${page}/*)
  set(page_source ${CMAKE_BINARY_DIR}/generated/${page}_page.cc)
  add_custom_command(OUTPUT ${page_source}
                     COMMAND ${CMAKE_COMMAND} -DFOLDER=${CMAKE_SOURCE_DIR}/web/${page} -DFUNCTION=find_${page}_asset -DOUTPUT=${page_source} -P ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake
                     DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake VERBATIM)
  target_sources(hone_serve PRIVATE ${page_source})
endforeach()
