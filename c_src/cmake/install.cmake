# Installing nart::nart: headers, library, a relocatable CMake package and a pkg-config file. The
# bridge installs its own (rust_bridge/cmake/install.cmake).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/nart)

install(TARGETS nart nart_strict EXPORT nartTargets
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/nart DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN *.h PATTERN tokio.h EXCLUDE) # tokio.h is installed with the bridge
install(EXPORT nartTargets NAMESPACE nart:: DESTINATION ${package_dir})

# The checker of bodies, and nart_check().
install(DIRECTORY cmake/nart-check DESTINATION ${CMAKE_INSTALL_DATADIR}/nart FILES_MATCHING PATTERN *.py)
install(FILES observe/nart-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/nart)
install(FILES cmake/nart_check.cmake DESTINATION ${CMAKE_INSTALL_DATADIR}/nart)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE-APACHE ${PROJECT_SOURCE_DIR}/LICENSE-MIT
  DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/nart)

# While the major version is 0, a minor version may break its users.
configure_package_config_file(cmake/nartConfig.cmake.in nartConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_DATADIR)
write_basic_package_version_file(nartConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES ${CMAKE_CURRENT_BINARY_DIR}/nartConfig.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/nartConfigVersion.cmake
  DESTINATION ${package_dir})

# nart_install_pc(<name>): pkg-config finds the prefix from where the file lies. A folder that was given
# as an absolute path stays one; with such a libdir nothing tells the prefix from the file's place.
# The file names the library that was installed with it: in a prefix with two, the last one.
function(nart_install_pc name)
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
      BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE pc_prefix)
    string(PREPEND pc_prefix "\${pcfiledir}/")
  endif()
  foreach(kind IN ITEMS LIBDIR INCLUDEDIR)
    set(pc_${kind} "\${prefix}")
    cmake_path(APPEND pc_${kind} "${CMAKE_INSTALL_${kind}}") # replaces the prefix by an absolute path
  endforeach()
  set(pc_postfix $<$<CONFIG:Debug>:${CMAKE_DEBUG_POSTFIX}>)
  configure_file(cmake/${name}.pc.in ${name}.pc.in @ONLY)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/pc-$<CONFIG>/${name}.pc)
  file(GENERATE OUTPUT ${file} INPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc.in)
  install(FILES ${file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
set(pc_libs "")
if(nart_cares AND NOT BUILD_SHARED_LIBS) # the shared library names it itself
  set(pc_libs " -lcares")
endif()
nart_install_pc(nart)
