#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

/* CHECK states what must be true, in release builds too. It is never applied
 * to what came from outside: bytes of a peer, a user or the system cannot fire
 * one. A failed check prints one line to stderr and aborts. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

__attribute__((cold)) _Noreturn void check_failed(const char *cond,
                                                  const char *file, int line);

#define MUST_USE __attribute__((warn_unused_result))

/* The struct that holds `ptr` as its member. */
#define CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
