#include "folders.h"

#include <errno.h>
#include <ftw.h>
#include <motet/motet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

enum { OPEN_FOLDERS_MAX = 16 };

static bool fits(int printed)
{
    if (printed < 0 || printed >= PATH_BYTES) {
        say_error("a path is longer than %d bytes", PATH_BYTES - 1);
        return false;
    }
    return true;
}

bool path_join(char *to, const char *dir, const char *name, const char *suffix)
{
    return fits(snprintf(to, PATH_BYTES, "%s/%s%s", dir, name,
                         suffix == NULL ? "" : suffix));
}

/* A variable that names a folder; relative ones do not count (XDG). */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] == '/' ? value : NULL;
}

static bool below_home(char *to, const char *path)
{
    const char *home = variable("HOME");

    if (home == NULL) {
        say_error("HOME is not set");
        say_hint("set HOME, or XDG_STATE_HOME and XDG_DATA_HOME");
        return false;
    }
    return fits(snprintf(to, PATH_BYTES, "%s/%s/motet", home, path));
}

/* Programs look for sockets where the library says. */
static bool run_root(char *to)
{
    if (motet_runtime_dir(NULL, to, PATH_BYTES) == MOTET_OK) {
        return true;
    }
    say_error("the path of the folder of sockets is too long");
    say_hint("set MOTET_RUNTIME_DIR to a shorter one");
    return false;
}

bool folders_cache(char *path)
{
    const char *xdg = variable("XDG_CACHE_HOME");

    if (xdg != NULL) {
        return fits(snprintf(path, PATH_BYTES, "%s/motet", xdg));
    }
    if (getuid() == 0) {
        return fits(snprintf(path, PATH_BYTES, "/var/cache/motet"));
    }
    return below_home(path, ".cache");
}

static bool root_of(char *to, const char *name, const char *below)
{
    const char *xdg = variable(name);

    if (xdg != NULL) {
        return fits(snprintf(to, PATH_BYTES, "%s/motet", xdg));
    }
    if (getuid() == 0) {
        return fits(snprintf(to, PATH_BYTES, "/var/lib/motet"));
    }
    return below_home(to, below);
}

bool folders_of(const char *cluster, struct folders *f)
{
    char run[PATH_BYTES];
    char state[PATH_BYTES];
    char data[PATH_BYTES];

    if (!run_root(run) || !root_of(state, "XDG_STATE_HOME", ".local/state") ||
        !root_of(data, "XDG_DATA_HOME", ".local/share")) {
        return false;
    }
    if (cluster[0] == '\0') {
        return fits(snprintf(f->run, PATH_BYTES, "%s", run)) &&
               fits(snprintf(f->state, PATH_BYTES, "%s", state)) &&
               fits(snprintf(f->pki, PATH_BYTES, "%s", data));
    }
    return path_join(f->run, run, cluster, NULL) &&
           path_join(f->state, state, cluster, NULL) &&
           path_join(f->pki, data, cluster, "/pki");
}

static bool is_ours(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        say_error("%.300s is in the way: it is no folder", path);
        return false;
    }
    if (st.st_uid != getuid()) {
        say_error("%.300s belongs to user %u", path, (unsigned)st.st_uid);
        say_hint("set MOTET_RUNTIME_DIR to a folder of your own");
        return false;
    }
    return true;
}

bool folder_make(const char *path, unsigned mode)
{
    char part[PATH_BYTES];

    if (!fits(snprintf(part, sizeof part, "%s", path))) {
        return false;
    }
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(part, 0755) != 0 && errno != EEXIST) {
                say_error("cannot make %.300s: %s", part, strerror(errno));
                return false;
            }
            *p = '/';
        }
    }
    if (mkdir(path, mode) == 0) {
        return true;
    }
    if (errno != EEXIST) {
        say_error("cannot make %.300s: %s", path, strerror(errno));
        return false;
    }
    return is_ours(path);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    (void)nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}

void folders_purge(const struct folders *f)
{
    char above[PATH_BYTES];

    folder_remove(f->run);
    folder_remove(f->state);
    folder_remove(f->pki);
    snprintf(above, sizeof above, "%s", f->pki);
    *strrchr(above, '/') = '\0';
    (void)rmdir(above);
}
