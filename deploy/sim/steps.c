#include "steps.h"

#include <stdio.h>

#include "nucleus/base/hash.h"

struct step_head {
    struct list link; /* steps.all */
    size_t bytes;
};

/* A move at one of its sites. */
struct step_move {
    struct step_head head;
    enum mig_state state;
    bool held; /* was PRP once */
};

struct step_xid {
    struct step_head head;
    bool begun, committed, activated;
};

struct step_port {
    struct step_head head;
    uint64_t epoch; /* its owner has it at this one, or at a higher one */
};

/* ---- What is remembered ----------------------------------------------------
 */

void steps_init(struct steps *s, struct mem *mem)
{
    *s = (struct steps){.mem = mem};
    map_init(&s->by_move, mem, 1);
    map_init(&s->by_xid, mem, 2);
    map_init(&s->by_port, mem, 3);
    list_init(&s->all);
}

void steps_fini(struct steps *s)
{
    list_foreach (it, &s->all) {
        struct step_head *h = LIST_ENTRY(it, struct step_head, link);
        list_remove(it);
        mem_free(s->mem, h, h->bytes);
    }
    map_fini(&s->by_move);
    map_fini(&s->by_xid);
    map_fini(&s->by_port);
}

/* The record of that key; a new one is zero. */
static void *record(struct steps *s, struct map *in, uint64_t hi, uint64_t lo,
                    size_t bytes)
{
    void *found = map_get(in, hi, lo);
    if (found == NULL) {
        struct step_head *h = mem_alloc(s->mem, bytes);
        CHECK(h != NULL);
        h->bytes = bytes;
        list_append(&s->all, &h->link);
        CHECK(map_put(in, hi, lo, h));
        found = h;
    }
    return found;
}

static uint64_t fold_xid(const struct mig_xid *x)
{
    return hash_fold(x->site, x->incarnation);
}

static bool is_source(const struct step *e)
{
    return e->site == e->xid.site;
}

/* ---- The rules -------------------------------------------------------------
 */

/* The first of these that holds is why it must not happen. */
static const char *against_table(const struct step *e)
{
    const struct mig_rule *rule = mig_rule(e->from, e->event);
    if (rule == NULL) {
        return "is not in the table";
    }
    return rule->next != e->to ? "leads elsewhere in the table" : NULL;
}

/* A destination forgets what it activated when the source is over with it; all
 * that may come of it then are old offers. */
static bool goes_on(const struct step_move *m, const struct step *e)
{
    return e->from == m->state ||
           (m->state == MIG_OWN && e->from == MIG_NONE && !is_source(e) &&
            e->event == MIG_ON_PREPARE_BAD);
}

static const char *against_before(const struct step_move *m,
                                  const struct step_xid *x,
                                  const struct step *e)
{
    if (is_source(e) && e->incarnation != e->xid.incarnation) {
        return "is of another life of its source";
    }
    if (e->event == MIG_ON_START) {
        return !is_source(e) ? "begins elsewhere than at its source"
               : x->begun    ? "was begun before"
                             : NULL;
    }
    if (!goes_on(m, e)) {
        return "does not go on from where it was";
    }
    if (!x->begun) {
        return "was never begun";
    }
    if (e->from == MIG_NONE && e->to == MIG_PRP) {
        return is_source(e) ? "is held by its own source"
               : m->held    ? "was held before"
                            : NULL;
    }
    if (e->from == MIG_PRP && e->to == MIG_OWN && !x->committed) {
        return "is activated, and was not committed";
    }
    if (is_source(e) && e->to == MIG_OWN && x->activated) {
        return "is resumed, and was activated";
    }
    return NULL;
}

static const char *against_epoch(struct steps *s, const struct step *e)
{
    if (e->port.hi == 0 && e->port.lo == 0) {
        return e->from != e->to ? "names no port" : NULL;
    }
    struct step_port *p =
        record(s, &s->by_port, e->port.hi, e->port.lo, sizeof *p);
    if (e->event == MIG_ON_START && e->epoch < p->epoch) {
        return "has an epoch that was used before";
    }
    const bool thaws = is_source(e) && e->from != e->to && e->to == MIG_OWN;
    const bool lives = !is_source(e) && e->from == MIG_PRP && e->to == MIG_OWN;
    const uint64_t epoch = e->epoch + (thaws ? 2 : lives ? 1 : 0);
    p->epoch = epoch > p->epoch ? epoch : p->epoch;
    return NULL;
}

static void remember(struct step_move *m, struct step_xid *x,
                     const struct step *e)
{
    const bool over = is_source(e) && (e->to == MIG_OWN || e->to == MIG_NONE);
    m->state = over ? MIG_NONE : e->to;
    m->held = m->held || e->to == MIG_PRP;
    x->begun = x->begun || e->event == MIG_ON_START;
    x->committed = x->committed || (is_source(e) && e->to == MIG_FWD);
    x->activated = x->activated ||
                   (!is_source(e) && e->to == MIG_OWN && e->from == MIG_PRP);
}

const char *step_text(const struct step *e, char text[STEP_WHY_MAX])
{
    (void)snprintf(text, STEP_WHY_MAX, "move %llx.%x.%llu: %s, %s, %s",
                   (unsigned long long)e->xid.site, e->xid.incarnation,
                   (unsigned long long)e->xid.number, mig_state_name(e->from),
                   mig_event_name(e->event), mig_state_name(e->to));
    return text;
}

bool steps_feed(struct steps *s, const struct step *e, char why[STEP_WHY_MAX])
{
    const uint64_t xid = fold_xid(&e->xid);
    const uint64_t life = hash_fold(hash_fold(xid, e->site),
                                    (uint64_t)e->copy << 32 | e->incarnation);
    struct step_move *m =
        record(s, &s->by_move, life, e->xid.number, sizeof *m);
    struct step_xid *x = record(s, &s->by_xid, xid, e->xid.number, sizeof *x);
    const char *what = against_table(e);
    s->count++;
    what = what != NULL ? what : against_before(m, x, e);
    const char *epoch = against_epoch(s, e);
    what = what != NULL ? what : epoch;
    remember(m, x, e);
    if (what != NULL) {
        char text[STEP_WHY_MAX];
        (void)snprintf(why, STEP_WHY_MAX, "%.110s: %s", step_text(e, text),
                       what);
    }
    return what == NULL;
}
