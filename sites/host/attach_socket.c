#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach_inside.h"

static bool complain(char *why, size_t why_size, const char *what,
                     const char *path)
{
    (void)snprintf(why, why_size, "%s %s: %s", what, path,
                   uv_strerror(uv_translate_sys_error(errno)));
    return false;
}

static bool read_allow(struct attach *a, const struct config_list *allow,
                       char *why, size_t why_size)
{
    const uint32_t count = allow != NULL ? allow->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        char *end;
        errno = 0;
        const unsigned long uid = strtoul(allow->items[i], &end, 10);
        if (errno != 0 || end == allow->items[i] || *end != '\0' ||
            allow->items[i][0] == '-' || uid >= UINT32_MAX) {
            (void)snprintf(why, why_size, "allow: not a user id: %s",
                           allow->items[i]);
            return false;
        }
        a->allow[a->allow_count++] = (uid_t)uid;
    }
    return true;
}

bool socket_may_come(const struct attach *a, uid_t uid)
{
    for (uint32_t i = 0; i < a->allow_count; i++) {
        if (a->allow[i] == uid) {
            return true;
        }
    }
    return uid == 0 || uid == geteuid();
}

/* Makes the folders of `path` that are missing. */
static bool make_folders(const char *path, char *why, size_t why_size)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *at = folder + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
            return complain(why, why_size, "cannot make folder", folder);
        }
        *at = '/';
    }
    return true;
}

/* Nobody else may put a socket of the same name in its place. */
static bool check_folder(const struct attach *a, const char *path, char *why,
                         size_t why_size)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    struct stat st;
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)snprintf(folder, sizeof folder, ".");
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    if (stat(folder, &st) != 0) {
        return complain(why, why_size, "cannot look at folder", folder);
    }
    const bool ours = st.st_uid == geteuid() || st.st_uid == 0;
    const bool open = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (!ours || (open && (st.st_mode & S_ISVTX) == 0)) {
        (void)snprintf(why, why_size,
                       "folder %s of the socket can be written by others: "
                       "chmod 0700 it, or choose another",
                       folder);
        return false;
    }
    if (a->allow_count > 0 && st.st_uid == geteuid() &&
        chmod(folder, (st.st_mode & 07777) | S_IXGRP | S_IXOTH) != 0) {
        return complain(why, why_size, "cannot open folder", folder);
    }
    return true;
}

/* A file left by a process that died is removed; a living one is respected. */
static bool clear_path(const struct sockaddr_un *addr, char *why,
                       size_t why_size)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) != 0) {
        return true;
    }
    if (!S_ISSOCK(st.st_mode)) {
        (void)snprintf(why, why_size, "%s is there and is no socket",
                       addr->sun_path);
        return false;
    }
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return complain(why, why_size, "no socket for", addr->sun_path);
    }
    const bool dead =
        connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 &&
        (errno == ECONNREFUSED || errno == EPROTOTYPE);
    close(fd);
    if (!dead) {
        (void)snprintf(why, why_size, "another site is listening on %s",
                       addr->sun_path);
        return false;
    }
    if (unlink(addr->sun_path) != 0) {
        return complain(why, why_size, "cannot remove the old", addr->sun_path);
    }
    return true;
}

static bool bind_and_listen(struct attach *a, const struct sockaddr_un *addr,
                            char *why, size_t why_size)
{
    struct stat st;
    a->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    a->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (a->fd < 0 || a->reserve < 0) {
        return complain(why, why_size, "no descriptor for", a->path);
    }
    /* Before bind(): the file never stands open for a moment. */
    if (fchmod(a->fd, 0600) != 0 ||
        bind(a->fd, (const struct sockaddr *)addr, sizeof *addr) != 0) {
        return complain(why, why_size, "cannot listen on", a->path);
    }
    if (a->allow_count > 0 && chmod(a->path, 0666) != 0) {
        return complain(why, why_size, "cannot open to others", a->path);
    }
    if (listen(a->fd, ATTACH_BACKLOG) != 0 || lstat(a->path, &st) != 0) {
        return complain(why, why_size, "cannot listen on", a->path);
    }
    a->device = st.st_dev;
    a->inode = st.st_ino;
    return true;
}

bool socket_open(struct attach *a, const char *path,
                 const struct config_list *allow, char *why, size_t why_size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    a->fd = -1;
    a->reserve = -1;
    if (strlen(path) >= sizeof addr.sun_path) {
        (void)snprintf(why, why_size,
                       "the path of a socket has at most %zu bytes, this one "
                       "has %zu: %s",
                       sizeof addr.sun_path - 1, strlen(path), path);
        return false;
    }
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    (void)snprintf(a->path, sizeof a->path, "%s", path);
    return read_allow(a, allow, why, why_size) &&
           make_folders(path, why, why_size) &&
           check_folder(a, path, why, why_size) &&
           clear_path(&addr, why, why_size) &&
           bind_and_listen(a, &addr, why, why_size);
}

void socket_close(struct attach *a)
{
    struct stat st;
    if (a->inode != 0 && lstat(a->path, &st) == 0 && st.st_dev == a->device &&
        st.st_ino == a->inode) {
        (void)unlink(a->path);
    }
    if (a->fd >= 0) {
        close(a->fd);
    }
    if (a->reserve >= 0) {
        close(a->reserve);
    }
    a->fd = -1;
    a->reserve = -1;
    a->inode = 0;
}

/* No descriptor is left: with the one kept back a connection is taken and
 * closed, or the loop would turn for ever on it. */
static void turn_one_away(struct attach *a)
{
    close(a->reserve);
    const int fd = accept(a->fd, NULL, NULL);
    if (fd >= 0) {
        socket_gone(fd, MOTET_E_LIMIT);
        close(fd);
    }
    a->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int socket_accept(struct attach *a, pid_t *pid, struct motet_pi *pi)
{
    struct ucred cred;
    socklen_t size = sizeof cred;
    const int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if ((errno == EMFILE || errno == ENFILE) && a->reserve >= 0) {
            turn_one_away(a);
        }
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0) {
        close(fd);
        return -1;
    }
    *pid = cred.pid;
    *pi = (struct motet_pi){.uid = cred.uid, .gid = cred.gid};
    return fd;
}
