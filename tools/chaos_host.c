#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agree.h"
#include "chaos_guest.h"
#include "chaos_inside.h"
#include "chaos_links.h"
#include "ground.h"
#include "launch.h"
#include "relay.h"
#include "say.h"
#include "units.h"

/* Processes of this host as a ground: a cluster of its own, whose sites run the
 * load. The runner is their service manager too: a site that ended is started
 * again after a second. */

enum {
    TICK_NS = 10000000,
    RATE = 25,
    PROBE_S = 3, /* for the calls after the heal, at least */
};

static const uint64_t second_ns = 1000000000;

struct site_files *site_at(struct hosting *h, uint32_t i)
{
    return &h->cluster.sites[i]; /* site1, site2, ...: in order */
}

/* ---- the phase file --------------------------------------------------------
 */

/* Written aside and renamed: a reader sees the old one or the new one. */
void write_phase(struct hosting *h)
{
    char path[PATH_BYTES];
    char fresh[PATH_BYTES];
    if (!path_join(path, h->run->folder, "phase", NULL) ||
        !path_join(fresh, h->run->folder, "phase", ".new")) {
        return;
    }
    FILE *f = fopen(fresh, "we");
    if (f == NULL) {
        say_error("cannot write %.300s", fresh);
        return;
    }
    (void)fprintf(f, "%s\n", h->phase);
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        const struct keeper *k = &h->keepers[i];
        if (k->stuck > 0 || k->slow > 0) {
            (void)fprintf(f, "%s %s\n", k->stuck > 0 ? "stuck" : "slow",
                          site_at(h, i)->name);
        }
    }
    (void)fclose(f);
    (void)rename(fresh, path);
}

/* ---- up and down -----------------------------------------------------------
 */

static bool add_load(struct hosting *h, const struct site_files *site)
{
    const struct scenario *s = h->run->scenario;
    const uint64_t rate = s->rate > 0 ? s->rate : RATE;
    const uint32_t actors = s->actors > 0 ? s->actors : 1;
    FILE *f = fopen(site->conf, "ae");
    if (f == NULL) {
        say_error("cannot write %.300s", site->conf);
        return false;
    }
    for (uint32_t i = 0; h->run->own_load && i < actors; i++) {
        (void)fprintf(f, "actor = %s:%" PRIu32 " %" PRIu64 " %s\n", h->object,
                      i, rate / actors > 0 ? rate / actors : 1, h->run->folder);
    }
    if (!h->run->own_load) {
        const char *args = h->run->plugin->args;
        (void)fprintf(f, "actor = %s%s%s\ndump = %s\n", h->object,
                      args != NULL ? ":" : "", args != NULL ? args : "",
                      h->run->folder);
    }
    return fclose(f) == 0;
}

/* What the sites load, as it is found from any folder. */
static bool find_object(struct hosting *h)
{
    char path[PATH_BYTES];
    if (h->run->own_load) {
        return chaos_load_object(path) && realpath(path, h->object) != NULL;
    }
    (void)snprintf(h->object, sizeof h->object, "%s", h->run->plugin->path);
    return true;
}

static bool make_cluster(struct hosting *h)
{
    struct cluster *c = &h->cluster;
    if (!find_object(h) || !cluster_open(c, h->run->cluster)) {
        return false;
    }
    if (c->count > 0) {
        say_error("cluster %s is there already", c->name);
        say_hint("end it: motet down --purge -c %s; or name another: -c NAME",
                 c->name);
        return false;
    }
    h->ours = true;
    for (uint32_t i = 0; i < h->run->scenario->sites; i++) {
        char name[MOTET_NAME_MAX + 1];
        (void)snprintf(name, sizeof name, "site%" PRIu32, i + 1);
        struct site_files *site = cluster_add(c, name);
        if (site == NULL) {
            return false;
        }
        site->ground = ground_find(h->run->ground->sites);
        (void)snprintf(site->transport, sizeof site->transport, "%s",
                       h->run->scenario->transport);
        site->object = h->object;
        site->folder = h->run->folder;
    }
    if (!launch_folders(c) || !network_seed(c, h->run->seed) ||
        !launch_prepare(c) || !launch_certificates(c) ||
        !launch_addresses(c, (unsigned)h->run->port)) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!ground_write(&c->sites[i]) ||
            !launch_conf(c, &c->sites[i], false, NULL) ||
            !add_load(h, &c->sites[i])) {
            return false;
        }
    }
    return true;
}

static bool start_all(struct hosting *h)
{
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        if (!launch_start(&h->cluster, site_at(h, i))) {
            return false;
        }
    }
    cluster_count(&h->cluster);
    return true;
}

static void remove_network(struct hosting *h)
{
    struct network n;
    char to[PATH_BYTES];
    if (!network_open(&h->cluster, &n)) {
        return;
    }
    (void)network_stop(&n, second_ns);
    if (path_join(to, h->run->folder, "network.log", NULL)) {
        (void)rename(n.log, to);
    }
    (void)unlink(n.note);
}

/* What a site has written beside its configuration goes to the folder of the
 * run, if it says anything. */
static void keep_logs(struct hosting *h, const char *name)
{
    static const char *const suffixes[] = {".log", ".console", ".core",
                                           ".core.old"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char from[PATH_BYTES];
        char to[PATH_BYTES];
        struct stat st;
        if (!path_join(from, h->cluster.folders.state, name, suffixes[i]) ||
            !path_join(to, h->run->folder, name, suffixes[i]) ||
            stat(from, &st) != 0) {
            continue;
        }
        (void)(st.st_size > 0 ? rename(from, to) : unlink(from));
    }
}

/* The logs of the sites stay in the folder of the run; all else goes. */
static void remove_cluster(struct hosting *h)
{
    struct cluster *c = &h->cluster;
    for (uint32_t i = 0; h->ours && i < c->count; i++) {
        char path[PATH_BYTES];
        char twin[MOTET_NAME_MAX + 8];
        struct site_files *s = site_at(h, i);
        (void)snprintf(twin, sizeof twin, "%.50s.twin", s->name);
        hurt_twin_end(c, &h->keepers[i].twin);
        (void)launch_stop(c, s, hurt_grace_ns(s));
        keep_logs(h, s->name);
        keep_logs(h, twin);
        (void)unlink(s->conf);
        (void)unlink(ground_beside(path, s->conf, ".ground"));
        folder_remove(s->state);
    }
    if (h->ours) {
        remove_network(h);
        folder_remove(c->folders.run);
        folder_remove(c->folders.pki);
        *strrchr(c->folders.pki, '/') = '\0';
        (void)rmdir(c->folders.pki);
    }
    cluster_close(c);
}

static bool run_until(struct hosting *h, uint64_t until_ns)
{
    while (clock_ns() < until_ns) {
        if (*h->run->stop != 0 || h->broken) {
            return false;
        }
        strike_tick(h);
        clock_sleep(TICK_NS);
    }
    return !h->broken;
}

/* ---- the end ---------------------------------------------------------------
 */

/* A machine that starts again takes its time, and nothing is promised of that:
 * what is promised begins when all are there. A site that is up has a socket.
 */
static void await_boots(struct hosting *h)
{
    const uint64_t end_ns = clock_ns() + launch_timeout_ns(&h->cluster);
    bool all = site_at(h, 0)->ground != &ground_qemu;
    while (!all && clock_ns() < end_ns && *h->run->stop == 0) {
        strike_tick(h);
        all = true;
        for (uint32_t i = 0; i < h->cluster.count; i++) {
            const struct site_files *s = site_at(h, i);
            all = all && s->running && access(s->socket, F_OK) == 0;
        }
        clock_sleep(TICK_NS);
    }
}

/* The clocks of machines are not that of the host. */
static bool collect(const struct hosting *h)
{
    bool ok = true;
    size_t i;
    const json_t *site;
    json_array_foreach(h->run->sites, i, site)
    {
        ok = guest_events(h->run->folder, json_string_value(site)) && ok;
    }
    return ok;
}

/* @return false: there is nothing to be judged; it is told */
static bool heal(struct hosting *h)
{
    strike_end(h);
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        if (!site_at(h, i)->running) {
            h->keepers[i].start_at_ns = 0;
        }
    }
    if (links_meant(&h->run->faults)) {
        h->broken = !links_calm(&h->network) ||
                    !links_write(&h->network, h->run->folder) || h->broken;
    }
    h->phase = "drain";
    write_phase(h);
    strike_tick(h);
    await_boots(h);
    cluster_count(&h->cluster);
    h->run->healed_ns = clock_ns();
    chaos_log(h->run, h->run->healed_ns, "healed");
    return !h->broken;
}

/* P8: all agree. A site may end once more, to be born again. */
static void await_agreement(struct hosting *h)
{
    struct chaos_run *r = h->run;
    const uint64_t most_ns =
        r->scenario->agree_ns > 0 ? r->scenario->agree_ns : 12 * second_ns;
    struct agree a;
    char text[CHECK_TEXT_MAX];
    while (clock_ns() - r->healed_ns < most_ns && *r->stop == 0) {
        strike_tick(h);
        cluster_count(&h->cluster);
        if (h->cluster.running == h->cluster.count &&
            agree_look(&h->cluster, &a)) {
            r->agreed_ns = clock_ns() - r->healed_ns;
            return;
        }
        clock_sleep(TICK_NS);
    }
    r->agreed_ns = most_ns;
    (void)snprintf(text, sizeof text,
                   "the sites do not agree %" PRIu64 " ms after the heal",
                   most_ns / 1000000);
    chaos_accuse(r, 8, clock_ns(), 0, text);
}

/* Until nothing is pending any more, for as long as is allowed. */
static void await_the_rest(struct hosting *h)
{
    struct chaos_run *r = h->run;
    const uint64_t settle_ns =
        r->scenario->settle_ns > 0 ? r->scenario->settle_ns : 20 * second_ns;
    const uint64_t from_ns = clock_ns();
    h->phase = "probe";
    write_phase(h);
    (void)run_until(h, from_ns + PROBE_S * second_ns);
    while (r->own_load && clock_ns() - from_ns < settle_ns && *r->stop == 0 &&
           collect(h) && chaos_pending(r->folder) > 0) {
        (void)run_until(h, clock_ns() + second_ns / 2);
    }
    r->end_ns = clock_ns();
    chaos_log(r, r->end_ns, "over");
}

static bool come_up(struct hosting *h)
{
    struct agree a;
    if (!start_all(h)) {
        return false;
    }
    if (!agree_wait(&h->cluster, launch_timeout_ns(&h->cluster), h->run->stop,
                    &a)) {
        if (*h->run->stop == 0) {
            say_error("the sites do not come up");
            launch_log(a.ended != NULL ? a.ended : site_at(h, 0));
        }
        return false;
    }
    return !links_meant(&h->run->faults) ||
           relay_need(&h->cluster, &h->network) == EXIT_DONE;
}

static enum exit_code play(struct chaos_run *r)
{
    struct hosting *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    h->run = r;
    h->phase = "load";
    write_phase(h);
    enum exit_code code = EXIT_FAILED;
    if (make_cluster(h) && come_up(h)) {
        r->start_ns = clock_ns();
        chaos_log(r, r->start_ns, "load");
        if (run_until(h, r->start_ns + r->scenario->for_ns) && heal(h)) {
            await_agreement(h);
            await_the_rest(h);
            code = *r->stop == 0 ? EXIT_DONE : code;
        }
    }
    if (*r->stop != 0) {
        say_error("interrupted; what was started is stopped again");
        code = *r->stop == 15 ? EXIT_TERMINATED : EXIT_INTERRUPTED;
    }
    remove_cluster(h);
    code = collect(h) || code != EXIT_DONE ? code : EXIT_FAILED;
    if (!r->own_load && code == EXIT_DONE) {
        chaos_look(r);
    }
    free(h);
    return code;
}

const struct chaos_ground chaos_on_netns = {
    .name = "netns", .can = can_processes, .play = play, .sites = "netns"};
const struct chaos_ground chaos_on_host = {
    .name = "host", .can = can_processes, .play = play, .sites = "host"};
const struct chaos_ground chaos_on_qemu = {
    .name = "qemu", .can = can_qemu, .play = play, .sites = "qemu"};
