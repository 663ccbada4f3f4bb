# cmake -D ARCHIVE=<archive> -D HEADER=<file> -D NAME=<as it is included> -P umbrella_header.cmake
#
# Writes the header of an umbrella. nart_tokio::export! leaves the declaration of each function and struct in
# the archive, as a line of printable ASCII: a mark, what to sort by, and the text, in which `~` begins what
# CMake's lists and lines do not hold (rust_bridge/src/export/text.rs). A header that is the same is not
# touched.
cmake_minimum_required(VERSION 3.22...3.25)
file(STRINGS "${ARCHIVE}" found REGEX "^nart-export![01] [^!]*!")
list(REMOVE_DUPLICATES found)
list(SORT found)
set(text "")
foreach(line IN LISTS found)
  string(REGEX REPLACE "^nart-export![^!]*!" "" line "${line}")
  while(line MATCHES "~x([0-9a-f][0-9a-f])")
    math(EXPR code 0x${CMAKE_MATCH_1})
    string(ASCII ${code} byte)
    string(REPLACE "~x${CMAKE_MATCH_1}" "${byte}" line "${line}")
  endwhile()
  string(REPLACE "~t" "~" line "${line}")
  string(APPEND text "${line}\n")
endforeach()
string(MAKE_C_IDENTIFIER "${NAME}" guard)
string(TOUPPER "${guard}" guard)
file(CONFIGURE OUTPUT "${HEADER}" @ONLY NEWLINE_STYLE UNIX CONTENT
"/* Generated from the Rust crate that exports these functions (nart_tokio::export!). Do not edit. */
#ifndef @guard@
#define @guard@

#include <nart/tokio.h>

#ifdef __cplusplus
extern \"C\" {
#endif

@text@#ifdef __cplusplus
}
#endif

#endif /* @guard@ */
")
