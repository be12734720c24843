#include "seen.h"

#include "world.h"

#define ROW(group, name, text) {#group " " #name, text},
static const struct {
    const char *name;
    const char *text;
} rows[SEEN_COUNT] = {SIM_SEEN(ROW)};
#undef ROW

/* 1 + the row of a kind; 0: it is in none. */
#define TRACE_ROW(name) [TRACE_##name] = 1 + SEEN_TRACE_##name,
#define OUTCOME_ROW(name) [MOTET_E_##name] = 1 + SEEN_OUTCOME_##name,
#define NEWS_ROW(name) [MOTET_NEWS_##name] = 1 + SEEN_NEWS_##name,
#define TOLD_ROW(name) [CHECK_##name] = 1 + SEEN_TOLD_##name,
#define NO_ROW(name)
#define TRACE_OF(group, name, text) group##_IN_TRACE(name)
#define TRACE_IN_TRACE(name) TRACE_ROW(name)
#define OUTCOME_IN_TRACE(name) NO_ROW(name)
#define NEWS_IN_TRACE(name) NO_ROW(name)
#define TOLD_IN_TRACE(name) NO_ROW(name)
#define WORLD_IN_TRACE(name) NO_ROW(name)
static const uint8_t by_trace[TRACE_COUNT] = {SIM_SEEN(TRACE_OF)};

#define OUTCOME_OF(group, name, text) group##_IN_OUTCOME(name)
#define TRACE_IN_OUTCOME(name) NO_ROW(name)
#define OUTCOME_IN_OUTCOME(name) OUTCOME_ROW(name)
#define NEWS_IN_OUTCOME(name) NO_ROW(name)
#define TOLD_IN_OUTCOME(name) NO_ROW(name)
#define WORLD_IN_OUTCOME(name) NO_ROW(name)
enum { OUTCOMES = 128 };
static const uint8_t by_outcome[OUTCOMES] = {SIM_SEEN(OUTCOME_OF)};

#define NEWS_OF(group, name, text) group##_IN_NEWS(name)
#define TRACE_IN_NEWS(name) NO_ROW(name)
#define OUTCOME_IN_NEWS(name) NO_ROW(name)
#define NEWS_IN_NEWS(name) NEWS_ROW(name)
#define TOLD_IN_NEWS(name) NO_ROW(name)
#define WORLD_IN_NEWS(name) NO_ROW(name)
enum { NEWS_KINDS = 32 };
static const uint8_t by_news[NEWS_KINDS] = {SIM_SEEN(NEWS_OF)};

#define TOLD_OF(group, name, text) group##_IN_TOLD(name)
#define TRACE_IN_TOLD(name) NO_ROW(name)
#define OUTCOME_IN_TOLD(name) NO_ROW(name)
#define NEWS_IN_TOLD(name) NO_ROW(name)
#define TOLD_IN_TOLD(name) TOLD_ROW(name)
#define WORLD_IN_TOLD(name) NO_ROW(name)
static const uint8_t by_event[CHECK_WHAT_COUNT] = {SIM_SEEN(TOLD_OF)};

const char *seen_name(enum sim_seen what, const char **text)
{
    *text = rows[what].text;
    return rows[what].name;
}

static void count(struct world *w, uint8_t row)
{
    if (row > 0) {
        w->report->seen[row - 1]++;
    }
}

void seen(struct world *w, enum sim_seen what)
{
    w->report->seen[what]++;
}

void seen_event(struct world *w, const struct check_event *e)
{
    count(w, by_event[e->what]);
    if ((e->what == CHECK_SEND_END || e->what == CHECK_CALL_END) &&
        (unsigned)e->err < OUTCOMES) {
        count(w, by_outcome[e->err]);
    } else if (e->what == CHECK_NEWS && (unsigned)e->news < NEWS_KINDS) {
        count(w, by_news[e->news]);
    } else if (e->what == CHECK_REPLY && e->err == MOTET_E_STATE) {
        seen(w, SEEN_WORLD_LATE_REPLY);
    }
}

void seen_trace(struct node *n)
{
    const struct trace *t = site_trace(n->site);
    if (t->count - n->traced > TRACE_RING) {
        n->traced = t->count - TRACE_RING; /* the older ones are gone */
    }
    for (; n->traced < t->count; n->traced++) {
        const struct trace_record *r = &n->ring[n->traced % TRACE_RING];
        const uint32_t what = r->what;
        if (n->world->opt->records) {
            world_trace(n->world, n, '-', "%s %s %x %llx %llx", n->name,
                        trace_name((enum trace_what)what), r->extra,
                        (unsigned long long)r->a, (unsigned long long)r->b);
        }
        count(n->world, what < TRACE_COUNT ? by_trace[what] : 0);
    }
}
