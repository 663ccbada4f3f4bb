# The tests of the bridge, if it is built: included by tests/CMakeLists.txt. They link an archive with the
# bridge and their futures, because a program can contain one Rust archive only.
nart_cargo_archive(nart_test_futures NAME nart_test_futures PACKAGE nart-test-futures
  MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/bridge/futures/Cargo.toml FLAGS ${nart_cargo_features})
set_target_properties(nart_test_futures PROPERTIES
  INTERFACE_COMPILE_DEFINITIONS NART_HTTP=$<BOOL:${NART_HTTP}>)

# One program, because the archive is large. The one that replaces malloc is separate.
set(tests
  bridge/adopt bridge/blocking bridge/bytes bridge/chan bridge/children bridge/fork bridge/layout bridge/local
  bridge/memory bridge/oneshot bridge/op bridge/panic bridge/shutdown bridge/sockets bridge/task
  bridge/threads bridge/token bridge/waits)
set(sources bridge/bridge.c)
if(NART_HTTP)
  list(APPEND tests bridge/http bridge/http_bounds bridge/http_client bridge/http_client_life
    bridge/http_exchanges bridge/http_headers bridge/http_names
    bridge/http_redirects bridge/http_streams bridge/http_tls)
  list(APPEND sources bridge/exchange.c)
endif()
nart_test(${tests} SOURCES ${sources} TIMEOUT 300 PART ${tests})
nart_test(bridge/alloc PROGRAM test_bridge_alloc SOURCES bridge/bridge.c)
foreach(program test_bridge test_bridge_alloc)
  if(TARGET ${program}) # the second one is left out of builds that run a part of the tests
    target_link_options(${program} PRIVATE -Wl,--wrap=pthread_create) # allow_threads()
  endif()
endforeach()
if(NART_HTTP)
  include(${CMAKE_CURRENT_LIST_DIR}/../httpd/httpd.cmake)
  add_dependencies(test_bridge nart_httpd_build)
  target_compile_definitions(test_bridge PRIVATE NART_TEST_HTTPD="$<TARGET_FILE:nart_httpd>")
endif()

# The state of an operation under loom; the proof weakens it in every way.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(Python3_FOUND)
  set(check ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/models/op_state/check.py
    --cargo=${CARGO_EXECUTABLE} --target-dir=${NART_CARGO_TARGET_DIR}/models)
  add_test(NAME models.op_state COMMAND ${check})
  add_test(NAME models.proof.op_state COMMAND ${check} --mutants)
  set_tests_properties(models.op_state models.proof.op_state PROPERTIES
    LABELS models TIMEOUT 1200 RESOURCE_LOCK op_state)
  set_tests_properties(models.proof.op_state PROPERTIES LABELS "models;proof")
else()
  nart_test_skipped(models.op_state models "python3 is missing")
endif()
