# Installing nart without the bridge over one with it: the bridge that lies there belongs to another nart,
# and nobody may find it.
foreach(file IN ITEMS
    ${CMAKE_INSTALL_LIBDIR}/libnart_tokio.a
    ${CMAKE_INSTALL_LIBDIR}/libnart_tokio${CMAKE_DEBUG_POSTFIX}.a
    ${CMAKE_INSTALL_LIBDIR}/cmake/nart/nartTokio.cmake
    ${CMAKE_INSTALL_LIBDIR}/pkgconfig/nart-tokio.pc
    ${CMAKE_INSTALL_INCLUDEDIR}/nart/tokio.h
    ${CMAKE_INSTALL_DATADIR}/nart/crate)
  install(CODE "
    set(file \"${file}\")
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY \"\${CMAKE_INSTALL_PREFIX}\")
    if(EXISTS \"\$ENV{DESTDIR}\${file}\")
      message(STATUS \"Removing: \$ENV{DESTDIR}\${file}\")
      file(REMOVE_RECURSE \"\$ENV{DESTDIR}\${file}\")
    endif()")
endforeach()
