#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "folders.h"
#include "say.h"

enum { POLL_NS = 5000000, STAT_BYTES = 1024 };

#define KILL_WAIT_NS 5000000000ULL /* after SIGKILL: a busy machine */

uint64_t clock_ns(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void clock_sleep(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
                         .tv_nsec = (long)(ns % 1000000000)};

    (void)nanosleep(&t, NULL);
}

/* The fields of /proc/PID/stat behind the name, which may hold anything. */
static bool read_stat(pid_t pid, struct process *p, char *state)
{
    char path[64];
    char text[STAT_BYTES];
    uint64_t user;
    uint64_t system;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    if (rest == NULL) {
        return false;
    }
    int found = sscanf(rest + 1,
                       " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
                       " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64,
                       state, &user, &system, &p->started);
    p->cpu_ticks = found == 4 ? user + system : 0;
    p->stopped = *state == 'T';
    return found == 4;
}

bool process_look(struct process *p)
{
    struct process now = {.pid = p->pid};
    char state;

    if (p->pid <= 0) {
        return false;
    }
    (void)waitpid(p->pid, NULL, WNOHANG); /* if it is a child of ours */
    if (!read_stat(p->pid, &now, &state) || now.started != p->started ||
        state == 'Z' || state == 'X') {
        return false;
    }
    *p = now;
    return true;
}

bool process_read(const char *file, struct process *p)
{
    int pid;

    *p = (struct process){0};
    FILE *f = fopen(file, "re");
    if (f == NULL) {
        return false;
    }
    int found = fscanf(f, "%d %" SCNu64, &pid, &p->started);
    fclose(f);
    if (found == 2) {
        p->pid = pid;
    }
    return process_look(p);
}

static bool write_file(const char *file, const struct process *p)
{
    FILE *f = fopen(file, "we");

    if (f == NULL) {
        say_error("cannot write %.300s: %s", file, strerror(errno));
        return false;
    }
    fprintf(f, "%d %" PRIu64 "\n", (int)p->pid, p->started);
    return fclose(f) == 0;
}

bool process_note(const char *file)
{
    struct process self = {.pid = getpid()};
    char state;

    return read_stat(self.pid, &self, &state) && write_file(file, &self);
}

/* The child writes the file before it becomes the program: whoever started it
 * may die at any moment, and it must be found. */
static _Noreturn void become(char *const argv[], int log, int told,
                             const char *file)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    (void)setsid();
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (process_note(file) && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
        (void)execv(argv[0], argv);
    }
    int why = errno;
    ssize_t n = write(told, &why, sizeof why);
    _exit(n == sizeof why ? 127 : 126);
}

/* The pipe closes when the program runs; else errno comes out of it. */
static bool heard_exec(int from, const char *program)
{
    int why = 0;

    if (read(from, &why, sizeof why) == (ssize_t)sizeof why) {
        say_error("cannot run %.300s: %s", program, strerror(why));
        return false;
    }
    return true;
}

bool process_start(char *const argv[], const char *log, const char *file,
                   struct process *p)
{
    int told[2];
    char state;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (fd < 0 || pipe2(told, O_CLOEXEC) != 0) {
        say_error("cannot write %.300s: %s", log, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, fd, told[1], file);
    }
    close(fd);
    close(told[1]);
    bool ok = pid > 0 && heard_exec(told[0], argv[0]);
    close(told[0]);
    if (pid < 0) {
        say_error("cannot start a process: %s", strerror(errno));
    }
    if (!ok) {
        (void)unlink(file);
        return false;
    }
    *p = (struct process){.pid = pid};
    return read_stat(pid, p, &state);
}

bool process_signal(const struct process *p, int signal)
{
    struct process now = *p;
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);

    /* With the descriptor in hand the pid cannot be reused; so look now. */
    if (fd < 0 || !process_look(&now)) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    long failed = syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    if (failed != 0) {
        say_error("cannot signal process %d: %s", (int)p->pid, strerror(errno));
    }
    close(fd);
    return failed == 0;
}

bool process_wait(struct process *p, uint64_t timeout_ns)
{
    uint64_t end = clock_ns() + timeout_ns;

    while (process_look(p)) {
        if (clock_ns() >= end) {
            return false;
        }
        clock_sleep(POLL_NS);
    }
    return true;
}

bool process_end(struct process *p, uint64_t grace_ns)
{
    if (process_wait(p, grace_ns)) {
        return true;
    }
    (void)process_signal(p, SIGKILL);
    return process_wait(p, KILL_WAIT_NS);
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           access(path, X_OK) == 0;
}

static bool beside_us(const char *program, char *path)
{
    char self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0) {
        return false;
    }
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return path_join(path, self, program, NULL) && is_program(path);
}

bool process_there(const char *program, char *path)
{
    const char *folders = getenv("PATH");

    if (beside_us(program, path)) {
        return true;
    }
    while (folders != NULL && *folders != '\0') {
        size_t n = strcspn(folders, ":");
        if (n > 0 &&
            snprintf(path, PATH_BYTES, "%.*s/%s", (int)n, folders, program) <
                PATH_BYTES &&
            is_program(path)) {
            return true;
        }
        folders += n + (folders[n] == ':' ? 1 : 0);
    }
    return false;
}

bool process_find(const char *program, char *path)
{
    if (process_there(program, path)) {
        return true;
    }
    say_error("no program \"%s\" beside motet or in PATH", program);
    say_hint("build all of it: cmake --build --preset release");
    return false;
}
