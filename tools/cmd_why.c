#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moving.h"
#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"
#include "sites/core/member.h"
#include "sites/core/migration_rules.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet why: where a port is, who owns it and its name, who said so, how it
 * came there, and what moves of it are under way. */

enum { SHOWN_MAX = 5, OTHERS_NS = 500000000 };

struct why {
    struct client c;
    struct site_names names;
    struct moving_port port;
    struct moving_note *notes; /* of this port, the latest first */
    size_t count;
    char groups[GROUPS_TEXT_MAX];
    bool only;           /* it alone has its name */
    uint64_t heard_site; /* where the site attached to takes it to be */
    uint64_t heard_epoch;
};

/* ---- gathering -------------------------------------------------------------
 */

static bool is_known(const struct why *w, const struct moving_note *n)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct moving_note *k = &w->notes[i];
        if (n->over && k->over && k->epoch == n->epoch && k->err == n->err &&
            k->from == n->from && k->to == n->to) {
            return true; /* both of its sites remember it; the source more */
        }
    }
    return false;
}

static void add_notes(struct why *w, uint64_t site, bool came)
{
    struct moving_note *list;
    size_t count;

    if (moving_notes(&w->c, site, &list, &count) != MOTET_OK) {
        return;
    }
    struct moving_note *more =
        realloc(w->notes, (w->count + count + 1) * sizeof *more);
    CHECK(more != NULL);
    w->notes = more;
    for (size_t i = 0; i < count; i++) {
        if (ui_equal(list[i].port, w->port.ui) && list[i].came == came &&
            !is_known(w, &list[i])) {
            w->notes[w->count++] = list[i];
        }
    }
    free(list);
}

/* What is under way first; then by epoch, the latest first. */
static int latest(const void *a, const void *b)
{
    const struct moving_note *x = a;
    const struct moving_note *y = b;

    if (x->over != y->over) {
        return x->over ? 1 : -1;
    }
    if (x->ago_ms != y->ago_ms) {
        return x->ago_ms < y->ago_ms ? -1 : 1;
    }
    return x->epoch > y->epoch ? -1 : x->epoch < y->epoch;
}

static void gather_moves(struct why *w)
{
    w->c.timeout_ns = OTHERS_NS; /* of those that are stuck nothing is heard */
    for (int came = 0; came < 2; came++) {
        for (size_t i = 0; i < w->names.count; i++) {
            const struct site_name *s = &w->names.sites[i];
            if (s->state == MEMBER_ALIVE) {
                add_notes(w, s->id, came != 0);
            }
        }
    }
    if (w->count > 0) {
        qsort(w->notes, w->count, sizeof *w->notes, latest);
    }
}

static void gather_groups(struct why *w)
{
    struct group_rows groups;

    if (group_rows_get(&w->c, &groups) != EXIT_DONE) {
        return;
    }
    for (size_t i = 0; i < groups.count; i++) {
        const struct group_row *g = &groups.rows[i];
        for (size_t k = 0; g->name[0] != '\0' && k < g->list_count; k++) {
            if (ui_equal(g->list[k].port, w->port.ui)) {
                const size_t n = strlen(w->groups);
                snprintf(w->groups + n, sizeof w->groups - n, "%s%s",
                         n == 0 ? "" : ",", g->name);
                w->only = w->only || g->members == 1;
            }
        }
    }
    group_rows_free(&groups);
}

static void gather_heard(struct why *w)
{
    Motet__ControlReply *reply;

    if (control_ask(&w->c, 0, MOTET__CONTROL_REQUEST__OP__WHERE, w->port.ui,
                    NULL, &reply) != MOTET_OK) {
        return;
    }
    if (reply->where != NULL) {
        w->heard_site = reply->where->site;
        w->heard_epoch = reply->where->epoch;
    }
    motet__control_reply__free_unpacked(reply, NULL);
}

/* ---- telling ---------------------------------------------------------------
 */

static const char *site_text(const struct why *w, uint64_t site, char *text)
{
    return site_names_text(&w->names, site, text);
}

static const char *state_text(uint32_t state)
{
    return state == MIG_FRZ   ? "frozen: offered to the other site"
           : state == MIG_FWD ? "committed: the other site takes over"
                              : "waiting for its turn";
}

static void print_now(const struct why *w)
{
    char site[32];
    char text[MOTET_UI_TEXT_MAX];
    const struct moving_port *p = &w->port;

    printf("%s  ui %s\n", p->name, motet_ui_text(p->ui, text));
    printf("  is at      %s, epoch %" PRIu64 ", ", site_text(w, p->site, site),
           p->epoch);
    printf("owned by %s%s\n", p->actor[0] == '\0' ? "a program" : "actor ",
           p->actor);
    printf("  born at    %s%s\n", site_text(w, ui_site(p->ui), site),
           p->epoch <= 1 ? "; has not moved" : "");
    printf("  name       %s%s\n", w->groups[0] == '\0' ? "none" : w->groups,
           w->groups[0] == '\0' ? ""
           : w->only            ? "; it is the only member"
                                : "; one of several members");
    printf("  queue      %" PRIu64 " of %" PRIu64, p->queued, p->queued_max);
    if (p->queued > 0) {
        char age[UNIT_TEXT_MAX];
        printf(", the oldest for %s", unit_ns(p->oldest_ms * 1000000, age));
    }
    printf("; %" PRIu64 " received so far%s\n", p->seq,
           p->enabled ? "" : "; disabled");
}

static void print_from_here(const struct why *w)
{
    char site[32];
    char rtt[UNIT_TEXT_MAX];
    const struct site_name *s = site_names_by_id(&w->names, w->port.site);

    if (w->port.site == w->c.site) {
        printf("  from here  it lives on this site (%s)\n", w->c.at->name);
        return;
    }
    printf("  from here  %s ", w->c.at->name);
    if (w->heard_site == w->port.site) {
        printf("%s", w->heard_epoch == 0 ? "asks where it was born"
                                         : "knows it there");
    } else {
        printf("takes it to be at %s, and is sent on from there",
               site_text(w, w->heard_site, site));
    }
    if (s != NULL && s->rtt_ns != CELL_NONE) {
        printf("; rtt %s", unit_ns(s->rtt_ns, rtt));
    }
    printf("\n");
}

static void print_move(const struct why *w, const struct moving_note *n,
                       bool first)
{
    char from[32];
    char to[32];
    char took[UNIT_TEXT_MAX];
    char ago[UNIT_TEXT_MAX];

    printf("  %-9s  %s -> %s, ", first ? "moves" : "",
           site_text(w, n->from, from), site_text(w, n->to, to));
    if (!n->over) {
        printf("under way: %s\n", state_text(w->port.state));
        return;
    }
    if (n->err != MOTET_OK) {
        printf("%s ago: did not move: %s\n", unit_age_ms(n->ago_ms, ago),
               motet_err_text(n->err));
        return;
    }
    printf("%s ago, epoch %" PRIu64, unit_age_ms(n->ago_ms, ago), n->epoch);
    if (!n->came) {
        printf(": in %s, asked by uid %" PRIu64, unit_ns(n->over_ns, took),
               n->asked_by);
    }
    printf("; %" PRIu64 " queued came along", n->queued);
    if (n->dropped > 0) {
        printf(", %" PRIu64 " dropped", n->dropped);
    }
    printf("\n");
}

static enum exit_code print_all(const struct why *w)
{
    print_now(w);
    print_from_here(w);
    for (size_t i = 0; i < w->count && i < SHOWN_MAX; i++) {
        print_move(w, &w->notes[i], i == 0);
    }
    if (w->count > SHOWN_MAX) {
        printf("             and %zu more: --json\n", w->count - SHOWN_MAX);
    }
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static json_t *json_move(const struct why *w, const struct moving_note *n)
{
    char from[32];
    char to[32];
    json_t *doc = json_pack(
        "{s:s,s:s,s:b,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "from",
        site_text(w, n->from, from), "to", site_text(w, n->to, to), "over",
        n->over, "moved", n->over && n->err == MOTET_OK, "error",
        motet_err_name(n->err), "epoch", (json_int_t)n->epoch, "ports",
        (json_int_t)n->ports, "queued", (json_int_t)n->queued, "dropped",
        (json_int_t)n->dropped, "asked_by_uid", (json_int_t)n->asked_by,
        "took_ns", (json_int_t)n->over_ns, "pause_ns",
        (json_int_t)moving_pause_ns(n), "ago_ms", (json_int_t)n->ago_ms);

    CHECK(doc != NULL);
    return doc;
}

static enum exit_code json_all(const struct why *w)
{
    char site[32];
    char born[32];
    char heard[32];
    char ui[MOTET_UI_TEXT_MAX];
    const struct moving_port *p = &w->port;
    json_t *moves = json_array();

    CHECK(moves != NULL);
    for (size_t i = 0; i < w->count; i++) {
        CHECK(json_array_append_new(moves, json_move(w, &w->notes[i])) == 0);
    }
    return table_json(
               "motet.why/1",
               json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:b,s:s,s:I,s:I,s:I,"
                         "s:b,s:o}",
                         "name", p->name, "ui", motet_ui_text(p->ui, ui),
                         "site", site_text(w, p->site, site), "born",
                         site_text(w, ui_site(p->ui), born), "epoch",
                         (json_int_t)p->epoch, "actor", p->actor, "groups",
                         w->groups, "only_member", w->only, "heard_site",
                         site_text(w, w->heard_site, heard), "heard_epoch",
                         (json_int_t)w->heard_epoch, "queue",
                         (json_int_t)p->queued, "received", (json_int_t)p->seq,
                         "moving", p->state == MIG_FRZ || p->state == MIG_FWD,
                         "moves", moves))
               ? EXIT_DONE
               : EXIT_FAILED;
}

static enum exit_code why_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct why w = {0};
    (void)count;

    enum exit_code code = client_open(&w.c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_names_get(&w.c, &w.names);
    if (code == EXIT_DONE) {
        code = moving_find(&w.c, &w.names, args[0], &w.port);
    }
    if (code == EXIT_DONE) {
        gather_heard(&w);
        gather_groups(&w);
        gather_moves(&w);
        code = options.output >= OUTPUT_JSON ? json_all(&w) : print_all(&w);
    }
    free(w.notes);
    site_names_free(&w.names);
    client_leave(&w.c);
    return code;
}

const struct verb verb_why = {
    .name = "why",
    .args = "PORT",
    .args_min = 1,
    .args_max = 1,
    .run = why_run,
    .summary = "where a port is, whose it is, and how it came there",
    .examples = "  motet why counter\n",
    .exits = "0 2 3 7 77 124",
};
