#include "nucleus/base/version.h"

#include <motet_commit.h>

const char *version_text(void)
{
    return MOTET_VERSION;
}

const char *version_commit(void)
{
    return MOTET_COMMIT;
}
