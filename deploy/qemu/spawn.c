#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void become(const struct spawn *s, int out)
{
    union {
        const char *const *in;
        char *const *out;
    } argv = {.in = s->argv};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int in = s->in != NULL ? open(s->in, O_RDONLY | O_CLOEXEC) : null;
    int to = s->out != NULL
                 ? open(s->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                 : out;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((s->folder == NULL || chdir(s->folder) == 0) &&
        dup2(in, STDIN_FILENO) >= 0 &&
        dup2(to >= 0 && !s->errors ? to : null, STDOUT_FILENO) >= 0 &&
        dup2(out >= 0 && s->errors ? out : null, STDERR_FILENO) >= 0) {
        (void)execvp(s->argv[0], argv.out);
    }
    _exit(127);
}

/* Reads what it says until it ends. @return false: too late */
static bool listen_to(const struct spawn *s, int from, int *ms)
{
    char rest[4096];
    size_t size = 0;
    struct pollfd p = {.fd = from, .events = POLLIN};

    for (;;) {
        bool full = s->text == NULL || size + 1 >= s->text_bytes;
        if (*ms <= 0) {
            return false;
        }
        if (poll(&p, 1, 20) == 0) {
            *ms -= 20;
            continue;
        }
        ssize_t n = full ? read(from, rest, sizeof rest)
                         : read(from, s->text + size, s->text_bytes - 1 - size);
        if (n <= 0) {
            return true;
        }
        if (!full) {
            size += (size_t)n;
            s->text[size] = '\0';
        }
    }
}

static int wait_end(pid_t pid, int ms)
{
    int status = 0;

    for (; waitpid(pid, &status, WNOHANG) == 0; ms -= 5) {
        if (ms <= 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -1;
        }
        (void)usleep(5000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int spawn_run(const struct spawn *s)
{
    int ms = s->ms;
    int told[2];

    if (s->text != NULL && s->text_bytes > 0) {
        s->text[0] = '\0';
    }
    if (pipe2(told, O_CLOEXEC) != 0) {
        return -1;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become(s, s->text != NULL ? told[1] : -1);
    }
    close(told[1]);
    bool in_time = pid > 0 && listen_to(s, told[0], &ms);
    close(told[0]);
    if (pid < 0) {
        return -1;
    }
    if (!in_time) {
        ms = 0;
    }
    return wait_end(pid, ms);
}

bool spawn_there(const char *program)
{
    const char *folders = getenv("PATH");
    char path[4096];

    while (folders != NULL && *folders != '\0') {
        size_t n = strcspn(folders, ":");
        if (snprintf(path, sizeof path, "%.*s/%s", (int)n, folders, program) <
                (int)sizeof path &&
            access(path, X_OK) == 0) {
            return true;
        }
        folders += n + (folders[n] == ':' ? 1 : 0);
    }
    return false;
}
