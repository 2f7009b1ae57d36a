# Writes a C source that holds the page's files: cmake -DOUTPUT=… -DFOLDER=… -P embed.cmake
set(types
  "css|text/css\; charset=utf-8"
  "html|text/html\; charset=utf-8"
  "js|text/javascript\; charset=utf-8"
  "svg|image/svg+xml")

set(text "// Made by webui/embed.cmake from webui/static.\n#include \"webui/page_assets.h\"\n\n")
set(table "")
set(number 0)
file(GLOB names RELATIVE ${FOLDER} ${FOLDER}/*)
foreach(name IN LISTS names)
  string(REGEX REPLACE ".*[.]" "" suffix "${name}")
  set(type "")
  foreach(entry IN LISTS types)
    if(entry MATCHES "^${suffix}[|](.*)$")
      set(type "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  if(NOT type)
    message(FATAL_ERROR "${name}: no media type is known for .${suffix}")
  endif()
  set(path "/static/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  file(READ "${FOLDER}/${name}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "static const unsigned char asset_${number}[] = {${bytes}};\n")
  string(APPEND table
    "    {\"${path}\", \"${type}\", asset_${number}, sizeof(asset_${number})},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "\nconst struct page_asset page_assets[] = {\n${table}};\n"
  "const size_t page_asset_count = ${number};\n")
file(WRITE "${OUTPUT}" "${text}")
