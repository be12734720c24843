#include <string.h>
#include <unistd.h>

#include "chaos_inside.h"
#include "chaos_links.h"
#include "ground.h"
#include "launch.h"
#include "say.h"

/* Faults on real sites: what each ground can do, and when each begins and ends.
 * Here is their service manager too. */

static const uint64_t second_ns = 1000000000;

bool can_processes(enum chaos_kind kind, const char **why)
{
    *why = "all processes have one wall clock";
    return kind != CHAOS_CLOCK;
}

/* A stranger stands in a network namespace. */
bool can_qemu(enum chaos_kind kind, const char **why)
{
    *why = "as root only: somebody without a machine needs a network namespace";
    return kind != CHAOS_STRANGER || geteuid() == 0;
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
        (void)hurt_leave(&h->cluster, s, hurt_grace_ns(s));
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

/* The same process goes on, if it is that of a machine: it boots again. */
static void reset(struct hosting *h, uint32_t i, const struct chaos_fault *f)
{
    struct site_files *s = site_at(h, i);
    if (s->ground->reset == NULL) {
        end_life(h, i, f);
    } else if (s->running && h->keepers[i].pauses == 0 && s->ground->reset(s)) {
        (void)unlink(s->socket);
        log_down(h, i);
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
    case CHAOS_RESET:
        reset(h, i, f);
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
        hurt_stranger(&h->cluster, s, f->dice);
        break;
    case CHAOS_CLOCK:
        k->wall_s += f->by;
        hurt_clock(s, k->wall_s);
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
        (void)unlink(s->socket); /* it is there again when the site is up */
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

void strike_tick(struct hosting *h)
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

void strike_end(struct hosting *h)
{
    h->next = h->run->faults.count;
    while (h->active_count > 0) {
        end_fault(h, h->active_count - 1);
    }
}
