# The tests of the bridge, if it is built: included by tests/CMakeLists.txt. They link an archive with the
# bridge and their futures, because a program can contain one Rust archive only.
nart_cargo_archive(nart_test_futures NAME nart_test_futures PACKAGE nart-test-futures
  MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/bridge/futures/Cargo.toml TARGET_DIR ${nart_cargo_target_dir}
  FLAGS --locked ${nart_cargo_features})
set_target_properties(nart_test_futures PROPERTIES
  INTERFACE_COMPILE_DEFINITIONS NART_HTTP=$<BOOL:${NART_HTTP}>)

# One program, because the archive is large. The one that replaces malloc is separate.
set(tests
  bridge/adopt bridge/batches bridge/blocking bridge/bytes bridge/chan bridge/children bridge/examples bridge/exit
  bridge/fork bridge/group bridge/layout bridge/local bridge/log bridge/memory bridge/observe bridge/oneshot
  bridge/op bridge/owners bridge/panic bridge/resolve bridge/server bridge/shutdown bridge/sockets bridge/streams
  bridge/task bridge/threads bridge/token bridge/trace bridge/waits)
set(sources bridge/bridge.c bridge/resolver.c)
find_package(Python3 3.9 COMPONENTS Interpreter)
if(NART_HTTP)
  list(APPEND tests bridge/http bridge/http_bounds bridge/http_client bridge/http_client_life
    bridge/http_exchanges bridge/http_headers bridge/http_names
    bridge/http_redirects bridge/http_streams bridge/http_tls
    bridge/tls bridge/tls_data bridge/tls_life
    bridge/ws bridge/ws_client bridge/ws_life bridge/ws_violations)
  list(APPEND sources bridge/certs.c bridge/exchange.c bridge/tls.c bridge/ws_peer.c)
  find_program(NART_OPENSSL openssl)
  if(Python3_FOUND AND NART_OPENSSL)
    list(APPEND tests bridge/tls_peers)
  else()
    nart_test_skipped(bridge.tls_peers bridge "python3 or openssl is missing")
  endif()
  find_program(NART_NGINX nginx PATHS /usr/local/sbin /usr/sbin)
  if(NART_NGINX)
    list(APPEND tests bridge/nginx)
  else()
    message(STATUS "nart: no test of HTTP with nginx: it is not installed")
  endif()
endif()
# The first Python that has the package websockets.
set(websockets_python "")
foreach(python ${Python3_EXECUTABLE} /usr/bin/python3)
  execute_process(COMMAND ${python} -c "import websockets.server" RESULT_VARIABLE failed
    OUTPUT_QUIET ERROR_QUIET)
  if(NOT failed AND NOT websockets_python)
    set(websockets_python ${python})
  endif()
endforeach()
if(NART_HTTP AND websockets_python)
  list(APPEND tests bridge/ws_server)
elseif(NART_HTTP)
  nart_test_skipped(bridge.ws_server bridge "python3-websockets is missing")
endif()
nart_test(${tests} SOURCES ${sources} TIMEOUT ${NART_TEST_TIMEOUT} PART ${tests})
nart_test(bridge/alloc PROGRAM test_bridge_alloc SOURCES bridge/bridge.c)
foreach(program test_bridge test_bridge_alloc)
  if(TARGET ${program}) # the second one is left out of builds that run a part of the tests
    # allow_threads(). The linker sees no calls within libnart.so; the dynamic one does not see what a sanitizer does.
    if(BUILD_SHARED_LIBS)
      target_compile_definitions(${program} PRIVATE NART_TEST_SHARED)
    else()
      target_link_options(${program} PRIVATE -Wl,--wrap=pthread_create)
    endif()
  endif()
endforeach()
if(NART_HTTP)
  include(${CMAKE_CURRENT_LIST_DIR}/../httpd/httpd.cmake)
  add_dependencies(test_bridge nart_httpd_build)
  target_compile_definitions(test_bridge PRIVATE NART_TEST_HTTPD="$<TARGET_FILE:nart_httpd>"
    $<$<BOOL:${NART_NGINX}>:NART_TEST_NGINX="${NART_NGINX}">
    NART_TEST_PYTHON="${Python3_EXECUTABLE}"
    NART_TEST_TLS_PEER="${CMAKE_CURRENT_SOURCE_DIR}/bridge/tls_peer.py"
    NART_TEST_WS_PYTHON="${websockets_python}"
    NART_TEST_WS_SERVER="${CMAKE_CURRENT_SOURCE_DIR}/bridge/ws_server.py")
endif()

if(NOT Python3_FOUND)
  nart_test_skipped(bridge.trace.json bridge "python3 is missing")
elseif(TARGET test_bridge)
  add_test(NAME bridge.trace.json
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/bridge/check_trace.py $<TARGET_FILE:test_bridge>
      a_storm_of_operations a_storm_of_which_the_bridge_loses_most a_storm_of_which_the_loop_loses_most
      a_storm_of_which_both_lose_nearly_all)
  set_tests_properties(bridge.trace.json PROPERTIES LABELS bridge TIMEOUT ${NART_TEST_TIMEOUT})
endif()

# The size of a program that uses the bridge without HTTP, as docs/building.md tells it.
if(NOT NART_HTTP AND CMAKE_BUILD_TYPE STREQUAL Release)
  add_executable(bridge_size install/package/app_tokio.c)
  target_link_libraries(bridge_size PRIVATE nart::tokio)
  target_link_options(bridge_size PRIVATE -Wl,--gc-sections)
  add_test(NAME bridge.size COMMAND ${CMAKE_COMMAND} -DSTRIP=${CMAKE_STRIP} -DPROGRAM=$<TARGET_FILE:bridge_size>
    -DLIMIT=600000 -P ${CMAKE_CURRENT_SOURCE_DIR}/bridge/check_size.cmake)
  set_tests_properties(bridge.size PROPERTIES LABELS bridge)
endif()

# The words of the bridge under loom; the proof weakens them in every way.
if(Python3_FOUND)
  set(check ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/models/bridge_words/check.py
    --cargo=${CARGO_EXECUTABLE} --target-dir=${NART_CARGO_TARGET_DIR}/models)
  add_test(NAME models.bridge_words COMMAND ${check})
  add_test(NAME models.proof.bridge_words COMMAND ${check} --mutants)
  set_tests_properties(models.bridge_words models.proof.bridge_words PROPERTIES
    LABELS models TIMEOUT 1200 RESOURCE_LOCK bridge_words)
  set_tests_properties(models.proof.bridge_words PROPERTIES LABELS "models;proof")
else()
  nart_test_skipped(models.bridge_words models "python3 is missing")
endif()
