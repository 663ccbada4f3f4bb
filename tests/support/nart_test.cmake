# nart_test(<group>/<name>... [PROGRAM name] [SOURCES file...] [LIBS target...] [TIMEOUT seconds]
#   [PART <group>/<name>...])
#
# Builds one program, test_<group> or PROGRAM, from tests/<group>/test_<name>.c... (and SOURCES, relative to
# tests/), and registers one ctest entry per case, <group>.<name>.<case>, each in a process of its own. Cases
# are the lines `TEST(case)`, `TEST_WITH(case, fixture)` and `TEST_EACH(case, KIND, ...)` of the files; a
# changed file is scanned again by the build. A file that replaces functions of the C library needs a program of its own. Group `unit` is built
# with the library's internals, `bridge` with the bridge and the futures of bridge/futures, `late` with a
# library that stops at its steps (late/), all others with the public interface only.
#
# NART_TESTS_PART=ON leaves out what PART does not name: for builds that add little to a complete run in
# another build. NART_TESTS_BY_FILE=ON registers one entry per file, <group>.<name>, whose cases are forks of one
# process: for a launcher that is slow to start.
option(NART_TESTS_PART "Build and register a part of the tests" OFF)
set(NART_TEST_TIMEOUT 300 CACHE STRING "Seconds after which a test is ended: only one that hangs reaches them")
option(NART_TESTS_BY_FILE "One ctest entry per file of cases, each case in a fork of one process" OFF)
set(NART_TEST_LAUNCHER "" CACHE STRING "Command that test cases run under, valgrind say; a list")

function(nart_test)
  cmake_parse_arguments(arg "" "PROGRAM;TIMEOUT" "SOURCES;LIBS;PART" ${ARGN})
  set(ids ${arg_UNPARSED_ARGUMENTS})
  if(NART_TESTS_PART)
    set(ids ${arg_PART})
  endif()
  if(NOT ids)
    return()
  endif()
  list(GET ids 0 first)
  cmake_path(GET first PARENT_PATH group)
  set(program test_${group})
  if(arg_PROGRAM)
    set(program ${arg_PROGRAM})
  endif()
  if(NOT arg_TIMEOUT OR arg_TIMEOUT LESS NART_TEST_TIMEOUT)
    set(arg_TIMEOUT ${NART_TEST_TIMEOUT}) # slow builds raise every limit
  endif()

  add_executable(${program} ${arg_SOURCES})
  nart_warnings(${program})
  # -O3 would double the compile time, and no test measures speed.
  target_compile_options(${program} PRIVATE $<$<CONFIG:Release>:-O2>)
  target_compile_definitions(${program} PRIVATE
    _GNU_SOURCE _TIME_BITS=64 _FILE_OFFSET_BITS=64 # as the library: tests replace system calls
    NART_TEST_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}/${group}")
  if(group STREQUAL unit)
    target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/c_src)
    list(APPEND arg_LIBS nart_static)
  elseif(group STREQUAL bridge)
    list(APPEND arg_LIBS nart_test_futures)
  elseif(group STREQUAL late)
    list(APPEND arg_LIBS nart_late)
  else()
    list(APPEND arg_LIBS nart::nart)
  endif()
  if(NOT group STREQUAL late) # late brings its own
    list(PREPEND arg_LIBS nart_test_support)
  endif()
  target_link_libraries(${program} PRIVATE ${arg_LIBS})
  set_target_properties(${program} PROPERTIES C_EXTENSIONS OFF)

  foreach(id IN LISTS ids)
    cmake_path(GET id FILENAME name)
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/${group}/test_${name}.c)
    target_sources(${program} PRIVATE ${source})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    set(tests)
    if(NART_TESTS_BY_FILE)
      set(tests ${group}.${name})
      add_test(NAME ${tests} COMMAND ${NART_TEST_LAUNCHER} $<TARGET_FILE:${program}> --file ${name})
    else()
      nart_test_cases(cases ${source})
      foreach(case IN LISTS cases)
        list(APPEND tests ${group}.${name}.${case})
        add_test(NAME ${group}.${name}.${case}
          COMMAND ${NART_TEST_LAUNCHER} $<TARGET_FILE:${program}> ${name}.${case})
      endforeach()
    endif()
    set_tests_properties(${tests} PROPERTIES
      TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77 LABELS ${group})
  endforeach()
endfunction()

# nart_test_cases(<variable> <source>): sets the variable to the names of the cases in a file.
function(nart_test_cases variable source)
  set(cases)
  file(STRINGS ${source} lines REGEX "^TEST(_EACH|_WITH)?\\(")
  foreach(line IN LISTS lines)
    string(REGEX MATCHALL "[A-Za-z0-9_]+" words "${line}")
    list(POP_FRONT words macro case)
    if(macro STREQUAL TEST_EACH)
      list(TRANSFORM words PREPEND ${case}.)
      list(APPEND cases ${words})
    else()
      list(APPEND cases ${case})
    endif()
  endforeach()
  set(${variable} ${cases} PARENT_SCOPE)
endfunction()

# nart_test_skipped(<test> <label> <reason>): registers a test that this build cannot run, skipped with the
# reason.
function(nart_test_skipped test label reason)
  message(STATUS "nart: ${test} is skipped: ${reason}")
  add_test(NAME ${test} COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${reason}")
  set_tests_properties(${test} PROPERTIES LABELS "${label}" SKIP_REGULAR_EXPRESSION "skipped: ")
endfunction()
