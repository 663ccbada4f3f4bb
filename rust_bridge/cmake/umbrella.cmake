# nart_add_umbrella(<target> MANIFEST <Cargo.toml> [PACKAGE <name>] [HEADER <name.h>] [FEATURES feature...]
#   [CARGO_FLAGS flag...])
#
# For a program with Rust code of its own, which depends on the crate nart-tokio: adds <target>, one archive
# with that code and the bridge. The program links it in place of nart::tokio, because a program can contain
# one Rust archive only.
#
#   MANIFEST     of the crate. Its kind of library does not matter, and it need not be named in Cargo.toml
#   PACKAGE      the package, if MANIFEST is that of a workspace
#   HEADER       is written with the declarations of what nart_tokio::export! exports, into a folder that is
#                an include directory of <target>
#   FEATURES     of the package. nart-tokio's feature http, if they turn it on, defines NART_HTTP for C
#   CARGO_FLAGS  other arguments of `cargo rustc`, --locked for example
#
# In Cargo.toml `nart-tokio = "0.1"` is enough: cargo gets the crate that belongs to this nart. The archive
# does not contain the C library, so the feature bundled does not matter; with it, plain `cargo test` works.
# Crates that need other system libraries: target_link_libraries(<target> INTERFACE ssl) adds them.
include(${CMAKE_CURRENT_LIST_DIR}/cargo.cmake)

function(nart_add_umbrella target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MANIFEST;PACKAGE;HEADER" "FEATURES;CARGO_FLAGS")
  if(NOT arg_MANIFEST OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "nart_add_umbrella(${target}): MANIFEST is missing, or these are unknown: "
      "${arg_UNPARSED_ARGUMENTS}")
  endif()
  cmake_path(ABSOLUTE_PATH arg_MANIFEST NORMALIZE)
  nart_find_cargo(problem)
  if(problem)
    message(FATAL_ERROR "nart_add_umbrella(${target}): ${problem}")
  endif()

  # What cargo knows of the package, without looking at its dependencies.
  execute_process(COMMAND ${CARGO_EXECUTABLE} metadata --no-deps --format-version 1
      --manifest-path ${arg_MANIFEST}
    OUTPUT_VARIABLE metadata RESULT_VARIABLE failed ERROR_VARIABLE error)
  if(failed)
    message(FATAL_ERROR "nart_add_umbrella(${target}): ${error}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${arg_MANIFEST})
  nart_umbrella_package(${target} "${metadata}" "${arg_MANIFEST}" "${arg_PACKAGE}")
  nart_umbrella_http("${package}" "${arg_FEATURES}" "${arg_CARGO_FLAGS}")
  string(JSON workspace GET "${metadata}" workspace_root)
  set(lock ${workspace}/Cargo.lock)
  if(NOT EXISTS ${lock}) # the first build writes it
    set(lock ${arg_MANIFEST})
  endif()

  cmake_path(SET crate NORMALIZE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../..)
  set(flags --lib --crate-type staticlib --config "patch.crates-io.nart-tokio.path='${crate}'")
  if(arg_FEATURES)
    list(JOIN arg_FEATURES "," features)
    list(APPEND flags --features ${features})
  endif()
  if(NOT DEFINED NART_CARGO_TARGET_DIR)
    set(NART_CARGO_TARGET_DIR ${CMAKE_BINARY_DIR}/cargo)
  endif()
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}_include)
  set(after "")
  if(arg_HEADER)
    set(after BYPRODUCTS ${include}/${arg_HEADER} AFTER ${CMAKE_COMMAND} -D HEADER=${include}/${arg_HEADER} -D NAME=${arg_HEADER}
      -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/umbrella_header.cmake)
  endif()
  nart_cargo_archive(${target} NAME ${library} PACKAGE ${name} MANIFEST ${arg_MANIFEST} LOCK ${lock}
    TARGET_DIR ${NART_CARGO_TARGET_DIR} FLAGS ${flags} ${arg_CARGO_FLAGS} ${after})
  set_target_properties(${target} PROPERTIES INTERFACE_COMPILE_DEFINITIONS NART_HTTP=${http})
  if(arg_HEADER)
    file(MAKE_DIRECTORY ${include})
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${include})
  endif()
endfunction()

# Sets `package` (JSON), `name` and `library` of the package in the caller.
function(nart_umbrella_package target metadata manifest wanted)
  set(found "")
  string(JSON n LENGTH "${metadata}" packages)
  math(EXPR last "${n} - 1")
  foreach(i RANGE ${last})
    string(JSON name GET "${metadata}" packages ${i} name)
    string(JSON path GET "${metadata}" packages ${i} manifest_path)
    if(name STREQUAL wanted OR NOT wanted AND path STREQUAL manifest)
      string(JSON found GET "${metadata}" packages ${i})
      break()
    endif()
  endforeach()
  if(NOT found)
    message(FATAL_ERROR "nart_add_umbrella(${target}): ${manifest} has no package '${wanted}'; "
      "name one of its workspace with PACKAGE")
  endif()
  string(JSON n LENGTH "${found}" targets)
  math(EXPR last "${n} - 1")
  foreach(i RANGE ${last})
    string(JSON kind GET "${found}" targets ${i} kind)
    if(kind MATCHES "lib\"|dylib\"" AND NOT kind MATCHES proc-macro)
      string(JSON library GET "${found}" targets ${i} name)
      string(REPLACE - _ library "${library}")
    endif()
  endforeach()
  if(NOT library)
    message(FATAL_ERROR "nart_add_umbrella(${target}): the package ${name} has no library: src/lib.rs")
  endif()
  set(package "${found}" PARENT_SCOPE)
  set(name ${name} PARENT_SCOPE)
  set(library ${library} PARENT_SCOPE)
endfunction()

# Sets `http` in the caller: 1 if the dependency names the feature http of nart-tokio, or if a feature that is
# on leads to nart-tokio/http.
function(nart_umbrella_http package features flags)
  set(http 0)
  string(JSON n LENGTH "${package}" dependencies)
  foreach(i RANGE ${n})
    string(JSON name ERROR_VARIABLE error GET "${package}" dependencies ${i} name)
    string(JSON of ERROR_VARIABLE error GET "${package}" dependencies ${i} features)
    string(JSON kind ERROR_VARIABLE error GET "${package}" dependencies ${i} kind)
    if(name STREQUAL nart-tokio AND kind STREQUAL "" AND of MATCHES "\"http\"")
      set(http 1)
    endif()
  endforeach()
  set(todo ${features})
  if(NOT --no-default-features IN_LIST flags)
    list(APPEND todo default)
  endif()
  set(seen "")
  while(todo)
    list(POP_FRONT todo feature)
    if(feature MATCHES "^nart-tokio[?]?/http$")
      set(http 1)
    endif()
    string(JSON n ERROR_VARIABLE error LENGTH "${package}" features ${feature})
    if(feature IN_LIST seen OR error)
      continue()
    endif()
    list(APPEND seen ${feature})
    foreach(i RANGE ${n})
      string(JSON more ERROR_VARIABLE error GET "${package}" features ${feature} ${i})
      if(NOT error)
        list(APPEND todo ${more})
      endif()
    endforeach()
  endwhile()
  set(http ${http} PARENT_SCOPE)
endfunction()
