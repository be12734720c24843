#include "nucleus/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(stderr, "motet: check failed: %s (%s:%d)\n", cond, file,
                  line);
    abort();
}
