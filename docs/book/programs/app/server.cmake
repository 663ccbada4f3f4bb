cmake_minimum_required(VERSION 3.22)
project(mine C)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo) # optimised, with debug information
endif()

find_package(nart 0.1 REQUIRED)
enable_testing()

foreach(program hello server)
  add_executable(${program} ${program}.c)
  target_link_libraries(${program} PRIVATE nart::nart nart::strict)
endforeach()
