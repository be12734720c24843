#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char file_name[] = "incarnation";
static const char temp_name[] = "incarnation.new";

static bool fail(char *why, size_t size, const char *what, const char *name)
{
    snprintf(why, size, "%s %s: %s", what, name, strerror(errno));
    return false;
}

/* A file that is lost or spoilt counts as 0: the clock, and the memory of the
 * other sites, still keep the incarnation from being used twice. */
static uint32_t read_incarnation(const struct state *s)
{
    char text[16] = "";
    int fd = openat(s->dir, file_name, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    unsigned long v = n > 0 ? strtoul(text, NULL, 10) : 0;
    return v > UINT32_MAX ? 0 : (uint32_t)v;
}

static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        text += n;
        size -= (size_t)n;
    }
    return true;
}

static bool write_incarnation(const struct state *s, uint32_t v, char *why,
                              size_t size)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%u\n", v);
    int fd = openat(s->dir, temp_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                    0600);

    if (fd < 0) {
        return fail(why, size, "cannot write", temp_name);
    }
    bool ok = write_all(fd, text, (size_t)length) && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    if (!ok || renameat(s->dir, temp_name, s->dir, file_name) != 0 ||
        fsync(s->dir) != 0) {
        return fail(why, size, "cannot write", file_name);
    }
    return true;
}

bool state_next(struct state *s, uint32_t at_least, char *why, size_t size)
{
    struct timespec now;
    uint32_t next = read_incarnation(s);

    if (next == UINT32_MAX) {
        snprintf(why, size,
                 "incarnations have run out: make this site a new "
                 "key");
        return false;
    }
    next = next > s->incarnation ? next : s->incarnation;
    next++;
    next = next > at_least ? next : at_least;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec > (time_t)next && now.tv_sec < (time_t)UINT32_MAX) {
        next = (uint32_t)now.tv_sec;
    }
    if (!write_incarnation(s, next, why, size)) {
        return false;
    }
    s->incarnation = next;
    return true;
}

/* The lock file holds the pid of its holder, for the message of the second. */
static bool take_lock(struct state *s, const char *dir, char *why, size_t size)
{
    char text[16] = "?";

    s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0) {
        return fail(why, size, "cannot open the lock in", dir);
    }
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = read(s->lock, text, sizeof text - 1);
        text[n > 0 ? n - 1 : 0] = '\0';
        snprintf(why, size,
                 "%s is in use by process %s: a second copy of this site was "
                 "not started",
                 dir, text);
        return false;
    }
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(s->lock, 0) != 0 ||
        !write_all(s->lock, text, (size_t)length)) {
        return fail(why, size, "cannot write the lock in", dir);
    }
    return true;
}

bool state_open(struct state *s, const char *dir, uint32_t at_least, char *why,
                size_t size)
{
    *s = (struct state){.dir = -1, .lock = -1};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return fail(why, size, "cannot make the state folder", dir);
    }
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0) {
        return fail(why, size, "cannot open the state folder", dir);
    }
    if (!take_lock(s, dir, why, size) || !state_next(s, at_least, why, size)) {
        state_close(s);
        return false;
    }
    return true;
}

void state_close(struct state *s)
{
    if (s->lock >= 0) {
        close(s->lock);
    }
    if (s->dir >= 0) {
        close(s->dir);
    }
    s->lock = -1;
    s->dir = -1;
}
