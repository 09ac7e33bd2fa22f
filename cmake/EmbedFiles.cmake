# Turns the files of each FOLDER/*/ in the list FOLDERS into the C++ source OUTPUT, which defines hone::serve::find_asset (src/serve/api/assets.h).
set(files "")
foreach(folder ${FOLDERS})
  file(GLOB found ${folder}/*/*)
  list(SORT found)
  list(APPEND files ${found})
endforeach()
set(data "")
set(rows "")
set(number 0)
foreach(file ${files})
  string(REGEX REPLACE ".*/([^/]+/[^/]+)$" "\\1" name ${file})
  get_filename_component(ending ${file} LAST_EXT)
  if(ending STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(ending STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(ending STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(ending STREQUAL ".svg")
    set(type "image/svg+xml")
  elseif(ending STREQUAL ".txt")
    set(type "text/plain; charset=utf-8")
  else()
    message(FATAL_ERROR "${file}: no media type is known for ${ending}")
  endif()
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" length)
  math(EXPR size "${length} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND data "const unsigned char kFile${number}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", \"${type}\", {reinterpret_cast<const char*>(kFile${number}), ${size}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"serve/api/assets.h\"

namespace hone::serve {
namespace {

${data}
const Asset kAssets[] = {
${rows}};

}  // namespace

const Asset* find_asset(std::string_view name) {
  for (const Asset& asset : kAssets)
    if (asset.name == name) return &asset;
  return nullptr;
}

}  // namespace hone::serve
")
