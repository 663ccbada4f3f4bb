# What builds archives with cargo: nart::tokio, the archives of the tests, and umbrellas (umbrella.cmake).
# Installed with the crate, so nothing here depends on where it is called.

# The settings that the functions below share. A macro, because functions see the variables of their caller
# only.
macro(nart_rust_settings)
  set(rust_minimum 1.85)
  set(nart_rust_native_libs gcc_s util rt pthread m dl c)
  # Without what every compiler links by itself: there is no static gcc_s.
  set(nart_rust_link_libs ${nart_rust_native_libs})
  list(REMOVE_ITEM nart_rust_link_libs gcc_s c)
  # For the test rust.native_libs, which runs the same command: cargo then only repeats its output.
  set(nart_rust_print --print native-static-libs)
endmacro()

# nart_find_cargo(<variable>): sets CARGO_EXECUTABLE, and the variable to one line that says what to install if
# there is no recent cargo.
function(nart_find_cargo variable)
  nart_rust_settings()
  find_program(CARGO_EXECUTABLE cargo HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin
    NO_CMAKE_FIND_ROOT_PATH)
  set(problem "")
  execute_process(COMMAND "${CARGO_EXECUTABLE}" --version
    WORKING_DIRECTORY ${CMAKE_CURRENT_FUNCTION_LIST_DIR}
    OUTPUT_VARIABLE output RESULT_VARIABLE failed ERROR_QUIET)
  if(failed OR NOT output MATCHES "^cargo ([0-9.]+)")
    set(problem "cargo was not found")
  elseif(CMAKE_MATCH_1 VERSION_LESS rust_minimum)
    set(problem "cargo ${CMAKE_MATCH_1} is too old")
  endif()
  if(problem)
    string(APPEND problem ": install Rust ${rust_minimum} or newer from https://rustup.rs")
  endif()
  set(${variable} "${problem}" PARENT_SCOPE)
endfunction()

# nart_cargo_archive(<target> NAME <library> PACKAGE <package> MANIFEST <Cargo.toml> TARGET_DIR <folder>
#   [LOCK <Cargo.lock>] [FLAGS flag...] [AFTER command...] [BYPRODUCTS file...])
#
# Adds <target>, an imported static library: the archive lib<library>.a that cargo builds from <package>,
# nart::nart, and the system libraries that Rust needs. AFTER runs after each build of the archive, with -D
# ARCHIVE=<its path>, and writes BYPRODUCTS.
#
# A custom command calls cargo, and cargo's dep-info is the depfile: a second build does nothing, a change
# of an .rs file rebuilds. Archives that share a TARGET_DIR build common dependencies once. With
# NART_RUST_TARGET the C files of crates are compiled as those of the program are.
function(nart_cargo_archive target)
  nart_rust_settings()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME;PACKAGE;MANIFEST;LOCK;TARGET_DIR" "FLAGS;AFTER;BYPRODUCTS")
  cmake_path(GET arg_MANIFEST PARENT_PATH folder)
  if(NOT arg_LOCK)
    set(arg_LOCK ${folder}/Cargo.lock)
  endif()
  set(release ${arg_TARGET_DIR}/${NART_RUST_TARGET}/release/lib${arg_NAME})
  set(debug ${arg_TARGET_DIR}/${NART_RUST_TARGET}/debug/lib${arg_NAME})
  set(archive $<IF:$<CONFIG:Debug>,${debug},${release}>)

  # The program links nart::nart, so the archive must not contain the C library, whatever features of the
  # crate are on (rust_bridge/build.rs).
  set(environment NART_BUNDLED=0)
  if(NART_RUST_TARGET)
    string(MAKE_C_IDENTIFIER ${NART_RUST_TARGET} rust_target)
    set(cc_flags ${CMAKE_C_FLAGS})
    if(CMAKE_SYSROOT)
      string(APPEND cc_flags " --sysroot=${CMAKE_SYSROOT}")
    endif()
    if(CMAKE_C_COMPILER_TARGET AND CMAKE_C_COMPILER_ID MATCHES Clang)
      string(APPEND cc_flags " --target=${CMAKE_C_COMPILER_TARGET}")
    endif()
    string(TOUPPER CARGO_TARGET_${rust_target}_LINKER linker)
    list(APPEND environment ${linker}=${CMAKE_C_COMPILER} CC_${rust_target}=${CMAKE_C_COMPILER}
      CFLAGS_${rust_target}=${cc_flags} AR_${rust_target}=${CMAKE_AR})
    list(PREPEND arg_FLAGS --target ${NART_RUST_TARGET})
  endif()

  set(after "")
  if(arg_AFTER)
    list(POP_FRONT arg_AFTER command)
    set(after BYPRODUCTS ${arg_BYPRODUCTS} COMMAND ${command} -D ARCHIVE=${archive}.a ${arg_AFTER})
  endif()
  add_custom_command(
    OUTPUT ${archive}.a
    COMMAND ${CMAKE_COMMAND} -E env ${environment} ${CARGO_EXECUTABLE} rustc --package ${arg_PACKAGE}
      --manifest-path ${arg_MANIFEST} --target-dir ${arg_TARGET_DIR}
      "$<$<NOT:$<CONFIG:Debug>>:--release>" ${arg_FLAGS}
    # cargo does not touch an archive that is up to date; without this, each build would call it again.
    COMMAND ${CMAKE_COMMAND} -E touch ${archive}.a
    ${after}
    DEPENDS ${arg_MANIFEST} ${arg_LOCK} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../Cargo.toml
    DEPFILE ${archive}.d
    COMMENT "Building lib${arg_NAME}.a with cargo"
    USES_TERMINAL VERBATIM COMMAND_EXPAND_LISTS)

  # In another project the archive is built only if a target links it.
  if(PROJECT_IS_TOP_LEVEL)
    add_custom_target(${target}_archive ALL DEPENDS ${archive}.a)
  else()
    add_custom_target(${target}_archive DEPENDS ${archive}.a)
  endif()

  # A program can contain one Rust archive only: CMake refuses to generate one that links two.
  add_library(${target} STATIC IMPORTED GLOBAL)
  add_dependencies(${target} ${target}_archive)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION ${release}.a
    IMPORTED_LOCATION_DEBUG ${debug}.a
    INTERFACE_LINK_LIBRARIES "nart::nart;${nart_rust_link_libs}"
    INTERFACE_NART_RUST_ARCHIVE ${target}
    COMPATIBLE_INTERFACE_STRING NART_RUST_ARCHIVE)
endfunction()
