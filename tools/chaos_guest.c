#include "chaos_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/check/eventlog.h"
#include "folders.h"
#include "say.h"

enum { STEP = 256 };

#define WINDOW_NS 500000000ULL /* of which one look is taken, the best */

/* A look at the clock: guest_ns there was guest_ns + ahead_ns here. */
struct look {
    uint64_t guest_ns;
    int64_t ahead_ns;
    uint64_t took_ns;
    uint64_t from_ns; /* of the host */
};

/* A boot, or the rest of one after a standstill: in it the clock runs evenly.
 */
struct stretch {
    uint64_t boot;
    uint64_t resumed_ns; /* of the host; 0: it begins with the boot */
    uint64_t begin_ns;   /* of the guest; found at the end */
    size_t first, count; /* looks */
};

struct guest_clock {
    struct look *looks;
    size_t look_count;
    struct stretch *stretches;
    size_t stretch_count;
    size_t from, to; /* stretches of the boot that is meant */
};

/* ---- reading ---------------------------------------------------------------
 */

static void *grow(void *items, size_t count, size_t size)
{
    if (count % STEP != 0) {
        return items;
    }
    void *more = realloc(items, (count + STEP) * size);
    CHECK(more != NULL);
    return more;
}

static struct stretch *last(struct guest_clock *c)
{
    return c->stretch_count > 0 ? &c->stretches[c->stretch_count - 1] : NULL;
}

static void begin(struct guest_clock *c, uint64_t boot, uint64_t resumed_ns)
{
    c->stretches = grow(c->stretches, c->stretch_count, sizeof *c->stretches);
    c->stretches[c->stretch_count++] = (struct stretch){
        .boot = boot, .resumed_ns = resumed_ns, .first = c->look_count};
}

/* Of each window only the best one is kept. */
static void add(struct guest_clock *c, uint64_t guest_ns, uint64_t from_ns,
                uint64_t to_ns)
{
    struct stretch *s = last(c);
    const struct look l = {
        .guest_ns = guest_ns,
        .ahead_ns = (int64_t)(from_ns + (to_ns - from_ns) / 2 - guest_ns),
        .took_ns = to_ns - from_ns,
        .from_ns = from_ns,
    };
    /* One that was asked before the standstill says nothing of now. */
    if (s == NULL || to_ns < from_ns || from_ns < s->resumed_ns) {
        return;
    }
    struct look *best = s->count > 0 ? &c->looks[c->look_count - 1] : NULL;
    if (best != NULL && best->from_ns / WINDOW_NS == from_ns / WINDOW_NS) {
        *best = l.took_ns < best->took_ns ? l : *best;
        return;
    }
    c->looks = grow(c->looks, c->look_count, sizeof *c->looks);
    c->looks[c->look_count++] = l;
    s->count++;
}

static void read_line(struct guest_clock *c, const char *line)
{
    uint64_t a = 0;
    uint64_t b = 0;
    uint64_t d = 0;
    if (sscanf(line, "boot %" SCNu64, &a) == 1) {
        begin(c, a, 0);
    } else if (sscanf(line, "resume %" SCNu64, &a) == 1 && last(c) != NULL) {
        begin(c, last(c)->boot, a);
    } else if (sscanf(line, "at %" SCNu64 " %" SCNu64 " %" SCNu64, &a, &b,
                      &d) == 3) {
        add(c, a, b, d);
    }
}

/* The clock stood still at what it was when it went on. A little later counts
 * as before: the first thing that a machine does takes longer than a look. */
static void find_begins(struct guest_clock *c)
{
    for (size_t i = 0; i < c->stretch_count; i++) {
        struct stretch *s = &c->stretches[i];
        if (s->resumed_ns > 0 && s->count > 0) {
            const struct look *l = &c->looks[s->first];
            s->begin_ns =
                s->resumed_ns - (uint64_t)l->ahead_ns + l->took_ns / 2;
        }
    }
}

struct guest_clock *guest_clock_read(const char *path)
{
    char line[128];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return NULL;
    }
    struct guest_clock *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        read_line(c, line);
    }
    (void)fclose(f);
    find_begins(c);
    return c;
}

void guest_clock_free(struct guest_clock *c)
{
    if (c != NULL) {
        free(c->looks);
        free(c->stretches);
        free(c);
    }
}

/* ---- asking ----------------------------------------------------------------
 */

bool guest_clock_boot(struct guest_clock *c, uint64_t number)
{
    c->from = 0;
    c->to = 0;
    for (size_t i = 0; i < c->stretch_count; i++) {
        if (c->stretches[i].boot == number) {
            c->from = c->to == 0 ? i : c->from;
            c->to = i + 1;
        }
    }
    return c->to > 0;
}

/* In which stretch a time of the guest is, of those that were looked at. */
static const struct stretch *stretch_of(const struct guest_clock *c,
                                        uint64_t guest_ns)
{
    const struct stretch *found = NULL;
    for (size_t i = c->from; i < c->to; i++) {
        const struct stretch *s = &c->stretches[i];
        if (s->count > 0 && (found == NULL || s->begin_ns <= guest_ns)) {
            found = s;
        }
    }
    return found;
}

/* Between two looks evenly, beyond the first and the last as there. */
static int64_t ahead_at(const struct look *looks, size_t count,
                        uint64_t guest_ns)
{
    size_t i = 0;
    while (i < count && looks[i].guest_ns <= guest_ns) {
        i++;
    }
    if (i == 0 || i == count) {
        return looks[i == 0 ? 0 : count - 1].ahead_ns;
    }
    const struct look *a = &looks[i - 1];
    const struct look *b = &looks[i];
    const int64_t part = (int64_t)((guest_ns - a->guest_ns) * 1000000 /
                                   (b->guest_ns - a->guest_ns));
    return a->ahead_ns + (b->ahead_ns - a->ahead_ns) * part / 1000000;
}

uint64_t guest_clock_host(const struct guest_clock *c, uint64_t guest_ns)
{
    const struct stretch *s = stretch_of(c, guest_ns);
    if (guest_ns == UINT64_MAX || s == NULL) {
        return guest_ns;
    }
    return guest_ns +
           (uint64_t)ahead_at(c->looks + s->first, s->count, guest_ns);
}

/* ---- the events ------------------------------------------------------------
 */

static void translate(struct guest_clock *c, FILE *in, FILE *out)
{
    char line[EVENTLOG_LINE_MAX];
    struct check_event e;
    uint64_t boot = 0;
    bool known = false;
    while (fgets(line, sizeof line, in) != NULL) {
        if (line[0] == '\n') {
            continue;
        }
        if (sscanf(line, "boot %" SCNu64, &boot) == 1) {
            known = guest_clock_boot(c, boot);
        } else if (!known || !eventlog_read(line, &e)) {
            (void)fprintf(out, "torn %s", line); /* the judge counts it */
        } else {
            e.now_ns = guest_clock_host(c, e.now_ns);
            e.deadline_ns =
                e.deadline_ns == 0 ? 0 : guest_clock_host(c, e.deadline_ns);
            (void)fwrite(line, 1, eventlog_write(&e, line), out);
        }
    }
}

bool guest_events(const char *folder, const char *site)
{
    char path[PATH_BYTES];
    char to[PATH_BYTES];
    if (!path_join(path, folder, site, ".clock") ||
        !path_join(to, folder, site, ".events")) {
        return false;
    }
    struct guest_clock *c = guest_clock_read(path);
    FILE *in = c != NULL && path_join(path, folder, site, ".guest")
                   ? fopen(path, "re")
                   : NULL;
    FILE *out = in == NULL ? NULL : fopen(to, "we");
    bool ok = in == NULL || out != NULL;
    if (out != NULL) {
        translate(c, in, out);
        ok = fclose(out) == 0;
    }
    if (!ok) {
        say_error("cannot write %.300s: %s", to, strerror(errno));
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    guest_clock_free(c);
    return ok;
}
