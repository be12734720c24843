#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

enum { CHUNK_BYTES = 65536 };

struct pipes {
    int in[2];  /* its stdin */
    int out[2]; /* its stdout */
};

static void shut(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void shut_all(struct pipes *p)
{
    shut(&p->in[0]);
    shut(&p->in[1]);
    shut(&p->out[0]);
    shut(&p->out[1]);
}

static _Noreturn void become(const char *command, const struct pipes *p)
{
    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (dup2(p->in[0], STDIN_FILENO) >= 0 &&
        dup2(p->out[1], STDOUT_FILENO) >= 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

static bool take(struct exec_result *r, int fd, size_t max, bool *end)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(fd, chunk, sizeof chunk);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    *end = n == 0;
    if ((size_t)n > max - r->size) {
        return false;
    }
    char *more = realloc(r->out, r->size + (size_t)n + 1);
    CHECK(more != NULL);
    r->out = more;
    if (n > 0) {
        memcpy(r->out + r->size, chunk, (size_t)n);
        r->size += (size_t)n;
    }
    return true;
}

/* Feeds and collects until it has closed its stdout. */
static bool talk(struct pipes *p, const char *in, size_t in_bytes, size_t max,
                 uint64_t end_ns, struct exec_result *r)
{
    size_t given = 0;
    bool end = false;

    while (!end) {
        struct pollfd fds[2] = {
            {.fd = p->out[0], .events = POLLIN},
            {.fd = p->in[1], .events = POLLOUT},
        };
        uint64_t now = clock_ns();
        if (given == in_bytes) {
            shut(&p->in[1]);
            fds[1].fd = -1;
        }
        if (now >= end_ns) {
            r->timed_out = true;
            return false;
        }
        if (poll(fds, 2, (int)((end_ns - now) / 1000000 + 1)) < 0 &&
            errno != EINTR) {
            return false;
        }
        if (fds[1].fd >= 0 && fds[1].revents != 0) {
            ssize_t n = write(p->in[1], in + given, in_bytes - given);
            /* it may not want to read all */
            given = n >= 0           ? given + (size_t)n
                    : errno == EPIPE ? in_bytes
                                     : given;
        }
        if (fds[0].revents != 0 && !take(r, p->out[0], max, &end)) {
            return false;
        }
    }
    return true;
}

static int finish(pid_t pid, bool talked, uint64_t end_ns, bool *timed_out)
{
    enum { POLL_NS = 1000000 };
    int status = 0;

    if (!talked) {
        (void)kill(-pid, SIGKILL);
    }
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR)) {
            break;
        }
        if (clock_ns() >= end_ns) {
            *timed_out = true;
            (void)kill(-pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            break;
        }
        clock_sleep(POLL_NS);
    }
    return talked && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool exec_run(const char *command, const void *in, size_t in_bytes, size_t max,
              uint64_t timeout_ns, struct exec_result *result)
{
    struct pipes p = {{-1, -1}, {-1, -1}};
    uint64_t end_ns = clock_ns() + timeout_ns;

    *result = (struct exec_result){0};
    if (pipe2(p.in, O_CLOEXEC) != 0 || pipe2(p.out, O_CLOEXEC) != 0) {
        shut_all(&p);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(command, &p);
    }
    shut(&p.in[0]);
    shut(&p.out[1]);
    if (pid < 0) {
        shut_all(&p);
        return false;
    }
    (void)fcntl(p.in[1], F_SETFL, O_NONBLOCK);
    bool talked = talk(&p, in, in_bytes, max, end_ns, result);
    shut_all(&p);
    result->status = finish(pid, talked, end_ns, &result->timed_out);
    return true;
}
