#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chaos_site.h"
#include "ground.h"
#include "launch.h"
#include "network.h"
#include "nucleus/base/ui.h"
#include "programs.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet down: stops all sites of a cluster, each by its pid file. */

#define GRACE_NS 5000000000ULL /* then SIGKILL */

static struct down {
    bool purge;
} down;

/* All are asked first, so that they leave side by side. */
static bool stop_all(struct cluster *c, size_t *killed)
{
    uint64_t end = clock_ns() + options_timeout_ns(GRACE_NS);
    struct network n;
    bool ok = true;

    if (network_open(c, &n)) {
        network_settle(&n); /* it is asked to take sites away */
    }
    hurt_hands_off(c);
    hurt_twins_left(c);
    cluster_look(c);
    (void)programs_stop(c, GRACE_NS); /* while their sites answer */
    for (size_t i = 0; i < c->count; i++) {
        struct site_files *s = &c->sites[i];
        if (s->running) {
            s->ground->leave(s);
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        struct site_files *s = &c->sites[i];
        uint64_t now = clock_ns();
        if (s->running &&
            !process_wait(&s->process, end > now ? end - now : 0)) {
            (*killed)++;
        }
        ok = launch_stop(c, s, 0) && ok;
    }
    launch_release(c);
    return ok;
}

/* A cluster without a site whose folders are there: an `up` that was killed
 * before it had made one. */
static bool is_remains(struct cluster *c)
{
    if (!down.purge || options.cluster == NULL ||
        !ui_name_ok(options.cluster) || strchr(options.cluster, '/') != NULL ||
        !cluster_open(c, options.cluster)) {
        return false;
    }
    if (c->count == 0 && (access(c->folders.state, F_OK) == 0 ||
                          access(c->folders.pki, F_OK) == 0)) {
        return true;
    }
    cluster_close(c);
    return false;
}

static enum exit_code sweep(struct cluster *c)
{
    say_about("down", c->name);
    launch_release(c);
    folders_purge(&c->folders);
    say("%s was not running; purged", c->name);
    cluster_close(c);
    return EXIT_DONE;
}

static enum exit_code down_run(char **args, unsigned count)
{
    struct cluster c;
    size_t killed = 0;
    char took[UNIT_TEXT_MAX];
    (void)args;
    (void)count;

    if (is_remains(&c)) {
        return sweep(&c);
    }
    enum exit_code code = cluster_choose(&c, true);
    if (code != EXIT_DONE) {
        return code;
    }
    say_about("down", c.name);
    size_t ran = c.running;
    uint64_t from = clock_ns();
    if (!stop_all(&c, &killed)) {
        cluster_close(&c);
        return EXIT_FAILED;
    }
    if (down.purge) {
        folders_purge(&c.folders);
    }
    if (ran == 0) {
        say("%s was not running%s", c.name, down.purge ? "; purged" : "");
    } else {
        say("%s is down: %zu of %zu stopped in %s%s", c.name, ran, ran,
            unit_ns(clock_ns() - from, took), down.purge ? "; purged" : "");
    }
    if (killed > 0) {
        say("  %zu of them did not leave in time and were killed", killed);
    }
    bool ok = true;
    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        ok = table_json("motet.down/1",
                        json_pack("{s:I,s:I,s:b}", "stopped", (json_int_t)ran,
                                  "killed", (json_int_t)killed, "purged",
                                  down.purge));
    }
    cluster_close(&c);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static const struct flag flags[] = {
    {"purge", 0, NULL, FLAG_SWITCH, offsetof(struct down, purge),
     "also remove certificates, state and logs"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_down = {
    .name = "down",
    .args = "",
    .flags = flags,
    .into = &down,
    .run = down_run,
    .summary = "stop a cluster",
    .examples = "  motet down\n  motet down --purge -c lab\n",
    .exits = "0 1 2 3 7",
};
