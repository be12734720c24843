#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "points.h"

enum {
    MARGIN = 16,     /* events after the end of the move */
    EVENTS_MAX = 96, /* of one story; of a longer one not each */
};

static const char *const whats[] = {"actor", "port"};
static const char *const ways[POINT_WAYS] = {"tcp", "udp"};

#define POINT_FAULT_WORD(name, word, text) word,
static const char *const faults[POINT_FAULT_COUNT] = {
    POINT_FAULTS(POINT_FAULT_WORD)};
#undef POINT_FAULT_WORD

/* ---- Names -----------------------------------------------------------------
 */

const char *point_text(const struct point *p, char text[POINT_TEXT_MAX])
{
    (void)snprintf(text, POINT_TEXT_MAX, "%s.%s.%s.%" PRIu32 ".%" PRIu32,
                   whats[p->port], ways[p->transport], faults[p->fault],
                   p->event, p->packet);
    return text;
}

/* One word up to the next point, among `count`. */
static bool read_word(const char **text, const char *const *words,
                      uint32_t count, uint32_t *found)
{
    const size_t size = strcspn(*text, ".");
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(words[i]) == size && strncmp(words[i], *text, size) == 0 &&
            (*text)[size] == '.') {
            *text += size + 1;
            *found = i;
            return true;
        }
    }
    return false;
}

static bool read_number(const char **text, char end, uint64_t most,
                        uint32_t *value)
{
    char *at = NULL;
    if (**text < '0' || **text > '9') {
        return false;
    }
    const unsigned long long v = strtoull(*text, &at, 10);
    if (*at != end || v > most) {
        return false;
    }
    *value = (uint32_t)v;
    *text = at + (end != '\0');
    return true;
}

bool point_parse(const char *text, struct point *p)
{
    uint32_t what = 0;
    uint32_t way = 0;
    uint32_t fault = 0;
    *p = (struct point){0};
    if (!read_word(&text, whats, ARRAY_LEN(whats), &what) ||
        !read_word(&text, ways, POINT_WAYS, &way) ||
        !read_word(&text, faults, POINT_FAULT_COUNT, &fault) ||
        !read_number(&text, '.', 1000000, &p->event) ||
        !read_number(&text, '\0', POINT_PACKETS, &p->packet)) {
        return false;
    }
    p->port = what == 1;
    p->transport = (enum net_transport)way;
    p->fault = (enum point_fault)fault;
    return true;
}

/* ---- All of them -----------------------------------------------------------
 */

/* How far apart those are that are struck at. */
static uint32_t step_of(uint32_t events)
{
    return (events + MARGIN + EVENTS_MAX - 1) / EVENTS_MAX;
}

/* Cases of one story with one packet lost: without a fault, and with each at
 * each event. */
static uint64_t cases_of(uint32_t events)
{
    const uint32_t step = step_of(events);
    return 1 + (uint64_t)(POINT_FAULT_COUNT - 1) *
                   ((events + MARGIN + step - 1) / step);
}

static void look(struct point *p, struct point_found *found)
{
    struct sim_options opt = {0};
    struct sim_report report;
    p->look = true;
    point_options(p, &opt);
    sim_run(1, &opt, &report);
    *found = report.point;
}

bool points_plan(struct points_plan *plan, unsigned which, unsigned by,
                 uint32_t every)
{
    uint64_t all = 0;
    bool all_move = true;
    *plan = (struct points_plan){.every = every};
    for (uint32_t i = 0; i < 2 * POINT_WAYS; i++) {
        const uint32_t what = i / POINT_WAYS;
        const uint32_t way = i % POINT_WAYS;
        if ((which >> what & 1) == 0 || (by >> way & 1) == 0) {
            continue;
        }
        for (uint32_t k = 0; k <= POINT_PACKETS; k++) {
            struct point_found found;
            struct point p = {.port = what == 1,
                              .transport = (enum net_transport)way,
                              .packet = k};
            look(&p, &found);
            plan->calm[what][way] = k == 0 ? found : plan->calm[what][way];
            plan->events[what][way][k] = found.events;
            all += cases_of(found.events);
            all_move = all_move && (k > 0 || found.end == POINT_MOVED);
        }
    }
    plan->count = (all + every - 1) / every;
    return all_move;
}

static void nth_of(struct point *p, uint32_t events, uint64_t nth)
{
    if (nth == 0) {
        return; /* nothing breaks */
    }
    nth--;
    p->fault = (enum point_fault)(1 + nth % (POINT_FAULT_COUNT - 1));
    p->event = (uint32_t)(nth / (POINT_FAULT_COUNT - 1)) * step_of(events);
}

struct point points_case(const struct points_plan *plan, uint64_t number)
{
    uint64_t left = (number - 1) * plan->every;
    struct point p = {0};
    for (uint32_t i = 0; i < 2 * POINT_WAYS; i++) {
        for (uint32_t k = 0; k <= POINT_PACKETS; k++) {
            const uint32_t events =
                plan->events[i / POINT_WAYS][i % POINT_WAYS][k];
            const uint64_t cases = events == 0 ? 0 : cases_of(events);
            if (left < cases) {
                p.port = i / POINT_WAYS == 1;
                p.transport = (enum net_transport)(i % POINT_WAYS);
                p.packet = k;
                nth_of(&p, events, left);
                return p;
            }
            left -= cases;
        }
    }
    return p;
}

const char *point_fault_word(enum point_fault fault)
{
    return (size_t)fault < POINT_FAULT_COUNT ? faults[fault] : "?";
}

void points_print(const struct points_plan *plan)
{
    for (uint32_t i = 0; i < 2 * POINT_WAYS; i++) {
        const struct point_found *f =
            &plan->calm[i / POINT_WAYS][i % POINT_WAYS];
        if (f->events > 0) {
            printf("%-8s over %s: %" PRIu32 " events, %" PRIu32
                   " packets, %" PRIu64 " us, when nothing breaks\n",
                   whats[i / POINT_WAYS], ways[i % POINT_WAYS], f->events,
                   f->packets, f->took_ns / 1000);
        }
    }
}
