# Flags for each kind of build. The presets choose the kind and the compiler;
# a build without a preset is a release build.
set(MOTET_KIND
    "release"
    CACHE STRING "dev, release, gcc, tsan, fuzz or cov")
set_property(CACHE MOTET_KIND PROPERTY STRINGS dev release gcc tsan fuzz cov)

include(CheckCCompilerFlag)
include(CheckLinkerFlag)

set(MOTET_WARNINGS
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wconversion
    -Wsign-conversion
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wswitch-enum
    -Wimplicit-fallthrough
    -Wundef
    -Wvla
    -Wcast-qual
    -Wwrite-strings
    -Wformat=2
    -Wnull-dereference)
option(MOTET_WERROR "Warnings are errors" ON)
if(MOTET_WERROR)
  list(APPEND MOTET_WARNINGS -Werror)
endif()

# No path of the builder's machine in the results, and no time stamps.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
                    -ffile-prefix-map=${PROJECT_BINARY_DIR}/=build/ -Wdate-time)

# Adds the flags of a list that this compiler or linker knows.
function(motet_flags_if_known)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" known)
    check_c_compiler_flag("-Werror ${flag}" ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
endfunction()

function(motet_link_flags_if_known)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" known)
    check_linker_flag(C "${flag}" ${known})
    if(${known})
      add_link_options("${flag}")
    endif()
  endforeach()
endfunction()

set(sanitize)
if(MOTET_KIND STREQUAL "dev")
  add_compile_options(-O1 -g)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(MOTET_KIND STREQUAL "gcc")
  add_compile_options(-O0 -g)
elseif(MOTET_KIND STREQUAL "tsan")
  add_compile_options(-O1 -g)
  set(sanitize -fsanitize=thread)
elseif(MOTET_KIND STREQUAL "fuzz")
  add_compile_options(-O1 -g)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_compile_options(-fsanitize=fuzzer-no-link)
elseif(MOTET_KIND STREQUAL "cov")
  add_compile_options(-O0 -g)
  add_compile_options(--coverage)
  add_link_options(--coverage)
elseif(MOTET_KIND STREQUAL "release")
  add_compile_options(-O2 -g -ffunction-sections -fdata-sections)
  motet_flags_if_known(
    -fstack-protector-strong
    -fstack-clash-protection
    -fcf-protection=full
    -ftrivial-auto-var-init=zero
    -fzero-call-used-regs=used-gpr
    -fno-delete-null-pointer-checks
    -fno-strict-overflow
    -fno-strict-aliasing
    -fstrict-flex-arrays=3)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  # The machines are small functions in many files: seen as a whole they are a
  # tenth faster. The objects keep ordinary code too, for the checks.
  include(CheckIPOSupported)
  check_ipo_supported(RESULT ipo LANGUAGES C)
  if(ipo)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    motet_flags_if_known(-ffat-lto-objects)
  endif()
  motet_link_flags_if_known(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
                            -Wl,--as-needed -Wl,--gc-sections)
else()
  message(FATAL_ERROR "MOTET_KIND: no such kind of build: ${MOTET_KIND}")
endif()
if(sanitize)
  add_compile_options(${sanitize} -fno-omit-frame-pointer)
  add_link_options(${sanitize})
endif()

# Executables are position independent in every kind of build.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
