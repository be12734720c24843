#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S 1000000000ULL

struct unit {
    const char *name;
    uint64_t factor;
};

enum { FRACTION_DIGITS_MAX = 6 };

/* digits [. digits] unit -> value * factor; the fraction is rounded down. */
static bool parse(const char *text, const struct unit *units, size_t count,
                  uint64_t max, uint64_t *value)
{
    const char *p = text;
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (whole > max / 10) {
            return false;
        }
        whole = whole * 10 + (uint64_t)(*p - '0');
    }
    if (p == text) {
        return false;
    }
    if (*p == '.') {
        const char *dot = p++;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (p - dot > FRACTION_DIGITS_MAX) {
                return false;
            }
            fraction = fraction * 10 + (uint64_t)(*p - '0');
            scale *= 10;
        }
        if (p == dot + 1) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(p, units[i].name) == 0) {
            uint64_t factor = units[i].factor;
            if (whole > max / factor || (scale > 1 && factor == 1)) {
                return false;
            }
            *value = whole * factor + fraction * factor / scale;
            return *value <= max;
        }
    }
    return false;
}

bool unit_duration(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", NS_PER_S},
        {"m", 60 * NS_PER_S},
        {"min", 60 * NS_PER_S},
        {"h", 3600 * NS_PER_S},
    };

    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    return parse(text, units, ARRAY_LEN(units), 366 * 86400 * NS_PER_S, ns);
}

bool unit_size(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1},          {"B", 1},       {"KiB", 1 << 10}, {"MiB", 1 << 20},
        {"GiB", 1 << 30}, {"K", 1 << 10}, {"M", 1 << 20},   {"G", 1 << 30},
    };

    return parse(text, units, ARRAY_LEN(units), 1ULL << 40, bytes);
}

bool unit_rate(const char *text, uint64_t *per_s)
{
    static const struct unit units[] = {{"/s", 60}, {"", 60}, {"/m", 1}};
    uint64_t per_minute;

    if (!parse(text, units, ARRAY_LEN(units), 600000000, &per_minute)) {
        return false;
    }
    *per_s = per_minute / 60;
    return *per_s > 0;
}

bool unit_percent(const char *text, uint64_t *ppm)
{
    static const struct unit units[] = {{"%", 10000}};

    return parse(text, units, ARRAY_LEN(units), 1000000, ppm);
}

bool unit_count(const char *text, uint64_t *n)
{
    static const struct unit units[] = {{"", 1}};

    return parse(text, units, ARRAY_LEN(units), 1000000000000000ULL, n);
}

/* ---- printing --------------------------------------------------------------
 */

/* Three significant digits at most: 3.92, 39.2, 392. */
static const char *scaled(uint64_t n, uint64_t unit, const char *name,
                          char *text)
{
    uint64_t hundredths = n / unit * 100 + n % unit * 100 / unit;
    uint64_t whole = hundredths / 100;
    uint64_t rest = hundredths % 100;

    if (whole >= 100 || rest == 0 || (whole >= 10 && rest < 10)) {
        snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 " %s", whole, name);
    } else if (whole >= 10 || rest % 10 == 0) {
        snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole,
                 rest / 10, name);
    } else {
        snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 ".%02" PRIu64 " %s", whole,
                 rest, name);
    }
    return text;
}

const char *unit_ns(uint64_t ns, char *text)
{
    if (ns < 1000) {
        snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 " ns", ns);
        return text;
    }
    if (ns < 1000000) {
        return scaled(ns, 1000, "us", text);
    }
    if (ns < NS_PER_S) {
        return scaled(ns, 1000000, "ms", text);
    }
    if (ns < 60 * NS_PER_S) {
        return scaled(ns, NS_PER_S, "s", text);
    }
    return unit_age_ms(ns / 1000000, text);
}

const char *unit_age_ms(uint64_t ms, char *text)
{
    uint64_t s = ms / 1000;
    static const struct {
        uint64_t from_s;
        uint64_t unit_s;
        uint64_t sub_s;
        char name;
        char sub;
    } steps[] = {
        {86400, 86400, 3600, 'd', 'h'},
        {3600, 3600, 60, 'h', 'm'},
        {60, 60, 1, 'm', 's'},
    };

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (s >= steps[i].from_s) {
            snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 "%c %" PRIu64 "%c",
                     s / steps[i].unit_s, steps[i].name,
                     s % steps[i].unit_s / steps[i].sub_s, steps[i].sub);
            return text;
        }
    }
    snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 "s", s);
    return text;
}

const char *unit_bytes(uint64_t bytes, char *text)
{
    if (bytes < 1024) {
        snprintf(text, UNIT_TEXT_MAX, "%" PRIu64 " B", bytes);
        return text;
    }
    if (bytes < 1 << 20) {
        return scaled(bytes, 1 << 10, "KiB", text);
    }
    if (bytes < 1 << 30) {
        return scaled(bytes, 1 << 20, "MiB", text);
    }
    return scaled(bytes, 1 << 30, "GiB", text);
}
