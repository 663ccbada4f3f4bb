# cmake -DSTRIP=... -DPROGRAM=... -DLIMIT=... -P check_size.cmake: the program, stripped, has at most LIMIT bytes.
execute_process(COMMAND ${STRIP} -o ${PROGRAM}.stripped ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${PROGRAM}.stripped size)
message(STATUS "${size} bytes")
if(size GREATER LIMIT)
  message(FATAL_ERROR "more than ${LIMIT}")
endif()
