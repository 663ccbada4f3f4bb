# nart_warnings(<target>): the warnings of nart's own code. Whether they are errors is said by
# CMAKE_COMPILE_WARNING_AS_ERROR, which the developers' presets set and nothing else does.
function(nart_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wcast-qual
    -Wimplicit-fallthrough
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>)
endfunction()

# nart::strict: for targets with bodies written in <nart/co.h>. A local variable does not survive
# an await; these warnings find some that were meant to. gcc sees an initialisation that the resume
# jumps over, clang a use on a path without one: no compiler finds both. Neither finds one that is
# initialised before NART_BEGIN and changed in the body: nart_check() does. -Wshadow finds an await within another
# one. -fstack-clash-protection makes a function with large local variables touch each page of its stack: so a fiber
# whose stack is too small for them meets the guard pages, which reports the overflow, and not other memory.
add_library(nart_strict INTERFACE)
add_library(nart::strict ALIAS nart_strict)
set_target_properties(nart_strict PROPERTIES EXPORT_NAME strict)
target_compile_options(nart_strict INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wshadow>
  $<$<COMPILE_LANG_AND_ID:C,GNU>:-fstack-clash-protection>
  $<$<COMPILE_LANG_AND_ID:C,GNU>:-Wjump-misses-init -Wmaybe-uninitialized>
  $<$<COMPILE_LANG_AND_ID:C,Clang,AppleClang>:-Wconditional-uninitialized -Wsometimes-uninitialized>)
