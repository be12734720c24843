#include <string.h>

#include "migration_priv.h"

/* What a site remembers of those that move ports to it. To forget an activated
 * move, or one promised never to be, would give two owners: so the memory is
 * exact from `settled` on, and what is below the source is over with. Only a
 * site whose incarnation is over makes room for another. */

struct mig_source *mig_source(const struct migration *m, uint64_t site)
{
    return map_get(&m->source_map, site, 0);
}

static bool over(const struct mig_source *s)
{
    return s->incarnation <= s->gone;
}

bool mig_source_over(const struct migration *m, uint64_t site,
                     uint32_t incarnation)
{
    const struct mig_source *s = mig_source(m, site);
    return s != NULL && incarnation <= s->gone;
}

static struct mig_source *oldest_over(const struct migration *m)
{
    list_foreach (it, &m->sources) {
        struct mig_source *s = LIST_ENTRY(it, struct mig_source, node);
        if (over(s)) {
            return s;
        }
    }
    return NULL;
}

bool mig_source_room(const struct migration *m, uint64_t site)
{
    return m->source_count < MIG_SOURCES_MAX || mig_source(m, site) != NULL ||
           oldest_over(m) != NULL;
}

static void source_free(struct migration *m, struct mig_source *s)
{
    CHECK(map_remove(&m->source_map, s->site, 0) == s);
    list_remove(&s->node);
    mem_free(m->cfg.mem, s, sizeof *s);
    m->source_count--;
}

static struct mig_source *source_new(struct migration *m, uint64_t site)
{
    if (m->source_count >= MIG_SOURCES_MAX) {
        struct mig_source *victim = oldest_over(m);
        if (victim == NULL) {
            return NULL;
        }
        source_free(m, victim);
    }
    struct mig_source *s = mem_alloc(m->cfg.mem, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    if (!map_put(&m->source_map, site, 0, s)) {
        mem_free(m->cfg.mem, s, sizeof *s);
        return NULL;
    }
    s->site = site;
    list_append(&m->sources, &s->node);
    m->source_count++;
    return s;
}

static void source_renew(struct mig_source *s, uint32_t incarnation)
{
    s->incarnation = incarnation;
    s->settled = 1;
    memset(s->seen, 0, sizeof s->seen);
    memset(s->activated, 0, sizeof s->activated);
}

struct mig_source *mig_source_of(struct migration *m, uint64_t site,
                                 uint32_t incarnation)
{
    struct mig_source *s = mig_source(m, site);
    if (s == NULL) {
        s = source_new(m, site);
    }
    if (s == NULL || incarnation <= s->gone || incarnation < s->incarnation) {
        return NULL;
    }
    if (incarnation > s->incarnation) {
        s->gone = incarnation - 1;
        source_renew(s, incarnation);
    }
    return s;
}

void mig_source_gone(struct migration *m, uint64_t site, uint32_t incarnation)
{
    struct mig_source *s = mig_source(m, site);
    if (s == NULL) {
        s = source_new(m, site);
    }
    if (s == NULL || incarnation <= s->gone) {
        return;
    }
    s->gone = incarnation;
    list_remove(&s->node);
    list_append(&m->sources, &s->node);
}

static uint64_t *word(uint64_t *window, uint64_t number)
{
    return &window[number % MIG_WINDOW / 64];
}

static bool bit(const uint64_t *window, uint64_t number)
{
    return (window[number % MIG_WINDOW / 64] >> number % 64 & 1) != 0;
}

/* Whether the window can tell of the number. */
static bool within(const struct mig_source *s, uint64_t number)
{
    return number >= s->settled && number - s->settled < MIG_WINDOW;
}

void mig_source_settle(struct mig_source *s, uint64_t settled)
{
    if (settled <= s->settled) {
        return;
    }
    if (settled - s->settled >= MIG_WINDOW) {
        source_renew(s, s->incarnation);
        s->settled = settled;
        return;
    }
    for (; s->settled < settled; s->settled++) {
        const uint64_t mask = ~(UINT64_C(1) << s->settled % 64);
        *word(s->seen, s->settled) &= mask;
        *word(s->activated, s->settled) &= mask;
    }
}

bool mig_source_seen(const struct mig_source *s, uint64_t number)
{
    return !within(s, number) || bit(s->seen, number);
}

bool mig_source_activated(const struct mig_source *s, uint64_t number)
{
    return within(s, number) && bit(s->activated, number);
}

void mig_source_see(struct mig_source *s, uint64_t number)
{
    if (within(s, number)) {
        *word(s->seen, number) |= UINT64_C(1) << number % 64;
    }
}

void mig_source_activate(struct mig_source *s, uint64_t number)
{
#ifndef MOTET_BUG_FORGET_XID
    if (within(s, number)) {
        *word(s->activated, number) |= UINT64_C(1) << number % 64;
    }
#else
    (void)s;
    (void)number;
#endif
}

void mig_sources_fini(struct migration *m)
{
    list_foreach (it, &m->sources) {
        source_free(m, LIST_ENTRY(it, struct mig_source, node));
    }
    map_fini(&m->source_map);
}
