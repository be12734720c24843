#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 8 << 20 }; /* bytes: 64 * 64 links are below 2 MiB */

int switch_connect(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    union {
        struct sockaddr_un *un;
        struct sockaddr *any;
    } u = {.un = &addr};

    if (strlen(path) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, u.any, sizeof addr) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int64_t now_ms(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        text += n;
        size -= (size_t)n;
    }
    return true;
}

/* Appends what has come. @return false at the end, or on a failure */
static bool read_some(int fd, char **text, size_t *size)
{
    char part[65536];
    ssize_t n = recv(fd, part, sizeof part, 0);

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    if (n <= 0 || *size + (size_t)n > REPLY_MAX) {
        errno = n == 0 ? ECONNRESET : n < 0 ? errno : EMSGSIZE;
        return false;
    }
    char *more = realloc(*text, *size + (size_t)n + 1);
    CHECK(more != NULL);
    memcpy(more + *size, part, (size_t)n);
    *text = more;
    *size += (size_t)n;
    more[*size] = '\0';
    return true;
}

static bool read_line(int fd, int timeout_ms, char **reply)
{
    const int64_t end = now_ms() + timeout_ms;
    char *text = NULL;
    size_t size = 0;

    while (text == NULL || text[size - 1] != '\n') {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        int found = poll(&p, 1, left > 0 ? (int)left : 0);
        if (found < 0 && errno == EINTR) {
            continue;
        }
        if (found == 0) {
            errno = ETIMEDOUT;
        }
        if (found <= 0 || !read_some(fd, &text, &size)) {
            free(text);
            return false;
        }
    }
    text[size - 1] = '\0';
    *reply = text;
    return true;
}

bool switch_ask(int fd, const char *line, int timeout_ms, char **reply)
{
    size_t size = strlen(line);

    *reply = NULL;
    if (size >= SWITCH_LINE_MAX || strchr(line, '\n') != NULL) {
        errno = EMSGSIZE;
        return false;
    }
    return write_all(fd, line, size) && write_all(fd, "\n", 1) &&
           read_line(fd, timeout_ms, reply);
}
