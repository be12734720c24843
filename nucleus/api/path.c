#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "nucleus/base/ui.h"

static enum motet_err fits(int wanted, size_t size)
{
    return wanted >= 0 && (size_t)wanted < size ? MOTET_OK : MOTET_E_TOO_BIG;
}

static const char *setting(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe) */
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool name_ok(const char *name)
{
    return ui_name_ok(name) && strchr(name, '/') == NULL && name[0] != '.';
}

/* The folder above those of the clusters. */
static enum motet_err base_dir(char *path, size_t size)
{
    const char *base = setting("MOTET_RUNTIME_DIR");
    if (base != NULL) {
        return fits(snprintf(path, size, "%s", base), size);
    }
    if (geteuid() == 0) {
        return fits(snprintf(path, size, "/run/motet"), size);
    }
    base = setting("XDG_RUNTIME_DIR");
    if (base != NULL) {
        return fits(snprintf(path, size, "%s/motet", base), size);
    }
    base = setting("TMPDIR");
    return fits(snprintf(path, size, "%s/motet-%lu",
                         base != NULL ? base : "/tmp",
                         (unsigned long)geteuid()),
                size);
}

enum motet_err motet_runtime_dir(const char *cluster, char *path, size_t size)
{
    if (path == NULL || size == 0 || (cluster != NULL && !name_ok(cluster))) {
        return MOTET_E_INVALID;
    }
    const enum motet_err err = base_dir(path, size);
    if (err != MOTET_OK || cluster == NULL) {
        return err;
    }
    const size_t at = strlen(path);
    return fits(snprintf(path + at, size - at, "/%s", cluster), size - at);
}

enum motet_err motet_socket_path(const char *cluster, const char *site,
                                 char *path, size_t size)
{
    if (cluster == NULL || site == NULL || !name_ok(site)) {
        return MOTET_E_INVALID;
    }
    const enum motet_err err = motet_runtime_dir(cluster, path, size);
    if (err != MOTET_OK) {
        return err;
    }
    const size_t at = strlen(path);
    const int wanted = snprintf(path + at, size - at, "/%s.sock", site);
    if (fits(wanted, size - at) != MOTET_OK) {
        return MOTET_E_TOO_BIG;
    }
    return strlen(path) < MOTET_PATH_MAX ? MOTET_OK : MOTET_E_TOO_BIG;
}

bool path_is_ours(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return false;
    }
    return (st.st_uid == geteuid() || st.st_uid == 0) &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}
