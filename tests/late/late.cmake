# nart_late: the library and the harness built again with NART__STEP defined, so that a test can stop a thread
# at each step (late/step.h). With ThreadSanitizer, if the compiler has it and no other sanitizer is enabled.
include(CheckCSourceCompiles)

get_target_property(late_sources nart_static SOURCES)
list(FILTER late_sources INCLUDE REGEX "\\.c$")
list(TRANSFORM late_sources PREPEND ${PROJECT_SOURCE_DIR}/c_src/)
add_library(nart_late STATIC late/step.c support/test.c ${late_sources})
target_compile_features(nart_late PUBLIC c_std_11)
target_compile_definitions(nart_late PRIVATE _GNU_SOURCE)
target_compile_options(nart_late PRIVATE -include ${CMAKE_CURRENT_SOURCE_DIR}/late/step.h)
target_include_directories(nart_late
  PUBLIC support ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/c_src)
target_link_libraries(nart_late PUBLIC -pthread)
nart_warnings(nart_late)
# clang-tidy takes each file's command from its own target, which has no sanitizer.
set_target_properties(nart_late PROPERTIES EXPORT_COMPILE_COMMANDS OFF)

if(NOT CMAKE_C_FLAGS MATCHES "-fsanitize" AND NOT NART_TEST_LAUNCHER)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
  check_c_source_compiles("int main(void) { return 0; }" NART_HAVE_TSAN)
  unset(CMAKE_REQUIRED_FLAGS)
  if(NART_HAVE_TSAN)
    target_compile_options(nart_late PUBLIC -fsanitize=thread)
    target_link_options(nart_late PUBLIC -fsanitize=thread)
  endif()
endif()
