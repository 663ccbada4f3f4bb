# nart_cargo_archive(<target> NAME <library> PACKAGE <package> MANIFEST <Cargo.toml> [FLAGS flag...])
#
# Adds <target>, an imported static library: the archive lib<library>.a that cargo builds from <package>,
# and the system libraries that Rust needs.
#
# A custom command calls cargo, and cargo's dep-info is the depfile: a second build does nothing, a change
# of an .rs file rebuilds. All archives share one folder, so common dependencies are built once. With
# NART_RUST_TARGET the C files of crates are compiled as those of nart are.
set(nart_rust_native_libs gcc_s util rt pthread m dl c)
# Without what every compiler links by itself: there is no static gcc_s.
set(nart_rust_link_libs ${nart_rust_native_libs})
list(REMOVE_ITEM nart_rust_link_libs gcc_s c)
# For the test rust.native_libs, which runs the same command: cargo then only repeats its output.
set(nart_rust_print --print native-static-libs)

function(nart_cargo_archive target)
  cmake_parse_arguments(arg "" "NAME;PACKAGE;MANIFEST" "FLAGS" ${ARGN})
  cmake_path(GET arg_MANIFEST PARENT_PATH workspace)
  set(release ${nart_cargo_target_dir}/${NART_RUST_TARGET}/release/lib${arg_NAME})
  set(debug ${nart_cargo_target_dir}/${NART_RUST_TARGET}/debug/lib${arg_NAME})
  set(archive $<IF:$<CONFIG:Debug>,${debug},${release}>)

  set(cargo ${CARGO_EXECUTABLE})
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
    set(cargo ${CMAKE_COMMAND} -E env ${linker}=${CMAKE_C_COMPILER} CC_${rust_target}=${CMAKE_C_COMPILER}
      CFLAGS_${rust_target}=${cc_flags} AR_${rust_target}=${CMAKE_AR} ${CARGO_EXECUTABLE})
    list(APPEND arg_FLAGS --target ${NART_RUST_TARGET})
  endif()

  add_custom_command(
    OUTPUT ${archive}.a
    COMMAND ${cargo} rustc --locked --package ${arg_PACKAGE} ${arg_FLAGS}
      --manifest-path ${arg_MANIFEST} --target-dir ${nart_cargo_target_dir}
      "$<$<NOT:$<CONFIG:Debug>>:--release>" -- ${nart_rust_print}
    # cargo does not touch an archive that is up to date; without this, each build would call it again.
    COMMAND ${CMAKE_COMMAND} -E touch ${archive}.a
    DEPENDS ${arg_MANIFEST} ${workspace}/Cargo.lock ${PROJECT_SOURCE_DIR}/Cargo.toml
    DEPFILE ${archive}.d
    COMMENT "Building lib${arg_NAME}.a with cargo"
    USES_TERMINAL VERBATIM COMMAND_EXPAND_LISTS)

  # In another project the archive is built only if a target links it.
  if(PROJECT_IS_TOP_LEVEL)
    add_custom_target(${target}_archive ALL DEPENDS ${archive}.a)
  else()
    add_custom_target(${target}_archive DEPENDS ${archive}.a)
  endif()

  add_library(${target} STATIC IMPORTED GLOBAL)
  add_dependencies(${target} ${target}_archive)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION ${release}.a
    IMPORTED_LOCATION_DEBUG ${debug}.a
    INTERFACE_LINK_LIBRARIES "nart;${nart_rust_link_libs}")
endfunction()
