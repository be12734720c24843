#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "tools/say.h"

/* Two results, one after the other: what became better or worse. Where both
 * know the same floor, the ratios to it are compared: the machine may be
 * another, or busier. */

/* ---- files -----------------------------------------------------------------
 */

bool against_save(const char *path, const json_t *doc)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)doc);

    CHECK(copy != NULL &&
          json_object_set_new(copy, "schema", json_string(BENCH_SCHEMA)) == 0);
    const bool ok = json_dump_file(copy, path, JSON_INDENT(1)) == 0;
    json_decref(copy);
    if (!ok) {
        say_error("cannot write %.300s", path);
        say_hint("name another: --save FILE");
    }
    return ok;
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *doc = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const char *said = json_string_value(json_object_get(doc, "schema"));

    if (doc == NULL) {
        say_error("%.300s: %s", path, error.text);
    } else if (said == NULL || strcmp(said, BENCH_SCHEMA) != 0 ||
               !json_is_array(json_object_get(doc, "rows"))) {
        say_error("%.300s is no result of motet bench", path);
        json_decref(doc);
        doc = NULL;
    }
    if (doc == NULL) {
        say_hint("make one: motet bench call --save FILE");
    }
    return doc;
}

/* ---- what is compared ------------------------------------------------------
 */

static double number(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

/* What makes two results ones of the same thing; NULL, or what differs. */
static const char *differ(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {
        "op",     "actors",           "transport",    "tls",  "cpus",
        "window", "asked_rate_per_s", "beside_bytes", "ends",
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (json_equal(json_object_get(a, keys[i]),
                       json_object_get(b, keys[i])) != 1) {
            return keys[i];
        }
    }
    return NULL;
}

static const json_t *row_like(const json_t *doc, const json_t *row)
{
    size_t i;
    json_t *other;

    json_array_foreach(json_object_get(doc, "rows"), i, other)
    {
        if (json_equal(json_object_get(other, "size"),
                       json_object_get(row, "size")) == 1 ||
            json_object_get(row, "size") == NULL) {
            return other;
        }
    }
    return NULL;
}

static const json_t *first_floor(const json_t *row)
{
    return json_array_get(json_object_get(row, "floors"), 0);
}

/* Whether both have the same floor, the first one. */
static bool one_floor(const json_t *a, const json_t *b)
{
    const json_t *x = json_object_get(first_floor(a), "name");

    return x != NULL && json_equal(x, json_object_get(first_floor(b), "name"));
}

struct figure {
    const char *name, *key, *ratio, *spread;
    bool more_is_better;
};

static const struct figure figures[] = {
    {"rate", "rate_per_s", "ratio_rate", "rate_spread", true},
    {"p50", "p50_ns", "ratio_p50", "p50_spread", false},
    {"p99", "p99_ns", "ratio_p99", "p99_spread", false},
    {"cost", "cost_ns", "ratio_cost", "cost_spread", false},
};

static uint32_t spread_of(const json_t *row, const struct figure *f,
                          bool floored)
{
    double all = number(row, f->spread);

    if (floored) {
        all += number(first_floor(row), f->spread);
    }
    return all < 1e6 ? (uint32_t)all : 1000000;
}

static struct judge_change judge(const struct figure *f, const json_t *now,
                                 const json_t *before, bool floored)
{
    const json_t *x = floored ? first_floor(now) : now;
    const json_t *y = floored ? first_floor(before) : before;
    const char *key = floored ? f->ratio : f->key;
    const struct judge_figure figure = {
        .more_is_better = f->more_is_better,
        .now = number(x, key),
        .before = number(y, key),
        .now_spread = spread_of(now, f, floored),
        .before_spread = spread_of(before, f, floored),
    };

    return judge_compare(&figure);
}

/* @return whether something is worse */
static bool compare_rows(const json_t *now, const json_t *before, bool quiet)
{
    static const char *const words[] = {"same", "better", "WORSE"};
    const bool floored = one_floor(now, before);
    bool worse = false;

    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        const struct figure *f = &figures[i];
        if (json_object_get(now, f->key) == NULL) {
            continue;
        }
        const struct judge_change c = judge(f, now, before, floored);
        worse = worse || c.word == JUDGE_WORSE;
        if (!quiet) {
            printf("  %-5s %+6.1f %%   noise %.1f %%   %s%s\n", f->name,
                   c.change / 10, (double)c.noise / 10, words[c.word],
                   floored ? "   (as a ratio to the floor)" : "");
        }
    }
    return worse;
}

static const char *noisy(const json_t *row)
{
    const json_t *n = json_object_get(row, "noise");
    const struct judge_noise noise = {
        .others = (uint32_t)number(n, "others"),
        .spread = (uint32_t)number(n, "spread"),
    };

    return judge_noisy(&noise);
}

static enum exit_code no_verdict(const json_t *now, const json_t *before)
{
    const char *why = noisy(now);

    if (why == NULL && noisy(before) == NULL) {
        return EXIT_DONE;
    }
    say_error("not judged: %s%s", why != NULL ? why : noisy(before),
              why != NULL ? "" : ", when the other one was made");
    say_hint("again, when the machine is quiet, or longer: --runs 15");
    return EXIT_NO_VERDICT;
}

static enum exit_code compare(const json_t *now, const json_t *before,
                              bool quiet)
{
    const char *what = differ(now, before);
    bool worse = false;
    size_t compared = 0;
    size_t i;
    json_t *row;

    if (what != NULL) {
        say_error("not judged: the other one was not the same: %s", what);
        say_hint("make it again, with the same words and --save");
        return EXIT_NO_VERDICT;
    }
    json_array_foreach(json_object_get(now, "rows"), i, row)
    {
        const json_t *other = row_like(before, row);
        if (other == NULL) {
            continue;
        }
        compared++;
        const enum exit_code code = no_verdict(row, other);
        if (code != EXIT_DONE) {
            return code;
        }
        if (!quiet && json_object_get(row, "size") != NULL) {
            printf("%.0f B, against then\n", number(row, "size"));
        }
        worse = compare_rows(row, other, quiet) || worse;
    }
    if (compared == 0) {
        say_error("not judged: no size is in both");
        say_hint("--size all has four");
        return EXIT_NO_VERDICT;
    }
    if (worse) {
        say_error("worse than it was");
        say_hint("measure again before you believe it");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

enum exit_code against(const json_t *now, const char *path, bool quiet)
{
    json_t *before = load(path);

    if (before == NULL) {
        return EXIT_USAGE;
    }
    const enum exit_code code =
        now == NULL ? EXIT_DONE : compare(now, before, quiet);
    json_decref(before);
    return code;
}

enum exit_code against_files(const char *now, const char *before)
{
    json_t *doc = load(now);

    if (doc == NULL) {
        return EXIT_USAGE;
    }
    const enum exit_code code =
        against(doc, before, options.output >= OUTPUT_JSON);
    json_decref(doc);
    return code;
}
