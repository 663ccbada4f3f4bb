# Installing nart without the bridge over one with it: the bridge that lies there belongs to another nart,
# and nobody may find it. Its manual pages are those that include its header.
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
install(CODE "
  set(folder \"${CMAKE_INSTALL_MANDIR}/man3\")
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY \"\${CMAKE_INSTALL_PREFIX}\")
  set(folder \"\$ENV{DESTDIR}\${folder}\")
  file(GLOB pages \"\${folder}/nart_*.3\" \"\${folder}/NART_*.3\")
  foreach(page IN LISTS pages)
    file(STRINGS \"\${page}\" line REGEX \"^[.](In nart/tokio[.]h|so man3/)\" LIMIT_COUNT 1)
    if(line MATCHES \"^[.]In\")
      file(REMOVE \"\${page}\")
    elseif(line MATCHES \"^[.]so man3/(.+)\")
      list(APPEND links \"\${page}\")
      list(APPEND targets \"\${folder}/\${CMAKE_MATCH_1}\")
    endif()
  endforeach()
  foreach(link target IN ZIP_LISTS links targets)
    if(NOT EXISTS \"\${target}\")
      file(REMOVE \"\${link}\")
    endif()
  endforeach()")
