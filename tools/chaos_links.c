#include "chaos_links.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "deploy/fault/text.h"
#include "say.h"

enum { WORDS_MAX = 128, NAMES_MAX = 1024 };

bool links_meant(const struct chaos_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        if (chaos_about(faults->items[i].kind) != CHAOS_OF_SITES) {
            return true;
        }
    }
    return false;
}

static void put_part(char *to, const char *word, int64_t parts)
{
    (void)snprintf(to, WORDS_MAX, "%s=%" PRIi64 ".%04" PRIi64 "%%", word,
                   parts / 10000, parts % 10000);
}

/* The words of the network for it. */
static void put_words(const struct chaos_fault *f, char words[WORDS_MAX])
{
    const int64_t by = f->by;
    switch ((int)f->kind) {
    case CHAOS_LOSS:
        put_part(words, f->burst > 1 ? "burst" : "loss",
                 f->burst > 1 ? by / f->burst : by);
        if (f->burst > 1) {
            const size_t n = strlen(words);
            (void)snprintf(words + n, WORDS_MAX - n, " burst-length=%" PRIu32,
                           f->burst);
        }
        break;
    case CHAOS_DUPLICATE:
    case CHAOS_REORDER:
    case CHAOS_CORRUPT:
        put_part(words, chaos_word(f->kind), by);
        break;
    case CHAOS_DELAY:
    case CHAOS_JITTER:
        (void)snprintf(words, WORDS_MAX, "%s=%" PRIi64 "us",
                       f->kind == CHAOS_DELAY ? "delay" : "tail", by / 1000);
        break;
    case CHAOS_RATE:
        (void)snprintf(words, WORDS_MAX, "rate=%" PRIi64 "KiB/s", by / 1024);
        break;
    case CHAOS_QUEUE:
        (void)snprintf(words, WORDS_MAX, "queue=%" PRIi64 "KiB", by / 1024);
        break;
    case CHAOS_CLOG:
        (void)snprintf(words, WORDS_MAX, "clog");
        break;
    case CHAOS_BREAK:
        (void)snprintf(words, WORDS_MAX, "reset");
        break;
    case CHAOS_CUT:
    case CHAOS_RING:
    default:
        (void)snprintf(words, WORDS_MAX, "cut");
    }
}

static void put_names(const struct cluster *c, uint32_t set,
                      char names[NAMES_MAX])
{
    size_t n = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < c->count && n < NAMES_MAX - 80; i++) {
        if ((set >> i & 1) != 0) {
            n += (size_t)snprintf(names + n, NAMES_MAX - n, "%s%s",
                                  n > 0 ? "," : "", c->sites[i].name);
        }
    }
}

/* Which sites a site cannot reach any more. */
static uint32_t away_from(const struct cluster *c, const struct chaos_fault *f,
                          uint32_t from)
{
    uint32_t set = 0;
    for (uint32_t to = 0; to < c->count; to++) {
        if (chaos_touches(f, (uint32_t)c->count, from, to)) {
            set |= 1U << to;
        }
    }
    return set;
}

/* ---- weather ---------------------------------------------------------------
 */

enum { CHANGES = 200000 }; /* parts of a million: of all links, so many */

/* Below all faults: what the link is without them. All of it is said. */
static bool set_link(const struct network *n, const char *from, const char *to,
                     const struct fate_params *is)
{
    static const struct fate_params all = {.delay_ns = 1,
                                           .tail_ns = 1,
                                           .loss = 1,
                                           .burst = 1,
                                           .burst_length = 1,
                                           .duplicate = 1,
                                           .reorder = 1,
                                           .reorder_by_ns = 1,
                                           .rate = 1};
    struct fate_change c = fate_change_of(&all);
    char words[FATE_TEXT_MAX];
    c.value = *is;
    if (c.value.burst_length == 0) {
        c.value.burst_length = FATE_BURST_LENGTH;
    }
    return network_ask(n, NULL, "set %s %s %s", from, to,
                       fate_write(&c, words));
}

static bool redraw(const struct network *n, const struct cluster *c,
                   const struct chaos_fault *f)
{
    struct prng p;
    bool ok = true;
    prng_init(&p, f->dice);
    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t j = 0; j < c->count; j++) {
            struct fate_params w = {0};
            if (i == j || !prng_chance(&p, CHANGES)) {
                continue;
            }
            fate_weather(&w, &w.rate, &p,
                         (uint32_t)prng_below(&p, FATE_WEATHERS));
            ok = set_link(n, c->sites[i].name, c->sites[j].name, &w) && ok;
        }
    }
    return ok;
}

bool links_calm(const struct network *n)
{
    static const struct fate_params perfect = {.reorder_by_ns =
                                                   FATE_REORDER_BY_NS};
    return set_link(n, "*", "*", &perfect);
}

/* ---- faults ----------------------------------------------------------------
 */

/* A part for each site that something begins at, one way: so rings and sets
 * that overlap are what they are in the simulator. */
bool links_begin(const struct network *n, const struct cluster *c,
                 const struct chaos_fault *f)
{
    char words[WORDS_MAX];
    char to[NAMES_MAX];
    if (f->kind == CHAOS_WEATHER) {
        return redraw(n, c, f);
    }
    put_words(f, words);
    for (uint32_t i = 0; i < c->count; i++) {
        const uint32_t set = away_from(c, f, i);
        put_names(c, set, to);
        if (set != 0 &&
            !network_ask(n, NULL, "fault %s.%" PRIu32 " %s -> %s for=0 %s",
                         f->name, i + 1, c->sites[i].name, to, words)) {
            return false;
        }
    }
    return true;
}

bool links_end(const struct network *n, const struct cluster *c,
               const struct chaos_fault *f)
{
    bool ok = true;
    for (uint32_t i = 0; i < c->count && f->kind != CHAOS_WEATHER; i++) {
        if (away_from(c, f, i) != 0) {
            ok = network_ask(n, NULL, "heal %s.%" PRIu32, f->name, i + 1) && ok;
        }
    }
    return ok;
}

bool links_write(const struct network *n, const char *folder)
{
    char path[PATH_BYTES];
    json_t *answer;
    if (!path_join(path, folder, "links.json", NULL) ||
        !network_ask(n, &answer, "links")) {
        return false;
    }
    const json_t *items = json_object_get(answer, "items");
    const bool ok = json_dump_file(items, path, JSON_INDENT(1)) == 0;
    json_decref(answer);
    if (!ok) {
        say_error("cannot write %.300s", path);
    }
    return ok;
}
