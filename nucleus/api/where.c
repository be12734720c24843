#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "nucleus/base/ui.h"

enum {
    FOLDERS_MAX = 4096, /* clusters, and sites of one, that are looked at */
};

static enum motet_err why_not(int error)
{
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
        return MOTET_E_NO_SITE;
    }
    return error == EACCES || error == EPERM ? MOTET_E_PERMISSION
                                             : MOTET_E_SYSTEM;
}

static int connect_to(const char *path, enum motet_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const size_t size = strlen(path);
    if (size >= sizeof addr.sun_path) {
        *err = MOTET_E_TOO_BIG;
        return -1;
    }
    memcpy(addr.sun_path, path, size + 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *err = MOTET_E_SYSTEM;
        return -1;
    }
    int failed;
    do {
        failed = connect(fd, (const struct sockaddr *)&addr, sizeof addr);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) {
        *err = why_not(errno);
        close(fd);
        return -1;
    }
    *err = MOTET_OK;
    return fd;
}

static int connect_in(const char *cluster, const char *site,
                      enum motet_err *err)
{
    char path[MOTET_PATH_MAX];
    char folder[MOTET_PATH_MAX];
    *err = motet_socket_path(cluster, site, path, sizeof path);
    if (*err == MOTET_OK) {
        *err = motet_runtime_dir(cluster, folder, sizeof folder);
    }
    if (*err != MOTET_OK) {
        return -1;
    }
    const int fd = connect_to(path, err);
    if (fd >= 0 && !path_is_ours(folder)) {
        *err = MOTET_E_PERMISSION; /* anybody could have put it there */
        close(fd);
        return -1;
    }
    return fd;
}

static void free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

/* "paris.sock" -> "paris" */
static bool site_of(const char *file, char site[MOTET_NAME_MAX + 1])
{
    const char *dot = strrchr(file, '.');
    if (dot == NULL || strcmp(dot, ".sock") != 0 || dot == file ||
        dot - file > MOTET_NAME_MAX) {
        return false;
    }
    memcpy(site, file, (size_t)(dot - file));
    site[dot - file] = '\0';
    return true;
}

/* The first site of a cluster, by name, that answers. */
static int connect_first(const char *cluster, enum motet_err *err)
{
    char folder[MOTET_PATH_MAX];
    struct dirent **names = NULL;
    int fd = -1;
    *err = motet_runtime_dir(cluster, folder, sizeof folder);
    if (*err != MOTET_OK) {
        return -1;
    }
    const int count = scandir(folder, &names, NULL, alphasort);
    *err = MOTET_E_NO_SITE;
    for (int i = 0; i < count && i < FOLDERS_MAX && fd < 0; i++) {
        char site[MOTET_NAME_MAX + 1];
        enum motet_err one;
        if (site_of(names[i]->d_name, site)) {
            fd = connect_in(cluster, site, &one);
            *err = fd >= 0 || one != MOTET_E_NO_SITE ? one : *err;
        }
    }
    free_names(names, count);
    return fd;
}

static int connect_one(const char *cluster, const char *site,
                       enum motet_err *err)
{
    return site != NULL ? connect_in(cluster, site, err)
                        : connect_first(cluster, err);
}

/* In the only cluster that runs, or that has a running site of this name. */
static int connect_only(const char *site, enum motet_err *err)
{
    char folder[MOTET_PATH_MAX];
    struct dirent **names = NULL;
    int fd = -1;
    *err = motet_runtime_dir(NULL, folder, sizeof folder);
    if (*err != MOTET_OK) {
        return -1;
    }
    const int count = scandir(folder, &names, NULL, alphasort);
    *err = MOTET_E_NO_SITE;
    for (int i = 0; i < count && i < FOLDERS_MAX; i++) {
        enum motet_err one;
        const int more = names[i]->d_name[0] != '.'
                             ? connect_one(names[i]->d_name, site, &one)
                             : -1;
        if (more >= 0 && fd >= 0) {
            close(more);
            close(fd);
            fd = -1;
            *err = MOTET_E_AMBIGUOUS;
            break;
        }
        if (more >= 0) {
            fd = more;
            *err = MOTET_OK;
        }
    }
    free_names(names, count);
    return fd;
}

static const char *setting(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe) */
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int where_connect(const char *where, enum motet_err *err)
{
    char cluster[MOTET_NAME_MAX + 1];
    where = where != NULL ? where : setting("MOTET_SITE");
    if (where != NULL && (where[0] == '/' || where[0] == '.')) {
        return connect_to(where, err);
    }
    const char *slash = where != NULL ? strchr(where, '/') : NULL;
    if (slash == NULL && where != NULL && !ui_name_ok(where)) {
        *err = MOTET_E_INVALID;
        return -1;
    }
    if (slash == NULL) {
        const char *named = setting("MOTET_CLUSTER");
        return named != NULL ? connect_one(named, where, err)
                             : connect_only(where, err);
    }
    const size_t size = (size_t)(slash - where);
    if (size > MOTET_NAME_MAX) {
        *err = MOTET_E_INVALID;
        return -1;
    }
    memcpy(cluster, where, size);
    cluster[size] = '\0';
    return connect_in(cluster, slash + 1, err);
}
