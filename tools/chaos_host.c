#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agree.h"
#include "chaos.h"
#include "chaos_links.h"
#include "chaos_site.h"
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
    ACTIVE_MAX = 256, /* faults at once */
    RATE = 25,
    PROBE_S = 3, /* for the calls after the heal, at least */
};

static const uint64_t second_ns = 1000000000;

/* A site, as its service manager sees it. */
struct keeper {
    uint64_t start_at_ns; /* while it is down */
    unsigned pauses;      /* by how many faults it stands still */
    unsigned slow, stuck, full;
    struct hurt_twin twin;
    bool died; /* and did not leave in good order */
};

struct active {
    const struct chaos_fault *fault;
    uint64_t end_ns;
};

struct hosting {
    struct chaos_run *run;
    struct cluster cluster;
    struct keeper keepers[CHAOS_SITES_MAX];
    struct active active[ACTIVE_MAX];
    size_t active_count;
    size_t next; /* of the faults */
    const char *phase;
    struct network network; /* if a fault is about links */
    bool ours;              /* the cluster: we have made it */
    bool broken;            /* a fault could not begin: nothing to be judged */
};

static bool can(enum chaos_kind kind, const char **why)
{
    if (kind == CHAOS_CLOCK) {
        *why = "all processes have one wall clock";
        return false;
    }
    return chaos_about(kind) == CHAOS_OF_SITES || links_can(kind, false, why);
}

static bool can_netns(enum chaos_kind kind, const char **why)
{
    if (kind == CHAOS_TWIN || kind == CHAOS_STRANGER) {
        *why = "nobody else gets into the namespace of a site";
        return false;
    }
    return chaos_about(kind) == CHAOS_OF_SITES ? can(kind, why)
                                               : links_can(kind, true, why);
}

static struct site_files *site_at(struct hosting *h, uint32_t i)
{
    return &h->cluster.sites[i]; /* site1, site2, ...: in order */
}

/* ---- the phase file --------------------------------------------------------
 */

/* Written aside and renamed: a reader sees the old one or the new one. */
static void write_phase(struct hosting *h)
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
    char object[PATH_BYTES];
    const struct scenario *s = h->run->scenario;
    const uint64_t rate = s->rate > 0 ? s->rate : RATE;
    const uint32_t actors = s->actors > 0 ? s->actors : 1;
    if (h->run->own_load && !chaos_load_object(object)) {
        return false;
    }
    FILE *f = fopen(site->conf, "ae");
    if (f == NULL) {
        say_error("cannot write %.300s", site->conf);
        return false;
    }
    for (uint32_t i = 0; h->run->own_load && i < actors; i++) {
        (void)fprintf(f, "actor = %s:%" PRIu32 " %" PRIu64 " %s\n", object, i,
                      rate / actors > 0 ? rate / actors : 1, h->run->folder);
    }
    if (!h->run->own_load) {
        const char *args = h->run->plugin->args;
        (void)fprintf(f, "actor = %s%s%s\ndump = %s\n", h->run->plugin->path,
                      args != NULL ? ":" : "", args != NULL ? args : "",
                      h->run->folder);
    }
    return fclose(f) == 0;
}

static bool make_cluster(struct hosting *h)
{
    struct cluster *c = &h->cluster;
    if (!cluster_open(c, h->run->cluster)) {
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

/* The logs of the sites stay in the folder of the run; all else goes. */
static void remove_cluster(struct hosting *h)
{
    struct cluster *c = &h->cluster;
    for (uint32_t i = 0; h->ours && i < c->count; i++) {
        char to[PATH_BYTES];
        struct site_files *s = site_at(h, i);
        hurt_twin_end(c, &h->keepers[i].twin);
        (void)launch_stop(c, s, second_ns);
        if (path_join(to, h->run->folder, s->name, ".log")) {
            (void)rename(s->log, to);
        }
        (void)unlink(s->conf);
        (void)unlink(ground_beside(to, s->conf, ".ground"));
        folder_remove(s->state);
        if (path_join(to, c->folders.state, s->name, ".twin.log")) {
            char twin[PATH_BYTES];
            if (path_join(twin, h->run->folder, s->name, ".twin.log")) {
                (void)rename(to, twin);
            }
        }
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

/* ---- faults begin and end --------------------------------------------------
 */

static void log_down(struct hosting *h, uint32_t i)
{
    chaos_log(h->run, clock_ns(), "down %s", site_at(h, i)->name);
}

static void end_life(struct hosting *h, uint32_t i, const struct chaos_fault *f)
{
    struct site_files *s = site_at(h, i);
    const bool leaves = f->kind == CHAOS_RESTART;
    if (!s->running || (leaves && h->keepers[i].pauses > 0)) {
        return;
    }
    if (leaves) {
        (void)hurt_leave(&h->cluster, s, 2 * second_ns);
    } else {
        (void)hurt_kill(s);
    }
    log_down(h, i);
    h->keepers[i].died = !leaves;
    h->keepers[i].start_at_ns = clock_ns() + f->for_ns;
    if (f->kind == CHAOS_LOSE_STATE) {
        hurt_lose_state(s);
    } else if (f->kind == CHAOS_ROLL_BACK) {
        hurt_roll_back(s);
    }
}

static void strike(struct hosting *h, uint32_t i, const struct chaos_fault *f)
{
    struct site_files *s = site_at(h, i);
    struct keeper *k = &h->keepers[i];
    switch ((int)f->kind) {
    case CHAOS_KILL:
    case CHAOS_RESTART:
    case CHAOS_LOSE_STATE:
    case CHAOS_ROLL_BACK:
        end_life(h, i, f);
        break;
    case CHAOS_PAUSE:
        k->pauses++;
        (void)hurt_pause(s);
        break;
    case CHAOS_TWIN:
        if (!k->twin.runs) {
            (void)hurt_twin(&h->cluster, s, &k->twin);
        }
        break;
    case CHAOS_SLOW:
        k->slow++;
        break;
    case CHAOS_STUCK:
        k->stuck++;
        break;
    case CHAOS_DISK_FULL:
        k->full++;
        (void)hurt_fill_disk(s);
        break;
    case CHAOS_STRANGER:
        hurt_stranger(s, f->dice);
        break;
    default:
        break;
    }
}

static void unstrike(struct hosting *h, uint32_t i, const struct chaos_fault *f)
{
    struct site_files *s = site_at(h, i);
    struct keeper *k = &h->keepers[i];
    switch ((int)f->kind) {
    case CHAOS_PAUSE:
        if (--k->pauses == 0) {
            (void)hurt_resume(s);
        }
        break;
    case CHAOS_TWIN:
        hurt_twin_end(&h->cluster, &k->twin);
        break;
    case CHAOS_SLOW:
        k->slow--;
        break;
    case CHAOS_STUCK:
        k->stuck--;
        break;
    case CHAOS_DISK_FULL:
        if (--k->full == 0) {
            hurt_free_disk(s);
        }
        break;
    default:
        break;
    }
}

static void each_site(struct hosting *h, const struct chaos_fault *f,
                      void (*what)(struct hosting *h, uint32_t i,
                                   const struct chaos_fault *f))
{
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        if ((f->sites >> i & 1) != 0) {
            what(h, i, f);
        }
    }
    if (f->kind == CHAOS_SLOW || f->kind == CHAOS_STUCK) {
        write_phase(h);
    }
}

/* Connections break within so long. */
static uint64_t lasts_ns(const struct chaos_fault *f)
{
    const uint64_t break_ns = second_ns / 5;
    return f->kind == CHAOS_BREAK ? break_ns : f->for_ns;
}

static void begin_fault(struct hosting *h, const struct chaos_fault *f)
{
    if (h->active_count == ACTIVE_MAX) {
        return; /* so many at once break nothing more */
    }
    const uint64_t now_ns = clock_ns();
    chaos_log_fault(h->run, now_ns, f, true);
    h->active[h->active_count++] =
        (struct active){.fault = f, .end_ns = now_ns + lasts_ns(f)};
    if (chaos_about(f->kind) == CHAOS_OF_SITES) {
        each_site(h, f, strike);
    } else if (!links_begin(&h->network, &h->cluster, f)) {
        h->broken = true;
    }
}

static void end_fault(struct hosting *h, size_t at)
{
    const struct chaos_fault *f = h->active[at].fault;
    h->active[at] = h->active[--h->active_count];
    if (chaos_about(f->kind) == CHAOS_OF_SITES) {
        each_site(h, f, unstrike);
    } else {
        (void)links_end(&h->network, &h->cluster, f);
    }
    if (f->for_ns > 0) {
        chaos_log_fault(h->run, clock_ns(), f, false);
    }
}

/* ---- the service manager ---------------------------------------------------
 */

/* What CHECK and the sanitizers write before they abort. */
static bool has_crashed(const struct site_files *site)
{
    char line[1024];
    bool found = false;
    FILE *f = fopen(site->log, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        found = strstr(line, "check failed") != NULL ||
                strstr(line, "Sanitizer: ") != NULL ||
                strstr(line, "runtime error:") != NULL;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static void look_after(struct hosting *h, uint32_t i, uint64_t now_ns)
{
    struct site_files *s = site_at(h, i);
    struct keeper *k = &h->keepers[i];
    char text[CHECK_TEXT_MAX];
    if (s->running) {
        if (process_look(&s->process)) {
            return;
        }
        s->running = false; /* refused, or it could not go on */
        log_down(h, i);
        k->died = true;
        k->start_at_ns = now_ns + second_ns;
        if (has_crashed(s)) {
            (void)snprintf(text, sizeof text,
                           "%.63s crashed: see its log in this folder",
                           s->name);
            chaos_accuse(h->run, 0, now_ns, 0, text);
        }
    } else if (now_ns >= k->start_at_ns) {
        hurt_remember(s);
        if (k->died && s->ground->clean != NULL) {
            s->ground->clean(&h->cluster, s); /* what its last life left */
        }
        k->died = false;
        if (!launch_start(&h->cluster, s)) {
            k->start_at_ns = now_ns + second_ns;
        } else if (k->pauses > 0) {
            (void)hurt_pause(s);
        }
    }
}

static void tick(struct hosting *h)
{
    struct chaos_run *r = h->run;
    const uint64_t now_ns = clock_ns();
    const uint64_t from_ns = now_ns - r->start_ns;
    for (size_t i = h->active_count; i > 0; i--) {
        if (h->active[i - 1].end_ns <= now_ns) {
            end_fault(h, i - 1);
        }
    }
    while (h->next < r->faults.count &&
           r->faults.items[h->next].at_ns <= from_ns) {
        begin_fault(h, &r->faults.items[h->next++]);
    }
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        look_after(h, i, now_ns);
    }
}

static bool run_until(struct hosting *h, uint64_t until_ns)
{
    while (clock_ns() < until_ns) {
        if (*h->run->stop != 0 || h->broken) {
            return false;
        }
        tick(h);
        clock_sleep(TICK_NS);
    }
    return !h->broken;
}

/* ---- the end ---------------------------------------------------------------
 */

/* @return false: there is nothing to be judged; it is told */
static bool heal(struct hosting *h)
{
    h->next = h->run->faults.count;
    while (h->active_count > 0) {
        end_fault(h, h->active_count - 1);
    }
    for (uint32_t i = 0; i < h->cluster.count; i++) {
        if (!site_at(h, i)->running) {
            h->keepers[i].start_at_ns = 0;
        }
    }
    if (links_meant(&h->run->faults)) {
        h->broken = !links_write(&h->network, h->run->folder) || h->broken;
    }
    h->phase = "drain";
    write_phase(h);
    tick(h);
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
        tick(h);
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
           chaos_pending(r->folder) > 0) {
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
    const struct ground *g = ground_find(r->ground->sites);
    const enum exit_code can_it = g->check == NULL ? EXIT_DONE : g->check();
    if (can_it != EXIT_DONE) {
        code = can_it;
    } else if (make_cluster(h) && come_up(h)) {
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
    if (!r->own_load && code == EXIT_DONE) {
        chaos_look(r);
    }
    free(h);
    return code;
}

const struct chaos_ground chaos_on_netns = {
    .name = "netns", .can = can_netns, .play = play, .sites = "netns"};
const struct chaos_ground chaos_on_host = {
    .name = "host", .can = can, .play = play, .sites = "host"};
