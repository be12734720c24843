#include <signal.h>

#include "ground.h"
#include "say.h"

/* A process of this machine, on loopback. */

static bool start(struct cluster *c, struct site_files *site)
{
    char program[PATH_BYTES];
    char flag[] = "--config";
    char *argv[] = {program, flag, site->conf, NULL};
    (void)c;

    return process_find("motetd", program) &&
           process_start(argv, site->log, site->pid, &site->process);
}

static bool hold(struct site_files *site, int signal)
{
    if (!process_signal(&site->process, signal)) {
        say_error("process %d has ended", (int)site->process.pid);
        return false;
    }
    return true;
}

static bool pause_site(struct site_files *site)
{
    return hold(site, SIGSTOP);
}

static bool resume_site(struct site_files *site)
{
    return hold(site, SIGCONT);
}

static void leave(struct site_files *site)
{
    if (site->process.stopped) {
        (void)process_signal(&site->process, SIGCONT);
    }
    (void)process_signal(&site->process, SIGTERM);
}

const struct ground ground_host = {
    .name = "host",
    .kind = "host",
    .timeout_ns = 20000000000,
    .start = start,
    .pause = pause_site,
    .resume = resume_site,
    .leave = leave,
};
