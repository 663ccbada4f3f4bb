# Installing nart::tokio: archive, header, its part of the CMake package, a pkg-config file.
install(FILES $<TARGET_FILE:nart_tokio> DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RENAME libnart_tokio$<$<CONFIG:Debug>:${CMAKE_DEBUG_POSTFIX}>.a)
install(FILES ${PROJECT_SOURCE_DIR}/include/nart/tokio.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nart)

configure_file(cmake/nartTokio.cmake.in nartTokio.cmake @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nartTokio.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nart)

list(TRANSFORM nart_rust_link_libs PREPEND -l OUTPUT_VARIABLE native_flags)
list(JOIN native_flags " " native_flags)
nart_install_pc(nart-tokio)
