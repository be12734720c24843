# Called in every build; see MotetVersion.cmake.
cmake_minimum_required(VERSION 3.25)
execute_process(
  COMMAND git describe --tags --always --dirty
  WORKING_DIRECTORY ${SOURCE}
  OUTPUT_VARIABLE commit
  OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET
  RESULT_VARIABLE failed)
if(failed OR commit STREQUAL "")
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT
     "#define MOTET_VERSION \"@VERSION@\"\n#define MOTET_COMMIT \"@commit@\"\n"
     @ONLY)
