# uPlot, which draws the panel's curves: fetched from the npm registry once, checked, and laid where EmbedFiles.cmake finds it. The version and
# its hash stand here and nowhere else. A download is kept outside the build folder, so that every build folder shares it.
set(uplot_version 1.6.32)
set(uplot_sha512 2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023)

set(HONE_UPLOT "" CACHE FILEPATH "The file uplot-${uplot_version}.tgz, for machines without a way to the npm registry; empty: fetch it")
if(DEFINED ENV{npm_config_registry})
  string(REGEX REPLACE "/+$" "" registry "$ENV{npm_config_registry}")
else()
  set(registry https://registry.npmjs.org)
endif()
set(HONE_NPM_REGISTRY ${registry} CACHE STRING "Where npm packages are fetched from")
if(DEFINED ENV{HONE_DOWNLOADS})
  set(downloads $ENV{HONE_DOWNLOADS})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(downloads $ENV{XDG_CACHE_HOME}/hone/downloads)
elseif(DEFINED ENV{HOME})
  set(downloads $ENV{HOME}/.cache/hone/downloads)
else()
  set(downloads ${CMAKE_BINARY_DIR}/downloads)
endif()

# hone_is_uplot(FILE VARIABLE): whether the file is there and is what the hash says.
function(hone_is_uplot file answer)
  set(${answer} FALSE PARENT_SCOPE)
  if(EXISTS ${file} AND NOT IS_DIRECTORY ${file})
    file(SHA512 ${file} found)
    if(found STREQUAL uplot_sha512)
      set(${answer} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# Fetches into a file of its own first: another configuration may be fetching the same one, and half a file is never taken for a whole.
function(hone_fetch_uplot file)
  set(url ${HONE_NPM_REGISTRY}/uplot/-/uplot-${uplot_version}.tgz)
  string(RANDOM LENGTH 8 mark)
  set(part ${file}.${mark})
  foreach(pause 1 3 9 0)
    message(STATUS "fetching ${url}")
    file(DOWNLOAD ${url} ${part} STATUS status TIMEOUT 120 INACTIVITY_TIMEOUT 30)
    list(GET status 0 code)
    list(GET status 1 reason)
    if(code EQUAL 0)
      hone_is_uplot(${part} whole)
      if(whole)
        file(RENAME ${part} ${file})
        return()
      endif()
      file(SIZE ${part} size)
      set(reason "what came (${size} bytes) has another SHA-512")
    endif()
    file(REMOVE ${part})
    message(STATUS "  ${reason}")
    execute_process(COMMAND ${CMAKE_COMMAND} -E sleep ${pause})
  endforeach()
  message(FATAL_ERROR "uPlot ${uplot_version}, which draws the curves of the panel, could not be fetched.
  expected: the npm package uplot-${uplot_version}.tgz with SHA-512 ${uplot_sha512}
  from:     ${url}
  found:    ${reason}
  Configure again when the registry can be reached; or fetch the file elsewhere and give its path (-DHONE_UPLOT=/path/uplot-${uplot_version}.tgz), lay it
  at ${file}, or name a mirror (-DHONE_NPM_REGISTRY=https://…).")
endfunction()

if(HONE_UPLOT)
  set(uplot_archive ${HONE_UPLOT})
  hone_is_uplot(${uplot_archive} whole)
  if(NOT whole)
    message(FATAL_ERROR "HONE_UPLOT: expected the npm package uplot-${uplot_version}.tgz with SHA-512 ${uplot_sha512}, found another file or none at ${HONE_UPLOT}.
  Fetch ${HONE_NPM_REGISTRY}/uplot/-/uplot-${uplot_version}.tgz and give its path.")
  endif()
else()
  set(uplot_archive ${downloads}/uplot-${uplot_version}.tgz)
  hone_is_uplot(${uplot_archive} whole)
  if(NOT whole)
    file(MAKE_DIRECTORY ${downloads})
    hone_fetch_uplot(${uplot_archive})
  endif()
endif()

# HONE_FETCHED_WEB: a folder laid out as web/ is, with the files of others and the text of their licences.
set(HONE_FETCHED_WEB ${CMAKE_BINARY_DIR}/fetched)
set(unpacked ${CMAKE_BINARY_DIR}/uplot-${uplot_version})
file(ARCHIVE_EXTRACT INPUT ${uplot_archive} DESTINATION ${unpacked} PATTERNS package/LICENSE package/dist/uPlot.iife.min.js package/dist/uPlot.min.css TOUCH)
file(MAKE_DIRECTORY ${HONE_FETCHED_WEB}/uplot ${HONE_FETCHED_WEB}/page)
foreach(name uPlot.iife.min.js uPlot.min.css)
  file(COPY_FILE ${unpacked}/package/dist/${name} ${HONE_FETCHED_WEB}/uplot/${name} ONLY_IF_DIFFERENT)
endforeach()
file(READ ${unpacked}/package/LICENSE licence)
file(CONFIGURE OUTPUT ${HONE_FETCHED_WEB}/page/licenses.txt @ONLY CONTENT "Part of hone's pages:

uPlot ${uplot_version}, charts, https://github.com/leeoniya/uPlot

${licence}
")
