# Installing nart::tokio: archive, header, its part of the CMake package, a pkg-config file.
install(FILES $<TARGET_FILE:nart_tokio> DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RENAME libnart_tokio$<$<CONFIG:Debug>:${CMAKE_DEBUG_POSTFIX}>.a)
install(FILES ${PROJECT_SOURCE_DIR}/include/nart/tokio.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nart)

# The crate, for programs with Rust code of their own (umbrella.cmake): complete, so that cargo alone can build
# and test theirs too.
set(crate ${CMAKE_INSTALL_DATADIR}/nart/crate)
install(FILES ${PROJECT_SOURCE_DIR}/Cargo.toml DESTINATION ${crate})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/c_src ${PROJECT_SOURCE_DIR}/include
    ${PROJECT_SOURCE_DIR}/rust_bridge
  DESTINATION ${crate})
# From the folder of nartTokio.cmake.
set(nart_crate_dir ${CMAKE_INSTALL_FULL_DATADIR}/nart/crate)
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  cmake_path(RELATIVE_PATH nart_crate_dir
    BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/cmake/nart)
  string(PREPEND nart_crate_dir "\${CMAKE_CURRENT_LIST_DIR}/")
endif()

configure_file(cmake/nartTokio.cmake.in nartTokio.cmake @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nartTokio.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nart)

list(TRANSFORM nart_rust_link_libs PREPEND -l OUTPUT_VARIABLE native_flags)
list(JOIN native_flags " " native_flags)
nart_install_pc(nart-tokio)
