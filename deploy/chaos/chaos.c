#include "chaos.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/check.h"

#define KIND(name, word, about, unit, help) \
    [CHAOS_##name] = {word, CHAOS_##about, CHAOS_##unit, help},
static const struct {
    const char *word;
    enum chaos_about about;
    enum chaos_unit unit;
    const char *help;
} kinds[CHAOS_KIND_COUNT] = {CHAOS_FAULTS(KIND)};
#undef KIND

const char *chaos_word(enum chaos_kind kind)
{
    return (size_t)kind < CHAOS_KIND_COUNT ? kinds[kind].word : NULL;
}

const char *chaos_help(enum chaos_kind kind)
{
    return kinds[kind].help;
}

enum chaos_about chaos_about(enum chaos_kind kind)
{
    return kinds[kind].about;
}

enum chaos_unit chaos_unit(enum chaos_kind kind)
{
    return kinds[kind].unit;
}

bool chaos_of_word(const char *word, enum chaos_kind *kind)
{
    for (size_t i = 0; i < CHAOS_KIND_COUNT; i++) {
        if (strcmp(kinds[i].word, word) == 0) {
            *kind = (enum chaos_kind)i;
            return true;
        }
    }
    return false;
}

/* Each site sees its neighbours on a ring: overlapping majorities for 5. */
static bool ring_cuts(uint32_t n, uint32_t from, uint32_t to)
{
    const uint32_t reach = n / 4 > 0 ? n / 4 : 1;
    const uint32_t d = (to + n - from) % n;
    return d > reach && n - d > reach;
}

bool chaos_touches(const struct chaos_fault *f, uint32_t site_count,
                   uint32_t from, uint32_t to)
{
    if (from == to || from >= site_count || to >= site_count) {
        return false;
    }
    if (f->kind == CHAOS_RING) {
        return ring_cuts(site_count, from, to);
    }
    const bool there = (f->sites >> from & 1) != 0 && (f->to >> to & 1) != 0;
    const bool back = (f->sites >> to & 1) != 0 && (f->to >> from & 1) != 0;
    return there || (back && !f->one_way);
}

/* ---- words -----------------------------------------------------------------
 */

static void put_sites(FILE *out, uint32_t set, uint32_t count)
{
    const char *between = "";
    if (set == (count >= 32 ? UINT32_MAX : (1U << count) - 1)) {
        (void)fputs("all", out);
        return;
    }
    for (uint32_t i = 0; i < CHAOS_SITES_MAX; i++) {
        if ((set >> i & 1) != 0) {
            (void)fprintf(out, "%ssite%" PRIu32, between, i + 1);
            between = ",";
        }
    }
}

static void put_by(FILE *out, const struct chaos_fault *f)
{
    const double by = (double)f->by;
    switch (chaos_unit(f->kind)) {
    case CHAOS_NO_UNIT:
        break;
    case CHAOS_PARTS:
        (void)fprintf(out, " %g%%", by / 1e4);
        break;
    case CHAOS_TIME:
        (void)fprintf(out, " %g ms", by / 1e6);
        break;
    case CHAOS_SPEED:
        (void)fprintf(out, " %g KiB/s", by / 1024);
        break;
    case CHAOS_BYTES:
        (void)fprintf(out, " %g KiB", by / 1024);
        break;
    case CHAOS_SECONDS:
        (void)fprintf(out, " %+g s", by);
        break;
    }
    if (f->burst > 1) {
        (void)fprintf(out, " in bursts of %" PRIu32, f->burst);
    }
}

const char *chaos_text(const struct chaos_fault *f, uint32_t site_count,
                       char text[CHAOS_TEXT_MAX])
{
    memset(text, 0, CHAOS_TEXT_MAX);
    FILE *out = fmemopen(text, CHAOS_TEXT_MAX - 1, "w");
    CHECK(out != NULL);
    (void)fputs(chaos_word(f->kind), out);
    put_by(out, f);
    if (chaos_about(f->kind) != CHAOS_OF_ALL) {
        (void)fputc(' ', out);
        put_sites(out, f->sites, site_count);
    }
    if (chaos_about(f->kind) == CHAOS_OF_LINKS) {
        (void)fputs(f->one_way ? " -> " : " <-> ", out);
        put_sites(out, f->to, site_count);
    }
    if (f->for_ns > 0) {
        (void)fprintf(out, ", %g s", (double)(f->for_ns / 1000000) / 1e3);
    }
    (void)fclose(out);
    return text;
}

/* ---- lists -----------------------------------------------------------------
 */

/* Insertion: nearly in order already, and equal ones must keep theirs. */
void chaos_sort(struct chaos_faults *list)
{
    for (size_t i = 1; i < list->count; i++) {
        const struct chaos_fault f = list->items[i];
        size_t at = i;
        while (at > 0 && list->items[at - 1].at_ns > f.at_ns) {
            list->items[at] = list->items[at - 1];
            at--;
        }
        list->items[at] = f;
    }
}

bool chaos_add(struct chaos_faults *list, const struct chaos_fault *f)
{
    enum { STEP = 64 };
    if (list->count == CHAOS_FAULTS_MAX) {
        return false;
    }
    if (list->count % STEP == 0) {
        struct chaos_fault *more =
            realloc(list->items, (list->count + STEP) * sizeof *more);
        CHECK(more != NULL);
        list->items = more;
    }
    list->items[list->count++] = *f;
    return true;
}

void chaos_free(struct chaos_faults *list)
{
    free(list->items);
    *list = (struct chaos_faults){0};
}
