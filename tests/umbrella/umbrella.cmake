# The acceptance of nart_add_umbrella() and nart_tokio::export!: clients of real servers, included by
# tests/CMakeLists.txt. In debug builds only: their dependencies take a minute to build.
if(NOT CMAKE_BUILD_TYPE STREQUAL Debug)
  return()
endif()
find_program(REDIS_SERVER_EXECUTABLE redis-server)
file(GLOB postgres_folders /usr/lib/postgresql/*/bin)
find_program(POSTGRES_EXECUTABLE postgres HINTS ${postgres_folders})
find_program(INITDB_EXECUTABLE initdb HINTS ${postgres_folders})
if(NOT REDIS_SERVER_EXECUTABLE OR NOT POSTGRES_EXECUTABLE OR NOT INITDB_EXECUTABLE)
  message(STATUS "nart: the tests of the umbrella are not added: redis-server or postgres was not found")
  return()
endif()

nart_add_umbrella(nart_test_clients MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/umbrella/clients/Cargo.toml
  HEADER clients.h CARGO_FLAGS --locked)
set(tests umbrella/redis umbrella/postgres umbrella/opendal)
nart_test(${tests} SOURCES umbrella/umbrella.c LIBS nart_test_clients TIMEOUT ${NART_TEST_TIMEOUT} PART ${tests})
target_compile_definitions(test_umbrella PRIVATE NART_TEST_REDIS="${REDIS_SERVER_EXECUTABLE}"
  NART_TEST_POSTGRES="${POSTGRES_EXECUTABLE}" NART_TEST_INITDB="${INITDB_EXECUTABLE}")
