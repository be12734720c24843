#include "eventlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum field_type { FIELD_U64, FIELD_U32, FIELD_UI, FIELD_BOOL };

/* clang-format off */
static const struct field {
    const char *name;
    enum field_type type;
    size_t at;
} fields[] = {
    {"site", FIELD_U64, offsetof(struct check_event, site)},
    {"life", FIELD_U32, offsetof(struct check_event, incarnation)},
    {"id", FIELD_U64, offsetof(struct check_event, id)},
    {"port", FIELD_UI, offsetof(struct check_event, port)},
    {"peer", FIELD_UI, offsetof(struct check_event, peer)},
    {"co", FIELD_UI, offsetof(struct check_event, co)},
    {"until", FIELD_U64, offsetof(struct check_event, deadline_ns)},
    {"value", FIELD_U64, offsetof(struct check_event, value)},
    {"value2", FIELD_U64, offsetof(struct check_event, value2)},
    {"err", FIELD_U32, offsetof(struct check_event, err)},
    {"news", FIELD_U32, offsetof(struct check_event, news)},
    {"how", FIELD_U32, offsetof(struct check_event, how)},
    {"wait", FIELD_BOOL, offsetof(struct check_event, wait)},
    {"told", FIELD_BOOL, offsetof(struct check_event, told)},
    {"broken", FIELD_BOOL, offsetof(struct check_event, broken)},
};
/* clang-format on */

_Static_assert(sizeof(enum motet_err) == sizeof(uint32_t) &&
                   sizeof(enum motet_news) == sizeof(uint32_t) &&
                   sizeof(enum motet_mode) == sizeof(uint32_t),
               "enums are read as 32 bits");

static struct motet_ui get(const struct check_event *e, const struct field *f)
{
    const char *at = (const char *)e + f->at;
    struct motet_ui v = {0, 0};
    uint32_t small = 0;
    bool flag = false;
    switch (f->type) {
    case FIELD_UI:
        memcpy(&v, at, sizeof v);
        break;
    case FIELD_U64:
        memcpy(&v.hi, at, sizeof v.hi);
        break;
    case FIELD_U32:
        memcpy(&small, at, sizeof small);
        v.hi = small;
        break;
    case FIELD_BOOL:
        memcpy(&flag, at, sizeof flag);
        v.hi = flag;
        break;
    }
    return v;
}

static void set(struct check_event *e, const struct field *f, struct motet_ui v)
{
    char *at = (char *)e + f->at;
    const uint32_t small = (uint32_t)v.hi;
    const bool flag = v.hi != 0;
    switch (f->type) {
    case FIELD_UI:
        memcpy(at, &v, sizeof v);
        break;
    case FIELD_U64:
        memcpy(at, &v.hi, sizeof v.hi);
        break;
    case FIELD_U32:
        memcpy(at, &small, sizeof small);
        break;
    case FIELD_BOOL:
        memcpy(at, &flag, sizeof flag);
        break;
    }
}

size_t eventlog_write(const struct check_event *e, char line[EVENTLOG_LINE_MAX])
{
    const size_t size = EVENTLOG_LINE_MAX;
    size_t n = (size_t)snprintf(line, size, "%" PRIu64 " %s", e->now_ns,
                                check_what_name(e->what));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct motet_ui v = get(e, &fields[i]);
        if (v.hi == 0 && v.lo == 0) {
            continue;
        }
        n += (size_t)snprintf(line + n, size - n, " %s=%" PRIx64,
                              fields[i].name, v.hi);
        if (fields[i].type == FIELD_UI) {
            n += (size_t)snprintf(line + n, size - n, ".%" PRIx64, v.lo);
        }
    }
    CHECK(n + 1 < size);
    line[n++] = '\n';
    line[n] = '\0';
    return n;
}

static bool read_what(const char *word, size_t size, struct check_event *e)
{
    for (int i = 1; i < CHECK_WHAT_COUNT; i++) {
        const char *name = check_what_name((enum check_what)i);
        if (strlen(name) == size && memcmp(name, word, size) == 0) {
            e->what = (enum check_what)i;
            return true;
        }
    }
    return false;
}

/* "NAME=HEX" or "NAME=HEX.HEX". */
static bool read_field(const char *word, size_t size, struct check_event *e)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct field *f = &fields[i];
        const size_t name = strlen(f->name);
        if (size <= name + 1 || word[name] != '=' ||
            memcmp(word, f->name, name) != 0) {
            continue;
        }
        char *end = NULL;
        struct motet_ui v = {strtoull(word + name + 1, &end, 16), 0};
        if (f->type == FIELD_UI) {
            if (*end != '.') {
                return false;
            }
            const char *low = end + 1;
            v.lo = strtoull(low, &end, 16);
            if (end == low) {
                return false;
            }
        }
        if (end != word + size) {
            return false;
        }
        set(e, f, v);
        return true;
    }
    return false;
}

/* What the checkers use as an index must be in its range. */
static bool in_range(const struct check_event *e)
{
    return (uint32_t)e->err < 1024 && (uint32_t)e->how < MOTET_MODE_COUNT &&
           (uint32_t)e->news < 1024;
}

bool eventlog_read(const char *line, struct check_event *e)
{
    char *at = NULL;
    *e = (struct check_event){0};
    e->now_ns = strtoull(line, &at, 10);
    if (at == line || *at != ' ') {
        return false;
    }
    const char *word = at + 1;
    size_t size = strcspn(word, " \n");
    if (!read_what(word, size, e)) {
        return false;
    }
    for (word += size; *word == ' '; word += size) {
        word++;
        size = strcspn(word, " \n");
        if (!read_field(word, size, e)) {
            return false;
        }
    }
    return *word == '\n' && in_range(e);
}
