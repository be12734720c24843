#include "scenario.h"

#include <inttypes.h>
#include <string.h>

#include "nucleus/base/hash.h"

enum { NEMESIS_MEAN_S = 8 }; /* between two of a kind that was asked for */

static const char *const networks[NETWORK_COUNT] = {
    [NETWORK_SWARM] = "swarm", [NETWORK_CALM] = "calm",
    [NETWORK_LOSSY] = "lossy", [NETWORK_DEATHS] = "deaths",
    [NETWORK_TIGHT] = "tight",
};

int scenario_transport(const char *word)
{
    static const char *const words[] = {"tcp", "udp", "auto"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *scenario_network_name(enum scenario_network network)
{
    return (size_t)network < NETWORK_COUNT ? networks[network] : NULL;
}

void scenario_init(struct scenario *s)
{
    *s = (struct scenario){
        .sites = 3,
        .for_ns = 20000000000,
        .network = NETWORK_CALM,
        .transport = "tcp",
    };
}

/* ---- writing out -----------------------------------------------------------
 */

static uint32_t pick(enum scenario_pick how, uint32_t set, uint32_t count,
                     uint32_t nth, struct prng *p)
{
    switch (how) {
    case PICK_ANY:
        return 1U << prng_below(p, count);
    case PICK_EACH:
        return 1U << nth % count;
    case PICK_THESE:
    default:
        return set;
    }
}

/* From an end drawn to itself nothing goes: then to the next one. */
static uint32_t pick_other(uint32_t to, uint32_t from, uint32_t count)
{
    return to != from ? to : 1U << (uint32_t)(__builtin_ctz(to) + 1) % count;
}

static void write_out(const struct scenario *s, uint32_t number, uint64_t seed,
                      struct chaos_faults *list)
{
    const struct scenario_line *l = &s->lines[number];
    uint64_t at_ns = l->fault.at_ns;
    struct prng p;
    prng_init(&p, hash_fold(seed, number));
    for (uint32_t i = 0; at_ns < s->for_ns || i == 0; i++) {
        struct chaos_fault f = l->fault;
        f.at_ns = at_ns;
        f.dice = f.dice != 0 ? f.dice : prng_next(&p);
        f.sites = pick(l->pick, f.sites, s->sites, i, &p);
        f.to = pick(l->pick_to, f.to, s->sites, i + 1, &p);
        if (l->pick_to != PICK_THESE) {
            f.to = pick_other(f.to, f.sites, s->sites);
        }
        if (f.name[0] == '\0') {
            (void)snprintf(f.name, sizeof f.name, "%s-%u", chaos_word(f.kind),
                           (unsigned)list->count + 1);
        }
        if (!chaos_add(list, &f) || l->every_ns == 0 || i + 1 == l->times) {
            return;
        }
        at_ns += l->every_ns;
    }
}

void scenario_faults(const struct scenario *s, uint64_t seed,
                     struct chaos_faults *list)
{
    *list = (struct chaos_faults){0};
    for (uint32_t i = 0; i < s->line_count; i++) {
        write_out(s, i, seed, list);
    }
    for (uint32_t k = 0; k < NEMESIS_COUNT; k++) {
        if ((s->nemeses >> k & 1) != 0) {
            nemesis_draw((enum nemesis_kind)k, seed, s->sites, s->for_ns,
                         NEMESIS_MEAN_S * 1000000000ULL, list);
        }
    }
    chaos_sort(list);
}

/* ---- as a file -------------------------------------------------------------
 */

static void put_set(FILE *out, const char *key, uint32_t set)
{
    const char *between = "";
    (void)fprintf(out, ", %s: [", key);
    for (uint32_t i = 0; i < CHAOS_SITES_MAX; i++) {
        if ((set >> i & 1) != 0) {
            (void)fprintf(out, "%ssite%" PRIu32, between, i + 1);
            between = ", ";
        }
    }
    (void)fputc(']', out);
}

static void put_by(FILE *out, const struct chaos_fault *f)
{
    switch (chaos_unit(f->kind)) {
    case CHAOS_NO_UNIT:
        break;
    case CHAOS_PARTS:
        (void)fprintf(out, ", by: %" PRIi64 ".%04" PRIi64 "%%", f->by / 10000,
                      f->by % 10000);
        break;
    case CHAOS_TIME:
        (void)fprintf(out, ", by: %" PRIi64 "ns", f->by);
        break;
    case CHAOS_SPEED:
        (void)fprintf(out, ", by: %" PRIi64 "/s", f->by);
        break;
    case CHAOS_BYTES:
        (void)fprintf(out, ", by: %" PRIi64, f->by);
        break;
    case CHAOS_SECONDS:
        (void)fprintf(out, ", by: %" PRIi64 "s", f->by);
        break;
    }
}

static void put_fault(FILE *out, const struct chaos_fault *f)
{
    (void)fprintf(out, "  - {at: %" PRIu64 "ns, fault: %s", f->at_ns,
                  chaos_word(f->kind));
    if (chaos_about(f->kind) == CHAOS_OF_SITES) {
        put_set(out, "site", f->sites);
    } else if (chaos_about(f->kind) == CHAOS_OF_LINKS) {
        put_set(out, "from", f->sites);
        put_set(out, "to", f->to);
    }
    put_by(out, f);
    (void)fputs(f->one_way ? ", one-way: yes" : "", out);
    if (f->burst > 1) {
        (void)fprintf(out, ", burst: %" PRIu32, f->burst);
    }
    if (f->for_ns > 0) {
        (void)fprintf(out, ", for: %" PRIu64 "ns", f->for_ns);
    }
    (void)fprintf(out, ", dice: %" PRIu64 ", name: %s}\n", f->dice, f->name);
}

void scenario_write(FILE *out, const struct scenario *s,
                    const struct chaos_faults *list)
{
    (void)fprintf(out, "name: %s\n", s->name);
    if (s->about[0] != '\0') {
        (void)fprintf(out, "about: \"%s\"\n", s->about);
    }
    (void)fprintf(out, "sites: %" PRIu32 "\nfor: %" PRIu64 "ns\nnetwork: %s\n",
                  s->sites, s->for_ns, networks[s->network]);
    if (strcmp(s->transport, "tcp") != 0) {
        (void)fprintf(out, "transport: %s\n", s->transport);
    }
    if (s->actors > 0 || s->rate > 0) {
        (void)fprintf(out,
                      "workload: {actors: %" PRIu32 ", rate: %" PRIu64 "/s}\n",
                      s->actors, s->rate);
    }
    if (s->actor[0] != '\0') {
        (void)fprintf(out, "actor: \"%s\"\n", s->actor);
    }
    (void)fputs(list->count > 0 ? "faults:\n" : "", out);
    for (size_t i = 0; i < list->count; i++) {
        put_fault(out, &list->items[i]);
    }
    (void)fprintf(out, "holds: {core: %s", s->core ? "yes" : "no");
    if (s->agree_ns > 0) {
        (void)fprintf(out, ", agree: %" PRIu64 "ns", s->agree_ns);
    }
    if (s->settle_ns > 0) {
        (void)fprintf(out, ", settle: %" PRIu64 "ns", s->settle_ns);
    }
    if (s->calls_min > 0) {
        (void)fprintf(out, ", calls: %" PRIu64, s->calls_min);
    }
    (void)fputs("}\n", out);
    if (s->has_seed) {
        (void)fprintf(out, "seed: %" PRIu64 "\n", s->seed);
    }
}
