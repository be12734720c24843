#include <signal.h>

#include "ground.h"
#include "relay.h"
#include "say.h"

/* A process of this machine, on loopback. */

static bool start(struct cluster *c, struct site_files *site)
{
    char program[PATH_BYTES];
    char flag[] = "--config";
    char *argv[] = {program, flag, site->conf, NULL};

    return process_find("motetd", program) && relay_plug(c, site) &&
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

bool ground_pause_process(struct site_files *site)
{
    return hold(site, SIGSTOP);
}

bool ground_resume_process(struct site_files *site)
{
    return hold(site, SIGCONT);
}

void ground_leave_process(struct site_files *site)
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
    .pause = ground_pause_process,
    .resume = ground_resume_process,
    .leave = ground_leave_process,
};
