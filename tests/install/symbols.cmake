# Compares the exported names of LIBRARY with LIST, or writes LIST (-D WRITE=ON). They have one version, which
# is also the suffix of SONAME.
execute_process(COMMAND ${NM} --dynamic --defined-only --format=posix ${LIBRARY}
  OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+\n" lines "${said}")
set(exported "")
set(versions "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "[ @].*" "" name "${line}")
  if(name MATCHES "^NART_([0-9.]+)$") # the version node itself
    list(APPEND versions ${CMAKE_MATCH_1})
  else()
    list(APPEND exported ${name})
  endif()
endforeach()
list(SORT exported)

if(WRITE)
  list(JOIN exported "\n" text)
  file(WRITE ${LIST} "${text}\n")
  return()
endif()

if(NOT SONAME MATCHES "[.]so[.]([0-9.]+)$" OR NOT versions STREQUAL CMAKE_MATCH_1)
  message(FATAL_ERROR "${SONAME} has symbols of the version ${versions}")
endif()

file(STRINGS ${LIST} listed)
set(missing ${listed})
list(REMOVE_ITEM missing ${exported})
set(added ${exported})
list(REMOVE_ITEM added ${listed})
if(NOT missing AND NOT added AND NOT listed STREQUAL exported)
  message(FATAL_ERROR "${LIST} has these names in another order.\n"
    "To write it anew: cmake --build build/<preset> --target nart-symbols")
endif()
if(missing OR added)
  message(FATAL_ERROR "${LIBRARY} does not export what the list says.\n"
    "  no longer exported: ${missing}\n  not in the list: ${added}\n"
    "If that is meant: cmake --build build/<preset> --target nart-symbols")
endif()
