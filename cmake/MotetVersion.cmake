# build/.../gen/motet_commit.h holds the version and the commit. It is written
# only when they changed, and only nucleus/base/version.c includes it, so that a
# commit rebuilds one file.
set(MOTET_GENERATED "${PROJECT_BINARY_DIR}/gen")
add_custom_target(
  motet_commit
  COMMAND
    ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D
    OUT=${MOTET_GENERATED}/motet_commit.h -D VERSION=${PROJECT_VERSION} -P
    ${PROJECT_SOURCE_DIR}/cmake/write_commit.cmake
  BYPRODUCTS ${MOTET_GENERATED}/motet_commit.h
  COMMENT "")
