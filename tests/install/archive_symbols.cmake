# ARCHIVE defines no name that another library could define. Names with _ or rust_ belong to the toolchains.
execute_process(COMMAND ${NM} --extern-only --defined-only --format=posix ${ARCHIVE}
  OUTPUT_VARIABLE said ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+ [TDBRVWC] [^\n]+" lines "${said}")
set(foreign "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE " .*" "" name "${line}")
  if(NOT name MATCHES "^(_|DW[.]ref[.]|rust_|nart_|ring_core_)")
    list(APPEND foreign ${name})
  endif()
endforeach()
if(NOT lines OR foreign)
  message(FATAL_ERROR "${ARCHIVE} has these names, which may be somebody else's: ${foreign}")
endif()
