# The tests of the bridge: included by tests/CMakeLists.txt where there is one. They link an archive of
# their own, which holds the bridge and their futures: a program can hold one Rust archive only.
nart_cargo_archive(nart_test_futures NAME nart_test_futures PACKAGE nart-test-futures
  MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/bridge/futures/Cargo.toml FLAGS ${nart_cargo_features})
set_target_properties(nart_test_futures PROPERTIES
  INTERFACE_COMPILE_DEFINITIONS NART_HTTP=$<BOOL:${NART_HTTP}>)

nart_test(bridge/adopt SOURCES bridge/bridge.c)
nart_test(bridge/alloc SOURCES bridge/bridge.c)
nart_test(bridge/blocking SOURCES bridge/bridge.c)
nart_test(bridge/fork SOURCES bridge/bridge.c)
nart_test(bridge/layout SOURCES bridge/bridge.c)
nart_test(bridge/local SOURCES bridge/bridge.c)
nart_test(bridge/memory SOURCES bridge/bridge.c TIMEOUT 300)
nart_test(bridge/op SOURCES bridge/bridge.c)
nart_test(bridge/panic SOURCES bridge/bridge.c)
nart_test(bridge/shutdown SOURCES bridge/bridge.c)
nart_test(bridge/task SOURCES bridge/bridge.c)
nart_test(bridge/threads SOURCES bridge/bridge.c)
nart_test(bridge/waits SOURCES bridge/bridge.c)

if(NART_HTTP)
  include(${CMAKE_CURRENT_LIST_DIR}/../httpd/httpd.cmake)
  nart_test(bridge/http SOURCES bridge/bridge.c)
  add_dependencies(test_bridge_http nart_httpd_build)
  target_compile_definitions(test_bridge_http PRIVATE
    NART_TEST_HTTPD="$<TARGET_FILE:nart_httpd>")
endif()

# The word of an operation under loom, and every way to weaken it.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME models.op_word
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/models/op_word/check.py
      --cargo=${CARGO_EXECUTABLE} --target-dir=${CMAKE_CURRENT_BINARY_DIR}/op_word)
  set_tests_properties(models.op_word PROPERTIES LABELS models TIMEOUT 1200)
else()
  nart_test_skipped(models.op_word models "python3 is missing")
endif()
