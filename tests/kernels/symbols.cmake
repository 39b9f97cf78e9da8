# Files compiled for one instruction set must define no symbol that the linker may merge with another file's copy (weak or
# unique symbols: inline functions, templates): it could pick the copy that this processor cannot run.
#   cmake -DNM=nm -DOBJECTS="a.o;b.o" -P symbols.cmake
foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} --defined-only ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${NM} ${object}: ${failed}")
  endif()
  string(REGEX MATCHALL "[0-9a-f]+ [WwVvu] [^\n]*" shared "${symbols}")
  list(FILTER shared EXCLUDE REGEX "(DW.ref|__asan|__odr|__ubsan|__tsan|__sanitizer)")
  if(shared)
    message(FATAL_ERROR "${object}: expected no symbol that other files may define too, got ${shared}")
  endif()
endforeach()
