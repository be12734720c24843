# How the parts of Motet are built. Every helper skips names without sources
# and links only targets that exist.

set(MOTET_INCLUDES "${PROJECT_SOURCE_DIR}"
                   "${PROJECT_SOURCE_DIR}/nucleus/api/include")

function(motet_common NAME)
  target_include_directories(${NAME} PUBLIC ${MOTET_INCLUDES})
  target_include_directories(${NAME} SYSTEM PUBLIC ${MOTET_GENERATED})
  target_compile_options(${NAME} PRIVATE ${MOTET_WARNINGS})
endfunction()

# motet_links(NAME SCOPE LIBS...): links those that exist, and -lX.
function(motet_links NAME SCOPE)
  foreach(lib IN LISTS ARGN)
    if(TARGET ${lib} OR lib MATCHES "^-l")
      target_link_libraries(${NAME} ${SCOPE} ${lib})
    endif()
  endforeach()
endfunction()

# motet_pure_library(NAME SRCS... [LIBS ...]): no I/O, no clock, no thread. Its
# archive is checked by tests/check_purity.sh.
function(motet_pure_library NAME)
  cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
  if(NOT A_UNPARSED_ARGUMENTS)
    return()
  endif()
  add_library(${NAME} STATIC ${A_UNPARSED_ARGUMENTS})
  motet_common(${NAME})
  # strnlen() and its like; what must not be called is seen in the archive.
  target_compile_definitions(${NAME} PRIVATE _POSIX_C_SOURCE=200809L)
  motet_links(${NAME} PUBLIC ${A_LIBS})
  set_property(GLOBAL APPEND PROPERTY MOTET_PURE ${NAME})
endfunction()

# motet_library(NAME SRCS... [LIBS ...]): drivers, with the whole system.
function(motet_library NAME)
  cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
  if(NOT A_UNPARSED_ARGUMENTS)
    return()
  endif()
  add_library(${NAME} STATIC ${A_UNPARSED_ARGUMENTS})
  motet_common(${NAME})
  target_compile_definitions(${NAME} PRIVATE _GNU_SOURCE)
  motet_links(${NAME} PUBLIC ${A_LIBS})
endfunction()

# All that a user runs or links, and nothing that only tests need.
add_custom_target(programs)

# motet_program(NAME SRCS... [LIBS ...]): goes to bin/.
function(motet_program NAME)
  motet_executable(${NAME} ${ARGN})
  if(TARGET ${NAME})
    add_dependencies(programs ${NAME})
  endif()
endfunction()

function(motet_executable NAME)
  cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
  if(NOT A_UNPARSED_ARGUMENTS)
    return()
  endif()
  add_executable(${NAME} ${A_UNPARSED_ARGUMENTS})
  motet_common(${NAME})
  target_compile_definitions(${NAME} PRIVATE _GNU_SOURCE)
  motet_links(${NAME} PRIVATE ${A_LIBS} version)
endfunction()

# motet_protobuf(NAME FILES.proto...): compiled apart, without our warnings.
# Included as "folder/name.pb-c.h".
function(motet_protobuf NAME)
  set(sources)
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
               NORMALIZE OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR}
               OUTPUT_VARIABLE rel)
    string(REGEX REPLACE "\\.proto$" ".pb-c" stem "${MOTET_GENERATED}/${rel}")
    add_custom_command(
      OUTPUT ${stem}.c ${stem}.h
      COMMAND ${PROTOC_C} --proto_path=${PROJECT_SOURCE_DIR}
              --c_out=${MOTET_GENERATED} ${path}
      DEPENDS ${path}
      COMMENT "protoc-c ${rel}"
      VERBATIM)
    list(APPEND sources ${stem}.c ${stem}.h)
  endforeach()
  if(NOT sources)
    return()
  endif()
  file(MAKE_DIRECTORY ${MOTET_GENERATED})
  add_library(${NAME} STATIC ${sources})
  target_include_directories(${NAME} SYSTEM PUBLIC ${MOTET_GENERATED})
  target_compile_options(${NAME} PRIVATE -w)
  target_link_libraries(${NAME} PUBLIC PkgConfig::PROTOBUF_C)
  set_property(GLOBAL APPEND PROPERTY MOTET_PURE ${NAME})
endfunction()

# What no test may print. Criterion lets leaks pass and calls an empty run
# a success.
set(MOTET_TEST_FAILS "ERROR: LeakSanitizer|runtime error:|Tested: 0 ")

function(motet_test_properties NAME TIMEOUT)
  set_tests_properties(
    ${NAME} PROPERTIES FAIL_REGULAR_EXPRESSION "${MOTET_TEST_FAILS}" TIMEOUT
                       ${TIMEOUT})
endfunction()

# motet_test_program(NAME SRCS... [LIBS ...]): goes to tests/. Linked without a
# second optimisation: for some hundred of them that takes longer than all else.
function(motet_test_program NAME)
  motet_executable(${NAME} ${ARGN})
  set_target_properties(
    ${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
                       INTERPROCEDURAL_OPTIMIZATION OFF)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_link_options(${NAME} PRIVATE -fno-lto)
  endif()
endfunction()

# motet_test(NAME SRCS... [LIBS ...] [TIMEOUT s]): a Criterion test. Criterion
# does not start under ThreadSanitizer: there it is not built.
function(motet_test NAME)
  cmake_parse_arguments(A "" "TIMEOUT" "LIBS" ${ARGN})
  if(MOTET_KIND MATCHES "^(tsan|fuzz)$")
    return()
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  motet_test_program(${NAME} ${A_UNPARSED_ARGUMENTS} LIBS ${A_LIBS}
                     PkgConfig::CRITERION)
  # Criterion finds its tests in a section that nobody refers to.
  target_link_options(${NAME} PRIVATE -Wl,--no-gc-sections)
  add_test(NAME ${NAME} COMMAND ${NAME} -j1)
  motet_test_properties(${NAME} ${A_TIMEOUT})
endfunction()

# motet_plain_test(NAME SRCS... [LIBS ...] [TIMEOUT s]): a program that exits 0,
# for tests of threads: runs in every kind of build.
function(motet_plain_test NAME)
  cmake_parse_arguments(A "" "TIMEOUT" "LIBS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  motet_test_program(${NAME} ${A_UNPARSED_ARGUMENTS} LIBS ${A_LIBS}
                     Threads::Threads)
  add_test(NAME ${NAME} COMMAND ${NAME})
  motet_test_properties(${NAME} ${A_TIMEOUT})
endfunction()

# motet_fuzz(NAME SRCS... [LIBS ...]): a libFuzzer target in the fuzz build. In
# the others the same code replays tests/fuzz/corpus/NAME and seeded mutations
# of it as a test; so the corpus never rots.
function(motet_fuzz NAME)
  cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${NAME})
  set(sources ${A_UNPARSED_ARGUMENTS})
  if(NOT MOTET_KIND STREQUAL "fuzz")
    list(APPEND sources ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
  endif()
  motet_test_program(${NAME} ${sources} LIBS ${A_LIBS} base)
  if(MOTET_KIND STREQUAL "fuzz")
    target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
    set(found ${PROJECT_BINARY_DIR}/corpus/${NAME})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME ${NAME} COMMAND ${NAME} -seed=1 -runs=100000
                                  -max_total_time=30 ${found} ${corpus})
  else()
    add_test(NAME ${NAME} COMMAND ${NAME} ${corpus})
  endif()
  set_tests_properties(
    ${NAME}
    PROPERTIES FAIL_REGULAR_EXPRESSION "ERROR: LeakSanitizer|runtime error:"
               TIMEOUT 120 LABELS fuzz)
endfunction()

# The libraries of Motet that a source file needs, by what it includes. CMake
# runs again when the file changes.
function(motet_libs_of SOURCE OUT)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${SOURCE})
  file(STRINGS ${SOURCE} lines REGEX "^#include [\"<]")
  set(libs base)
  foreach(line IN LISTS lines)
    foreach(
      rule IN
      ITEMS "nucleus/core/:nucleus_core"
            "netmgr/core/:netmgr_core"
            "netmgr/path/:netmgr_path"
            "sites/core/:sites_core"
            "proto/:proto"
            "sites/site/:site"
            "netmgr/uv/:netmgr_uv"
            "sites/host/:host"
            "deploy/check/:check"
            "deploy/units/:units"
            "deploy/fault/fate:fate"
            "deploy/fault/text:fate_text"
            "deploy/chaos/:chaos"
            "deploy/switch/:switch"
            "tools/:cli"
            "tools/bench/:bench"
            "deploy/sim/:sim"
            "deploy/pki/:pki"
            "deploy/qemu/:qemu"
            "tests/support/:test_support"
            "nucleus/api/:motet_static"
            "motet/(motet|site|ipc|actor|port|group|api)[a-z_]*\\.h:motet_static")
      string(REGEX MATCH "^(.*):(.*)$" _ "${rule}")
      if(line MATCHES "[\"<]${CMAKE_MATCH_1}")
        string(REGEX REPLACE "^.*:" "" lib "${rule}")
        list(APPEND libs ${lib})
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES libs)
  set(${OUT}
      ${libs}
      PARENT_SCOPE)
endfunction()
