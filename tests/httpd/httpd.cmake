# The HTTP server of the tests and the demo: the program nart_httpd, built for what depends on the
# target nart_httpd_build. Included by whoever needs it, once per build.
include_guard(GLOBAL)

set(program ${NART_CARGO_TARGET_DIR}/release/httpd)
add_custom_command(
  OUTPUT ${program}
  COMMAND ${CARGO_EXECUTABLE} build --locked --release
    --manifest-path ${PROJECT_SOURCE_DIR}/tests/httpd/Cargo.toml --target-dir ${NART_CARGO_TARGET_DIR}
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
