#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agree.h"
#include "ground.h"
#include "launch.h"
#include "nucleus/base/ui.h"
#include "say.h"
#include "units.h"
#include "verbs.h"

/* motet site kill, pause, resume, restart, add: what is done to processes. */

static enum exit_code not_running(const struct site_files *site)
{
    say_error("it is not running");
    say_hint("start it: motet site restart %s", site->name);
    return EXIT_NO_CLUSTER;
}

/* ---- kill, pause, resume ---------------------------------------------------
 */

enum { KILL_WAIT_NS = 2000000000 };

static enum exit_code kill_run(char **args, unsigned count)
{
    struct cluster c;
    struct site_files *site;
    (void)count;

    enum exit_code code = cluster_choose_site(&c, args[0], &site);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!site->running) {
        code = not_running(site);
    } else if (!process_signal(&site->process, SIGKILL) ||
               !process_wait(&site->process, KILL_WAIT_NS)) {
        code = say_fail(EXIT_FAILED, "process %d does not end",
                        (int)site->process.pid);
    } else {
        say("%s killed (pid %d, signal 9); the others notice in about 2 s",
            site->name, (int)site->process.pid);
        say("  see: motet status -v      start it again: motet site restart %s",
            site->name);
    }
    cluster_close(&c);
    return code;
}

enum hold { HOLD_PAUSE, HOLD_RESUME, HOLD_RESET };

static enum exit_code act(struct site_files *site, enum hold what)
{
    static const char *const done[] = {"paused", "goes on", "was reset"};
    const struct ground *g = site->ground;
    bool ok = false;

    switch (what) {
    case HOLD_PAUSE:
        ok = site->process.stopped || g->pause(site);
        break;
    case HOLD_RESUME:
        ok = !site->process.stopped || g->resume(site);
        break;
    case HOLD_RESET:
        ok = g->reset(site);
        break;
    }
    if (ok) {
        say("%s %s (pid %d)", site->name, done[what], (int)site->process.pid);
    }
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code hold(const char *name, enum hold what)
{
    struct cluster c;
    struct site_files *site;
    enum exit_code code = cluster_choose_site(&c, name, &site);

    if (code != EXIT_DONE) {
        return code;
    }
    if (!site->running) {
        code = not_running(site);
    } else if (what == HOLD_RESET && site->ground->reset == NULL) {
        code = say_fail(EXIT_USAGE, "%s is no machine: a %s site", site->name,
                        site->ground->kind);
        say_hint("stop and start its process: motet site restart %s",
                 site->name);
    } else {
        code = act(site, what);
    }
    cluster_close(&c);
    return code;
}

static enum exit_code pause_run(char **args, unsigned count)
{
    (void)count;
    return hold(args[0], HOLD_PAUSE);
}

static enum exit_code resume_run(char **args, unsigned count)
{
    (void)count;
    return hold(args[0], HOLD_RESUME);
}

static enum exit_code reset_run(char **args, unsigned count)
{
    (void)count;
    return hold(args[0], HOLD_RESET);
}

/* ---- restart, add ----------------------------------------------------------
 */

static enum exit_code wait_joined(struct cluster *c, struct site_files *site)
{
    struct agree a;
    char took[UNIT_TEXT_MAX];
    const enum exit_code code = launch_await(c, " before it had joined", &a);

    if (code == EXIT_DONE) {
        say("%s is up (pid %d, %s): %llu of %zu alive after %s", site->name,
            (int)site->process.pid, site->address, (unsigned long long)a.alive,
            c->running, unit_ns(a.took_ns, took));
    }
    return code;
}

static enum exit_code restart_run(char **args, unsigned count)
{
    struct cluster c;
    struct site_files *site;
    enum { GRACE_NS = 2000000000 };
    (void)count;

    enum exit_code code = cluster_choose_site(&c, args[0], &site);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!launch_folders(&c) || !launch_stop(&c, site, GRACE_NS) ||
        !launch_prepare(&c) || !launch_start(&c, site) || !launch_keep(&c)) {
        cluster_close(&c);
        return EXIT_FAILED;
    }
    cluster_count(&c);
    code = wait_joined(&c, site);
    cluster_close(&c);
    return code;
}

static void free_name(const struct cluster *c, char *name)
{
    for (unsigned i = 1; i <= CLUSTER_SITES_MAX; i++) {
        snprintf(name, MOTET_NAME_MAX + 1, "site%u", i);
        if (cluster_site(c, name) == NULL) {
            return;
        }
    }
}

/* A cluster made with --insecure grows insecure. */
static bool is_insecure(const struct cluster *c)
{
    char path[PATH_BYTES];

    return path_join(path, c->folders.pki, "ca.pem", NULL) &&
           access(path, F_OK) != 0;
}

static enum exit_code add(struct cluster *c, const char *name)
{
    if (cluster_site(c, name) != NULL) {
        say_error("cluster %s has a site named %s", c->name, name);
        say_hint("start it again: motet site restart %s", name);
        return EXIT_USAGE;
    }
    struct site_files *site = cluster_add(c, name);
    if (site == NULL) {
        return EXIT_FAILED;
    }
    const struct site_files *like = &c->sites[site == c->sites ? 1 : 0];
    site->ground = like->ground;
    site->user_net = like->user_net;
    bool insecure = is_insecure(c);
    if (!launch_folders(c) || !ground_write(site) ||
        (!insecure && !launch_certificates(c)) ||
        !launch_addresses(c, LAUNCH_PORT) || !launch_transport(c, NULL) ||
        !launch_conf(c, site, insecure, NULL)) {
        return EXIT_FAILED;
    }
    if (!launch_prepare(c) || !launch_start(c, site) || !launch_keep(c)) {
        (void)unlink(site->conf);
        return EXIT_FAILED;
    }
    cluster_count(c);
    enum exit_code code = wait_joined(c, site);
    if (code == EXIT_FAILED) {
        (void)launch_stop(c, site, 0);
        (void)unlink(site->conf);
    }
    return code;
}

static enum exit_code add_run(char **args, unsigned count)
{
    char name[MOTET_NAME_MAX + 1];
    struct cluster c;

    enum exit_code code = cluster_choose(&c, false);
    if (code != EXIT_DONE) {
        return code;
    }
    free_name(&c, name);
    if (count > 0 && !ui_name_ok(args[0])) {
        code =
            say_fail(EXIT_USAGE, "\"%.100s\" is no name for a site", args[0]);
    } else {
        code = add(&c, count > 0 ? args[0] : name);
    }
    cluster_close(&c);
    return code;
}

const struct verb verb_site_kill = {
    .name = "site kill",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .run = kill_run,
    .summary = "kill -9 of its process, or of its machine",
    .examples = "  motet site kill site2; motet status -v\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_site_pause = {
    .name = "site pause",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .run = pause_run,
    .summary = "stop its process in its tracks",
    .examples = "  motet site pause site2\n  motet site resume site2\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_site_resume = {
    .name = "site resume",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .run = resume_run,
    .summary = "let a paused one go on",
    .examples = "  motet site resume site2\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_site_reset = {
    .name = "site reset",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .run = reset_run,
    .summary = "reset button of its machine (qemu)",
    .examples = "  motet site reset site2; motet status -v\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_site_restart = {
    .name = "site restart",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .run = restart_run,
    .summary = "stop it if it runs, start it, wait until all agree",
    .examples = "  motet site restart site2\n",
    .exits = "0 1 2 3 7 10",
};

const struct verb verb_site_add = {
    .name = "site add",
    .args = "[NAME]",
    .args_max = 1,
    .run = add_run,
    .summary = "one more site",
    .examples = "  motet site add\n  motet site add paris\n",
    .exits = "0 1 2 3 7 10",
};
