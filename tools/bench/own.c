#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "tools/say.h"

/* A cluster for one command: its folders are in one that is removed. The work
 * is done by a child, so that whatever becomes of it, and whatever signal
 * comes, somebody is left to take the cluster down. */

static const char cluster_name[] = "bench";

static volatile sig_atomic_t stopped; /* by this signal */

static void on_signal(int signal)
{
    stopped = signal;
}

static void hear_signals(void)
{
    const struct sigaction a = {.sa_handler = on_signal};

    (void)sigaction(SIGINT, &a, NULL);
    (void)sigaction(SIGTERM, &a, NULL);
    (void)sigaction(SIGALRM, &a, NULL); /* --timeout */
}

/* Waits for a child; when a signal comes, that one is ended, unless
 * `patient`. @return its status; -1: there is none */
static int await(pid_t pid, bool patient)
{
    int status = -1;

    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (stopped != 0 && !patient) {
            (void)kill(pid, SIGTERM);
        }
    }
    return status;
}

static enum exit_code code_of(int status)
{
    if (stopped == SIGINT) {
        return EXIT_INTERRUPTED;
    }
    if (stopped == SIGALRM) {
        return say_fail(EXIT_TIMED_OUT, "no end before --timeout");
    }
    if (stopped != 0) {
        return EXIT_TERMINATED;
    }
    return WIFEXITED(status) ? (enum exit_code)WEXITSTATUS(status)
                             : EXIT_FAILED;
}

/* This program with other words, its output not seen. */
static int motet(const char *const words[], bool patient)
{
    (void)fflush(stdout);
    const pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)setpgid(0, 0); /* ^C is for us: what is begun is undone */
        if (freopen("/dev/null", "w", stdout) != NULL) {
            /* exec() does not write to them */
            (void)execv("/proc/self/exe", (char *const *)(uintptr_t)words);
        }
        _exit(EXIT_FAILED);
    }
    return await(pid, patient);
}

static bool put_folders(const char *folder)
{
    static const char *const names[][2] = {{"MOTET_RUNTIME_DIR", "r"},
                                           {"XDG_STATE_HOME", "s"},
                                           {"XDG_DATA_HOME", "d"}};
    char path[PATH_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!path_join(path, folder, names[i][1], NULL) ||
            setenv(names[i][0], path, 1) != 0) {
            return false;
        }
    }
    (void)unsetenv("MOTET_SITE");
    options.site = NULL;
    options.cluster = cluster_name;
    return true;
}

static enum exit_code up(const struct bench_kind *kind,
                         const struct bench_wish *wish)
{
    char sites[16];
    const char *words[12] = {"motet", "up"};
    size_t n = 2;
    const uint64_t ends = kind->fan && wish->count > 0 ? wish->count + 1 : 0;
    uint64_t count = ends > kind->sites ? ends : kind->sites;

    count = count < BENCH_SITES_MAX ? count : BENCH_SITES_MAX;
    (void)snprintf(sites, sizeof sites, "%u", (unsigned)count);
    words[n++] = sites;
    words[n++] = "--name";
    words[n++] = cluster_name;
    words[n++] = "-q";
    if (wish->transport != NULL) {
        words[n++] = "--transport";
        words[n++] = wish->transport;
    }
    if (wish->insecure) {
        words[n++] = "--insecure";
    }
    return code_of(motet(words, false));
}

static void down(void)
{
    const char *const words[] = {"motet",      "down", "--purge", "-c",
                                 cluster_name, "-q",   NULL};
    (void)motet(words, true);
}

enum exit_code bench_in_own(const struct bench_kind *kind,
                            const struct bench_wish *wish,
                            enum exit_code (*work)(const struct bench_kind *,
                                                   const struct bench_wish *))
{
    char folder[] = "/tmp/motet-bench-XXXXXX";

    if (mkdtemp(folder) == NULL || !put_folders(folder)) {
        return say_fail(EXIT_FAILED, "cannot make a folder in /tmp: %s",
                        strerror(errno));
    }
    hear_signals();
    enum exit_code code = up(kind, wish);
    if (code == EXIT_DONE) {
        (void)fflush(stdout);
        const pid_t pid = fork();
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)signal(SIGTERM, SIG_DFL);
            (void)signal(SIGINT, SIG_IGN);
            const enum exit_code end = work(kind, wish);
            (void)fflush(stdout);
            _exit((int)end);
        }
        code = code_of(await(pid, false));
    }
    down();
    folder_remove(folder);
    return code;
}
