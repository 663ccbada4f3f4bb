# The HTTP server of the tests and the demo: the program nart_httpd, built for what depends on the
# target nart_httpd_build. Included by whoever needs it, once per build.
include_guard(GLOBAL)

# A folder of its own: it has no crate in common with the bridge, and is built beside it.
set(folder ${NART_CARGO_TARGET_DIR}/httpd)
set(program ${folder}/release/httpd)
add_custom_command(
  OUTPUT ${program}
  COMMAND ${CARGO_EXECUTABLE} build --locked --release
    --manifest-path ${PROJECT_SOURCE_DIR}/tests/httpd/Cargo.toml --target-dir ${folder}
  COMMAND ${CMAKE_COMMAND} -E touch ${program}
  DEPENDS
    ${PROJECT_SOURCE_DIR}/tests/httpd/Cargo.toml
    ${PROJECT_SOURCE_DIR}/tests/httpd/Cargo.lock
  DEPFILE ${program}.d
  COMMENT "Building the HTTP test server with cargo"
  USES_TERMINAL VERBATIM)
add_custom_target(nart_httpd_build DEPENDS ${program})

add_executable(nart_httpd IMPORTED GLOBAL)
set_target_properties(nart_httpd PROPERTIES IMPORTED_LOCATION ${program})

# nart_test_with_httpd(<test> <program> LABELS label...): ctest runs the program with a URL of the server.
function(nart_test_with_httpd test program)
  cmake_parse_arguments(arg "" "" "LABELS" ${ARGN})
  add_dependencies(${program} nart_httpd_build)
  add_test(NAME ${test} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/httpd/run_with.sh
    $<TARGET_FILE:nart_httpd> ${NART_TEST_LAUNCHER} $<TARGET_FILE:${program}>)
  set_tests_properties(${test} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${NART_TEST_TIMEOUT})
endfunction()
