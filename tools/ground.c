#include "ground.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

static const struct ground *const grounds[] = {&ground_host, &ground_netns,
                                               &ground_qemu};

enum { NUMBER_MAX = 250, LINE_BYTES = 256 };

const struct ground *ground_at(size_t i)
{
    return i < ARRAY_LEN(grounds) ? grounds[i] : NULL;
}

const struct ground *ground_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(grounds); i++) {
        if (strcmp(grounds[i]->name, name) == 0) {
            return grounds[i];
        }
    }
    return NULL;
}

const char *ground_names(char *text)
{
    enum { TEXT_BYTES = 64 };
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_LEN(grounds); i++) {
        const char *between = i == 0                        ? ""
                              : i + 1 == ARRAY_LEN(grounds) ? " or "
                                                            : ", ";
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s%s",
                                 between, grounds[i]->name);
    }
    return text;
}

const char *ground_beside(char *to, const char *path, const char *suffix)
{
    const char *dot = strrchr(path, '.');
    const size_t n = dot == NULL ? strlen(path) : (size_t)(dot - path);

    CHECK(n + strlen(suffix) < PATH_BYTES);
    memmove(to, path, n);
    memcpy(to + n, suffix, strlen(suffix) + 1);
    return to;
}

/* ---- the file --------------------------------------------------------------
 */

bool ground_is_switched(const struct site_files *site)
{
    return site->ground->switched && !site->user_net;
}

static bool take(struct site_files *site, const char *key, const char *value)
{
    if (strcmp(key, "ground") == 0) {
        site->ground = ground_find(value);
        return site->ground != NULL;
    }
    if (strcmp(key, "memory") == 0) {
        site->memory_mib = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(key, "network") == 0) {
        site->user_net = strcmp(value, "user") == 0;
    }
    return true;
}

bool ground_read(struct site_files *site)
{
    char path[PATH_BYTES];
    char line[LINE_BYTES];
    char key[32];
    char value[64];
    bool ok = true;
    FILE *f = fopen(ground_beside(path, site->conf, ".ground"), "re");

    site->ground = &ground_host;
    if (f == NULL) {
        return true;
    }
    while (ok && fgets(line, sizeof line, f) != NULL) {
        ok = sscanf(line, "%31s = %63s", key, value) != 2 ||
             take(site, key, value);
    }
    fclose(f);
    if (!ok) {
        say_error("%.300s: no ground \"%s\"", path, value);
        say_hint("another version of motet made it? begin anew: motet down "
                 "--purge");
        site->ground = &ground_host;
    }
    return ok;
}

bool ground_write(const struct site_files *site)
{
    char path[PATH_BYTES];

    (void)ground_beside(path, site->conf, ".ground");
    if (site->ground == &ground_host) {
        return unlink(path) == 0 || errno == ENOENT;
    }
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        say_error("cannot write %.300s: %s", path, strerror(errno));
        return false;
    }
    fprintf(f, "ground = %s\n", site->ground->name);
    if (site->memory_mib > 0) {
        fprintf(f, "memory = %u\n", site->memory_mib);
    }
    if (site->user_net) {
        fprintf(f, "network = user\n");
    }
    return fclose(f) == 0;
}

/* ---- addresses of the switch -----------------------------------------------
 */

bool ground_address(const struct cluster *c, struct site_files *site)
{
    char address[ADDRESS_MAX];

    for (unsigned i = 1; i <= NUMBER_MAX; i++) {
        snprintf(address, sizeof address, "10.77.0.%u:%d", i, GROUND_PORT);
        if (!cluster_has_address(c, address)) {
            snprintf(site->address, sizeof site->address, "%s", address);
            return true;
        }
    }
    say_error("no free address of 10.77.0.0/24");
    return false;
}
