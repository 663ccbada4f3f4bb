# nart_check(<target> [OPTION...])
#
# Checks the bodies of a target for mistakes that compilers do not detect, above all local variables that an await
# loses: nart-check/__main__.py says which. It runs over the target's sources in C and C++ with their options, as
#
#   <target>_nart_check    a target: cmake --build build --target app_nart_check
#   <target>.nart_check    a test, where enable_testing() was called before: ctest -R nart_check
#
# OPTION is passed to clang: --target=aarch64-linux-gnu for example, if a cross-compiling gcc builds the program.
# Needs Python 3.9 when it is configured, and clang when it runs. Only for the generators of Makefiles and Ninja.
function(nart_check target)
  find_package(Python3 3.9 COMPONENTS Interpreter QUIET)
  if(NOT Python3_FOUND)
    message(FATAL_ERROR "nart_check(${target}): Python 3.9 or later was not found")
  endif()
  set(command ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/nart-check
    -p ${CMAKE_BINARY_DIR} --target ${target})
  if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    list(APPEND command --clang ${CMAKE_C_COMPILER})
  endif()
  list(APPEND command -- ${ARGN})
  set_target_properties(${target} PROPERTIES EXPORT_COMPILE_COMMANDS ON)
  add_custom_target(${target}_nart_check COMMAND ${command} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM)
  add_dependencies(${target}_nart_check ${target}) # headers that are generated
  add_test(NAME ${target}.nart_check COMMAND ${command} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
