#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "nucleus/base/check.h"

/* The values of scenario files. */

__attribute__((format(printf, 3, 4))) void
read_fail(struct reader *r, const yaml_node_t *node, const char *format, ...)
{
    if (r->failed) {
        return;
    }
    r->failed = true;
    const int n =
        snprintf(r->why, SCENARIO_WHY_MAX, "%.200s line %zu: ", r->path,
                 node == NULL ? 1 : node->start_mark.line + 1);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->why + n, SCENARIO_WHY_MAX - (size_t)n, format, args);
    va_end(args);
    for (char *c = r->why; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?'; /* what is told is one line, whatever was read */
        }
    }
}

const char *read_word(struct reader *r, const yaml_node_t *node,
                      const char *what)
{
    if (node->type != YAML_SCALAR_NODE) {
        read_fail(r, node, "%s: one word is wanted here, not a list or a map",
                  what);
        return "";
    }
    return (const char *)node->data.scalar.value;
}

/* ---- values ----------------------------------------------------------------
 */

struct suffix {
    const char *text;
    uint64_t factor;
};

static const struct suffix times[] = {
    {"ns", 1},         {"us", 1000},       {"ms", 1000000},
    {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
    {NULL, 0},
};
static const struct suffix sizes[] = {
    {"", 1},   {"KiB", 1 << 10},   {"MiB", 1 << 20},   {"GiB", 1 << 30},
    {"/s", 1}, {"KiB/s", 1 << 10}, {"MiB/s", 1 << 20}, {NULL, 0},
};
static const struct suffix parts[] = {{"%", 10000}, {NULL, 0}};

/* "1.5s": at most 9 digits behind the point. No sign, no blank. */
static bool quantity(const char *text, const struct suffix *units,
                     uint64_t most, uint64_t *value)
{
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (whole > most) {
            return false;
        }
        whole = whole * 10 + (uint64_t)(*at - '0');
    }
    if (at == text) {
        return false;
    }
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9' && scale < 1000000000; at++) {
            fraction = fraction * 10 + (uint64_t)(*at - '0');
            scale *= 10;
        }
    }
    for (const struct suffix *u = units; u->text != NULL; u++) {
        if (strcmp(u->text, at) == 0 && whole <= most / u->factor) {
            *value = whole * u->factor + fraction * u->factor / scale;
            return *value <= most;
        }
    }
    return false;
}

static bool time_of(const char *text, uint64_t *ns)
{
    return strcmp(text, "0") == 0 ? (*ns = 0, true)
                                  : quantity(text, times, YEAR_NS, ns);
}

static bool name_ok(const char *text)
{
    return text[0] != '\0' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
               '\0';
}

bool read_count(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && text[0] != '-' &&
           *value >= low && *value <= high;
}

static void put_number(void *to, size_t size, uint64_t value)
{
    if (size == sizeof(uint32_t)) {
        *(uint32_t *)to = (uint32_t)value;
    } else {
        CHECK(size == sizeof value);
        *(uint64_t *)to = value;
    }
}

static void read_text(struct reader *r, const struct key *k,
                      const yaml_node_t *node, char *to)
{
    const char *text = read_word(r, node, k->name);
    if (strlen(text) >= k->size) {
        read_fail(r, node, "%s: longer than %zu bytes; make it shorter",
                  k->name, k->size - 1);
    } else if (k->type == TYPE_NAME && !name_ok(text)) {
        read_fail(r, node,
                  "%s: \"%.60s\" is no name; use letters, digits and . _ -",
                  k->name, text);
    } else if (strpbrk(text, "\"\\\n") != NULL) {
        read_fail(r, node,
                  "%s: no quotes, backslashes or line ends in it; leave "
                  "them out",
                  k->name);
    } else {
        memcpy(to, text, strlen(text) + 1);
    }
}

static void read_number(struct reader *r, const struct key *k,
                        const yaml_node_t *node, void *to)
{
    const char *text = read_word(r, node, k->name);
    uint64_t value = 0;
    if (k->type == TYPE_COUNT && !read_count(text, k->low, k->high, &value)) {
        read_fail(r, node,
                  "%s: \"%.60s\" is no number from %" PRIu64 " to %" PRIu64,
                  k->name, text, k->low, k->high);
    } else if (k->type == TYPE_TIME &&
               (!time_of(text, &value) || value < k->low || value > k->high)) {
        read_fail(r, node,
                  "%s: \"%.60s\" is no time from %" PRIu64 "s to %" PRIu64
                  "s; write it like 500ms, 8s or 2m",
                  k->name, text, k->low / 1000000000, k->high / 1000000000);
    } else if (k->type == TYPE_RATE &&
               (!quantity(text, sizes, 100000, &value) || value == 0)) {
        read_fail(
            r, node,
            "%s: \"%.60s\" is no rate from 1/s to 100000/s; write it like "
            "40/s",
            k->name, text);
    }
    if (!r->failed) {
        put_number(to, k->size, value);
    }
}

static void read_switch(struct reader *r, const struct key *k,
                        const yaml_node_t *node, bool *to)
{
    const char *text = read_word(r, node, k->name);
    *to = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (!*to && strcmp(text, "no") != 0 && strcmp(text, "false") != 0) {
        read_fail(r, node, "%s: say yes or no, not \"%.60s\"", k->name, text);
    }
}

void read_value(struct reader *r, const struct key *k, yaml_node_t *node,
                void *into)
{
    void *to = (char *)into + k->at;
    switch (k->type) {
    case TYPE_NAME:
    case TYPE_TEXT:
        read_text(r, k, node, to);
        break;
    case TYPE_COUNT:
    case TYPE_TIME:
    case TYPE_RATE:
        read_number(r, k, node, to);
        break;
    case TYPE_SWITCH:
        read_switch(r, k, node, to);
        break;
    case TYPE_OTHER:
        k->read(r, node, into);
        break;
    }
}

void read_by(struct reader *r, struct chaos_fault *f, const yaml_node_t *by,
             const yaml_node_t *whole)
{
    const char *word = chaos_word(f->kind);
    const char *text = by == NULL ? NULL : (const char *)by->data.scalar.value;
    const yaml_node_t *node = by == NULL ? whole : by;
    const bool minus = text != NULL && *text == '-';
    uint64_t value = 0;
    bool ok = text != NULL;
    const char *like = "";
    switch (chaos_unit(f->kind)) {
    case CHAOS_NO_UNIT:
        if (text != NULL) {
            read_fail(r, node, "%s takes no \"by\"; leave it out", word);
        }
        return;
    case CHAOS_PARTS:
        like = "30%, at most 100%";
        ok = ok && quantity(text, parts, 1000000, &value) && value > 0;
        break;
    case CHAOS_TIME:
        like = "50ms, at most 1m";
        ok = ok && time_of(text, &value) && value <= 60000000000 && value > 0;
        break;
    case CHAOS_SPEED:
    case CHAOS_BYTES:
        like = "64KiB, or of a rate 100KiB/s, from 1KiB";
        ok = ok && quantity(text, sizes, 1ULL << 40, &value) && value >= 1024;
        break;
    case CHAOS_SECONDS:
        like = "1h or -90s";
        ok = ok && time_of(text + minus, &value) && value >= 1000000000;
        value /= 1000000000;
        break;
    }
    f->by = minus ? -(int64_t)value : (int64_t)value;
    if (!ok) {
        read_fail(r, node, "%s: say by how much, like by: %s", word, like);
    }
}
