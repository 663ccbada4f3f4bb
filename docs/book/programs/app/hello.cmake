cmake_minimum_required(VERSION 3.22)
project(mine C)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo) # optimised, with debug information
endif()

find_package(nart 0.1 REQUIRED)
enable_testing()

add_executable(hello hello.c)
target_link_libraries(hello PRIVATE nart::nart nart::strict)
