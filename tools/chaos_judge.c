#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"
#include "deploy/check/eventlog.h"
#include "nucleus/base/map.h"
#include "nucleus/base/ui.h"
#include "say.h"

/* Reads what a run left behind: merges the logs by time, feeds the checkers,
 * and counts for the picture. On one host all clocks are one. */

enum { LINES_STEP = 4096, LATE_HOST_MS = 25, LATE_SIM_MS = 12, QUIET_S = 11 };

/* An event of some log, or a line of the runner. */
struct line {
    uint64_t at_ns;
    uint32_t order; /* keeps those of one log in their order */
    uint32_t file;  /* index of the site; of the runner: UINT32_MAX */
    bool down;      /* of the runner: the site `file` is down now */
    struct check_event event;
};

struct reading {
    struct line *lines;
    size_t count;
    size_t torn; /* lines that are none: a process died writing */
};

static void add_line(struct reading *r, const struct line *l)
{
    if (r->count % LINES_STEP == 0) {
        struct line *more =
            realloc(r->lines, (r->count + LINES_STEP) * sizeof *more);
        CHECK(more != NULL);
        r->lines = more;
    }
    r->lines[r->count] = *l;
    r->lines[r->count].order = (uint32_t)r->count;
    r->count++;
}

static int by_time(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    if (x->at_ns != y->at_ns) {
        return x->at_ns < y->at_ns ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static void read_events(struct reading *r, const char *folder, const char *site,
                        uint32_t index)
{
    char path[PATH_BYTES];
    char text[EVENTLOG_LINE_MAX];
    struct line l = {.file = index};
    if (!path_join(path, folder, site, ".events")) {
        return;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return; /* it never ran */
    }
    while (fgets(text, sizeof text, f) != NULL) {
        if (eventlog_read(text, &l.event)) {
            l.at_ns = l.event.now_ns;
            add_line(r, &l);
        } else {
            r->torn++;
        }
    }
    (void)fclose(f);
}

/* ---- the log of the runner -------------------------------------------------
 */

static uint32_t site_index(const struct chaos_verdict *v, const char *name)
{
    for (uint32_t i = 0; i < v->site_count; i++) {
        if (strcmp(v->sites[i], name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static struct chaos_shown *shown_of(const struct chaos_verdict *v,
                                    const char *name)
{
    for (size_t i = v->shown_count; i > 0; i--) {
        if (strcmp(v->shown[i - 1].name, name) == 0) {
            return &v->shown[i - 1];
        }
    }
    return NULL;
}

/* "begin SITES FOR NAME TEXT" */
static void shown_begins(struct chaos_verdict *v, uint64_t at_ns,
                         const char *words)
{
    struct chaos_shown s = {.begin_ns = at_ns};
    uint64_t for_ns = 0;
    int text = 0;
    if (v->shown_count == CHAOS_SHOWN_MAX ||
        sscanf(words, "begin %" SCNx32 " %" SCNu64 " %31s %n", &s.sites,
               &for_ns, s.name, &text) != 3 ||
        text == 0) {
        return;
    }
    s.end_ns = at_ns + for_ns;
    (void)snprintf(s.text, sizeof s.text, "%.*s",
                   (int)strcspn(words + text, "\n"), words + text);
    struct chaos_shown *more =
        realloc(v->shown, (v->shown_count + 1) * sizeof *more);
    CHECK(more != NULL);
    v->shown = more;
    v->shown[v->shown_count++] = s;
}

static void read_log_line(struct reading *r, struct chaos_verdict *v,
                          const char *line)
{
    char name[MOTET_NAME_MAX + 1];
    char *words = NULL;
    const uint64_t at_ns = strtoull(line, &words, 10);
    const uint64_t from_ns = at_ns > v->start_ns ? at_ns - v->start_ns : 0;
    if (words == line || *words++ != ' ') {
        return;
    }
    if (strncmp(words, "begin ", 6) == 0) {
        shown_begins(v, from_ns, words);
    } else if (sscanf(words, "end %63s", name) == 1) {
        struct chaos_shown *s = shown_of(v, name);
        if (s != NULL && from_ns >= s->begin_ns) {
            s->end_ns = from_ns;
        }
    } else if (sscanf(words, "down %63s", name) == 1) {
        const struct line l = {
            .at_ns = at_ns, .file = site_index(v, name), .down = true};
        if (l.file != UINT32_MAX) {
            add_line(r, &l);
        }
    }
}

static bool read_log(struct reading *r, struct chaos_verdict *v,
                     const char *folder)
{
    char path[PATH_BYTES];
    char text[EVENTLOG_LINE_MAX];
    if (!path_join(path, folder, "run.log", NULL)) {
        return false;
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        say_error("cannot read %.300s: %s", path, strerror(errno));
        return false;
    }
    while (fgets(text, sizeof text, f) != NULL) {
        read_log_line(r, v, text);
    }
    (void)fclose(f);
    return true;
}

/* ---- what is shown ---------------------------------------------------------
 */

static void add_span(struct chaos_verdict *v, uint32_t site, bool pause,
                     uint64_t begin_ns, uint64_t end_ns)
{
    struct chaos_span *more =
        realloc(v->spans, (v->span_count + 1) * sizeof *more);
    CHECK(more != NULL);
    v->spans = more;
    v->spans[v->span_count++] = (struct chaos_span){
        .site = site, .pause = pause, .begin_ns = begin_ns, .end_ns = end_ns};
}

static uint64_t from_start(const struct chaos_verdict *v, uint64_t at_ns)
{
    return at_ns > v->start_ns ? at_ns - v->start_ns : 0;
}

static void show_outcome(struct chaos_verdict *v, const struct check_event *e)
{
    const uint64_t n = from_start(v, e->now_ns) / v->bucket_ns;
    struct chaos_bucket *b =
        &v->buckets[n < CHAOS_BUCKETS_MAX ? n : CHAOS_BUCKETS_MAX - 1];
    switch (motet_err_ran(e->err)) {
    case MOTET_RAN_YES:
        b->ok++;
        break;
    case MOTET_RAN_NO:
        b->refused++;
        break;
    case MOTET_RAN_MAYBE:
    default:
        b->unknown++;
    }
}

static void show_move(struct chaos_verdict *v, const struct line *l)
{
    struct chaos_move *more =
        realloc(v->moves, (v->move_count + 1) * sizeof *more);
    CHECK(more != NULL);
    v->moves = more;
    v->moves[v->move_count++] =
        (struct chaos_move){.site = l->file, .at_ns = from_start(v, l->at_ns)};
}

/* ---- feeding ---------------------------------------------------------------
 */

/* A site as its events tell. */
struct life {
    uint32_t incarnation; /* 0: down */
    uint64_t begin_ns;
};

struct feeding {
    struct chaos_verdict *v;
    struct check *check;
    struct life lives[CHAOS_SITES_MAX];
    struct mem mem;
    struct map pending; /* (id, 0) -> 1 + index of the site */
    struct map quiet;   /* (id, 0): a send of which only a failure is told */
    struct map calls;   /* (id, 0) -> peer site + 1, of calls after the heal */
    bool apart[CHAOS_SITES_MAX];
    bool called[CHAOS_SITES_MAX][CHAOS_SITES_MAX];
};

static void end_life(struct feeding *f, uint32_t site, uint64_t at_ns)
{
    struct life *life = &f->lives[site];
    if (life->incarnation == 0) {
        return;
    }
    const struct check_event e = {
        .now_ns = at_ns,
        .what = CHECK_SITE_END,
        .site = f->v->ids[site],
        .incarnation = life->incarnation,
    };
    check_feed(f->check, &e);
    add_span(f->v, site, false, from_start(f->v, life->begin_ns),
             from_start(f->v, at_ns));
    life->incarnation = 0;
}

/* In an index of the map, so that 0 is "not there". */
static void *mark(uintptr_t n)
{
    return (void *)(n + 1);
}

static uint32_t unmark(const void *p)
{
    return (uint32_t)((uintptr_t)p - 1);
}

static uint32_t site_of_id(const struct chaos_verdict *v, uint64_t id)
{
    for (uint32_t i = 0; i < v->site_count; i++) {
        if (v->ids[i] == id) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void note_call(struct feeding *f, const struct line *l)
{
    const struct check_event *e = &l->event;
    if (e->what == CHECK_CALL_BEGIN && e->now_ns > f->v->healed_ns &&
        f->v->healed_ns > 0 && !ui_is_group(e->peer)) {
        const uint32_t to = site_of_id(f->v, ui_site(e->peer));
        if (to != UINT32_MAX) {
            CHECK(map_put(&f->calls, e->id, 0, mark(to)));
        }
    } else if (e->what == CHECK_CALL_END && e->err == MOTET_OK) {
        const void *to = map_remove(&f->calls, e->id, 0);
        if (to != NULL) {
            f->called[l->file][unmark(to)] = true;
        }
    }
}

static void note(struct feeding *f, const struct line *l)
{
    const struct check_event *e = &l->event;
    struct chaos_verdict *v = f->v;
    switch ((int)e->what) {
    case CHECK_SITE_BEGIN:
        end_life(f, l->file, e->now_ns); /* born again without an end */
        v->ids[l->file] = e->site;
        f->lives[l->file] =
            (struct life){.incarnation = e->incarnation, .begin_ns = e->now_ns};
        break;
    case CHECK_SITE_END:
        add_span(v, l->file, false, from_start(v, f->lives[l->file].begin_ns),
                 from_start(v, e->now_ns));
        f->lives[l->file].incarnation = 0;
        break;
    case CHECK_SITE_APART:
        f->apart[l->file] = true;
        break;
    case CHECK_SITE_PAUSED:
        if (e->value >= 200000000) {
            add_span(v, l->file, true, from_start(v, e->now_ns - e->value),
                     from_start(v, e->now_ns));
        }
        break;
    case CHECK_CALL_BEGIN:
    case CHECK_SEND_BEGIN:
        if (e->what == CHECK_SEND_BEGIN && !e->told) {
            (void)!map_put(&f->quiet, e->id, 0, mark(0));
        }
        (void)!map_put(&f->pending, e->id, 0, mark(l->file));
        break;
    case CHECK_DELIVER:
        if (map_get(&f->quiet, e->id, 0) != NULL) {
            (void)map_remove(&f->pending, e->id, 0);
        }
        break;
    case CHECK_CALL_END:
    case CHECK_SEND_END:
        (void)map_remove(&f->pending, e->id, 0);
        show_outcome(v, e);
        break;
    case CHECK_OWNER:
        show_move(v, l);
        break;
    default:
        break;
    }
    note_call(f, l);
}

/* Of a send whose outcome is told only when it is bad, nothing more is to be
 * expected when its deadline has passed; without one, after a while. */
static bool is_over(const struct feeding *f, const struct check_event *e,
                    uint64_t now_ns)
{
    const uint64_t while_ns = (uint64_t)QUIET_S * 1000000000;
    const uint64_t late_ns = 100000000;
    return map_get(&f->quiet, e->id, 0) != NULL &&
           (now_ns > e->now_ns + while_ns ||
            (e->deadline_ns != UINT64_MAX &&
             now_ns > e->deadline_ns + late_ns));
}

static void count_pending(struct feeding *f, const struct reading *r)
{
    const uint64_t now_ns = r->count > 0 ? r->lines[r->count - 1].at_ns : 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct line *l = &r->lines[i];
        const void *site =
            l->down ? NULL : map_remove(&f->pending, l->event.id, 0);
        if (site != NULL && !is_over(f, &l->event, now_ns) &&
            f->lives[unmark(site)].incarnation == l->event.incarnation) {
            f->v->pending++;
        }
    }
}

/* P13: in the end each site that runs is answered by each other one. */
static void judge_calls(struct feeding *f)
{
    const struct chaos_verdict *v = f->v;
    char text[CHECK_TEXT_MAX];
    for (uint32_t i = 0; i < v->site_count; i++) {
        for (uint32_t j = 0; j < v->site_count; j++) {
            if (i == j || f->called[i][j] || f->apart[i] || f->apart[j] ||
                f->lives[i].incarnation == 0 || f->lives[j].incarnation == 0) {
                continue;
            }
            (void)snprintf(text, sizeof text,
                           "no call from %.63s to %.63s "
                           "succeeds after everything was healed",
                           v->sites[i], v->sites[j]);
            check_accuse(f->check, 13, v->end_ns, v->ids[i], text);
        }
    }
}

static void keep_violations(struct chaos_verdict *v, const struct check *c)
{
    const struct check_violation *x = NULL;
    v->violations += check_violations(c);
    for (uint32_t i = 0; (x = check_violation(c, i)) != NULL &&
                         v->kept_count < CHECK_VIOLATIONS_MAX;
         i++) {
        struct chaos_accusation *k = &v->kept[v->kept_count++];
        k->promise = x->promise;
        k->at_ns = x->now_ns;
        k->site = x->site;
        (void)snprintf(k->text, sizeof k->text, "%s", x->text);
    }
}

static void feed_all(struct feeding *f, const struct reading *r)
{
    struct chaos_verdict *v = f->v;
    for (size_t i = 0; i < r->count; i++) {
        const struct line *l = &r->lines[i];
        if (l->at_ns > v->end_ns && v->end_ns > 0) {
            break;
        }
        if (l->down) {
            end_life(f, l->file, l->at_ns);
            continue;
        }
        note(f, l);
        v->events++;
        check_feed(f->check, &l->event);
    }
    count_pending(f, r);
    for (uint32_t i = 0; i < v->site_count; i++) {
        if (f->lives[i].incarnation != 0) {
            add_span(v, i, false, from_start(v, f->lives[i].begin_ns),
                     from_start(v, v->end_ns));
        }
    }
    if (v->own_load && v->end_ns > 0) {
        judge_calls(f);
    }
}

/* ---- the verdict -----------------------------------------------------------
 */

static void decide(struct chaos_verdict *v)
{
    v->code = EXIT_DONE;
    for (uint32_t i = 0; i < v->kept_count; i++) {
        const int p = v->kept[i].promise;
        const enum exit_code code = p == 0              ? EXIT_CRASHED
                                    : p == 8 || p == 13 ? EXIT_STUCK
                                                        : EXIT_UNSAFE;
        if (code == EXIT_UNSAFE || v->code == EXIT_DONE ||
            (code == EXIT_CRASHED && v->code == EXIT_STUCK)) {
            v->code = code;
        }
    }
    if (v->code != EXIT_DONE) {
        return;
    }
    if (v->end_ns == 0) {
        v->code = EXIT_NO_VERDICT;
        (void)snprintf(v->why, sizeof v->why, "the run did not get to its end");
    } else if (!v->own_load && v->states == 0) {
        v->code = EXIT_NO_VERDICT;
        (void)snprintf(v->why, sizeof v->why,
                       "no state of your actor was seen: its table needs save "
                       "and restore");
    } else if (v->own_load && v->counts.replies < v->calls_min) {
        v->code = EXIT_NO_VERDICT;
        (void)snprintf(v->why, sizeof v->why,
                       "only %" PRIu64 " calls were answered, %" PRIu64
                       " are needed to prove anything",
                       v->counts.replies, v->calls_min);
    }
}

static void read_all(struct reading *r, const char *folder,
                     const struct chaos_verdict *v)
{
    for (uint32_t i = 0; i < v->site_count; i++) {
        read_events(r, folder, v->sites[i], i);
    }
    qsort(r->lines, r->count, sizeof *r->lines, by_time);
}

static void judge(struct reading *r, struct chaos_verdict *v)
{
    const bool sim = strcmp(v->ground, "sim") == 0;
    const struct check_config cfg = {
        .late_ns = (sim ? LATE_SIM_MS : LATE_HOST_MS) * 1000000ULL,
        .settle_ns = v->end_ns > v->healed_ns ? v->end_ns - v->healed_ns : 0,
    };
    struct feeding f = {.v = v, .check = check_new(&cfg)};
    const uint64_t long_ns =
        v->end_ns > v->start_ns ? v->end_ns - v->start_ns : 1;
    v->bucket_ns = long_ns / CHAOS_BUCKETS_MAX + 1;
    mem_init(&f.mem, SIZE_MAX);
    map_init(&f.pending, &f.mem, 1);
    map_init(&f.quiet, &f.mem, 3);
    map_init(&f.calls, &f.mem, 2);
    feed_all(&f, r);
    if (v->end_ns > 0) {
        check_end(f.check, v->end_ns);
    }
    v->counts = check_counts(f.check);
    keep_violations(v, f.check);
    map_fini(&f.pending);
    map_fini(&f.quiet);
    map_fini(&f.calls);
    check_free(f.check);
}

bool chaos_judge(const char *folder, struct chaos_verdict *v)
{
    struct reading r = {0};
    *v = (struct chaos_verdict){0};
    if (!chaos_read_run(v, folder) || !read_log(&r, v, folder)) {
        free(r.lines);
        return false;
    }
    read_all(&r, folder, v);
    judge(&r, v);
    decide(v);
    free(r.lines);
    return true;
}

uint64_t chaos_pending(const char *folder)
{
    struct chaos_verdict v;
    if (!chaos_judge(folder, &v)) {
        return UINT64_MAX;
    }
    const uint64_t pending = v.pending;
    chaos_verdict_free(&v);
    return pending;
}

void chaos_verdict_free(struct chaos_verdict *v)
{
    free(v->shown);
    free(v->spans);
    free(v->moves);
    *v = (struct chaos_verdict){0};
}
