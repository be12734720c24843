#include "dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DUMP_PATH_MAX = 4096 };

bool dump_state(struct site *site, const struct motet_supervisor *table,
                const char *name, const char *folder, char *why,
                size_t why_size)
{
    char path[DUMP_PATH_MAX];
    const void *state = site_actor_state(site, name);
    if (state == NULL || table->save == NULL) {
        return true;
    }
    const size_t size = table->save(state, NULL, 0);
    char *bytes = malloc(size > 0 ? size : 1);
    CHECK(bytes != NULL);
    const size_t saved = table->save(state, bytes, size);
    (void)snprintf(path, sizeof path, "%s/%s.%s.state", folder,
                   site_config(site)->name, name);
    FILE *f = saved > size ? NULL : fopen(path, "we");
    bool ok = f != NULL && fwrite(bytes, 1, saved, f) == saved;
    ok = f != NULL && fclose(f) == 0 && ok;
    if (!ok) {
        (void)snprintf(why, why_size, "cannot write %.300s: %s", path,
                       saved > size ? "the actor saved more than it said"
                                    : strerror(errno));
    }
    free(bytes);
    return ok;
}
