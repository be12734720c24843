#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "say.h"
#include "table.h"
#include "target.h"
#include "units.h"
#include "verbs.h"

/* motet call: one, or many at a rate with a check of what comes back. */

#define DEADLINE_NS 5000000000ULL

static struct call {
    const char *verify;
    const char *on;
    uint64_t deadline_ns;
    uint64_t rate;
    uint64_t for_ns;
    uint64_t count;
    uint64_t window;
    bool wait;
    bool hex;
} call = {.deadline_ns = DEADLINE_NS};

/* ---- one -------------------------------------------------------------------
 */

/* A reply does not say who made it; where only one can, it is told. */
static bool print_reply_json(struct client *c, const struct motet_dest *to,
                             const struct client_reply *r)
{
    char ui[MOTET_UI_TEXT_MAX];
    char site[MOTET_NAME_MAX + 1];
    struct motet_ui from = target_only(c, to);
    bool known = from.hi != 0 || from.lo != 0;
    json_t *body = json_stringn(r->body, r->size);

    if (body == NULL) { /* no UTF-8 */
        body = json_null();
    }
    return table_json("motet.call.reply/1",
                      json_pack("{s:o,s:I,s:s?,s:s?,s:I}", "body", body,
                                "body_bytes", (json_int_t)r->size, "from",
                                known ? motet_ui_text(from, ui) : NULL, "site",
                                known ? target_site(c, from, site) : NULL,
                                "took_ns", (json_int_t)r->took_ns));
}

static void say_reply(struct client *c, const char *name,
                      const struct motet_dest *to, const struct client_reply *r)
{
    char took[UNIT_TEXT_MAX];
    char site[MOTET_NAME_MAX + 1];
    struct motet_ui from = target_only(c, to);
    bool known = from.hi != 0 || from.lo != 0;

    say("reply from %s%s%s, %zu bytes, %s", name, known ? " at " : "",
        known ? target_site(c, from, site) : "", r->size,
        unit_ns(r->took_ns, took));
}

static enum exit_code call_once(struct client *c, const char *name,
                                const struct motet_dest *to,
                                const struct body *body)
{
    struct client_reply r;
    enum motet_err err =
        client_call(c, to, body->bytes, body->size, call.deadline_ns, &r);

    if (err != MOTET_OK) {
        return target_failed(c, name, err, call.deadline_ns);
    }
    bool ok = options.output >= OUTPUT_JSON ? print_reply_json(c, to, &r)
                                            : body_print(r.body, r.size, false);
    if (options.verbose > 0) {
        say_reply(c, name, to, &r);
    }
    client_reply_free(&r);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

/* ---- many ------------------------------------------------------------------
 */

static void print_second(const struct load *l, void *user)
{
    char t[UNIT_TEXT_MAX];
    char p50[UNIT_TEXT_MAX];
    char p99[UNIT_TEXT_MAX];
    bool *begun = user;

    if (!*begun) {
        printf("  t            ok      rate         p50         p99  refused  "
               "unknown  dup  reorder\n");
        *begun = true;
    }
    printf("%8s  %8" PRIu64 "  %8" PRIu64 "  %10s  %10s  %7" PRIu64
           "  %7" PRIu64 "  %3" PRIu64 "  %7" PRIu64 "\n",
           unit_ns(l->elapsed_ns / 1000000000 * 1000000000, t), l->ok,
           l->second_ok, unit_ns(histogram_at(&l->second, 50000), p50),
           unit_ns(histogram_at(&l->second, 99000), p99), l->refused, l->maybe,
           l->duplicated, l->reordered);
    fflush(stdout);
}

static bool print_load_json(const char *name, const struct load *l)
{
    return table_json(
        "motet.call/1",
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,"
                  "s:I,s:b}",
                  "to", name, "calls", (json_int_t)l->begun, "answered",
                  (json_int_t)l->ok, "refused", (json_int_t)l->refused,
                  "unknown", (json_int_t)l->maybe, "lost", (json_int_t)l->lost,
                  "duplicated", (json_int_t)l->duplicated, "reordered",
                  (json_int_t)l->reordered, "wrong", (json_int_t)l->wrong,
                  "unexplained", (json_int_t)l->unexplained, "elapsed_ns",
                  (json_int_t)l->elapsed_ns, "p50_ns",
                  (json_int_t)histogram_at(&l->all, 50000), "p99_ns",
                  (json_int_t)histogram_at(&l->all, 99000), "p999_ns",
                  (json_int_t)histogram_at(&l->all, 99900), "max_ns",
                  (json_int_t)l->all.max, "verified", l->verify));
}

static bool print_load(const struct load *l)
{
    char p50[UNIT_TEXT_MAX];
    char p99[UNIT_TEXT_MAX];
    char max[UNIT_TEXT_MAX];

    printf("%" PRIu64 " calls: %" PRIu64 " answered%s; %" PRIu64
           " lost, %" PRIu64 " duplicated, %" PRIu64 " reordered, %" PRIu64
           " refused, %" PRIu64 " unknown\n",
           l->begun, l->ok,
           l->verify && l->ok == l->begun ? " once, in order" : "", l->lost,
           l->duplicated, l->reordered, l->refused, l->maybe);
    if (l->wrong > 0 || l->unexplained > 0) {
        printf("%" PRIu64 " answers are not what was asked; %" PRIu64
               " steps of the counter were not ours\n",
               l->wrong, l->unexplained);
    }
    printf("latency p50 %s, p99 %s, max %s%s\n",
           unit_ns(histogram_at(&l->all, 50000), p50),
           unit_ns(histogram_at(&l->all, 99000), p99), unit_ns(l->all.max, max),
           l->rate > 0 ? " (from when each was due)" : "");
    return fflush(stdout) == 0;
}

static enum exit_code verdict(struct client *c, const char *name,
                              const struct load *l)
{
    if (l->lost > 0 || l->duplicated > 0 || l->reordered > 0 || l->wrong > 0) {
        say_error("a promise was broken: %" PRIu64 " lost, %" PRIu64
                  " duplicated, %" PRIu64 " reordered, %" PRIu64 " wrong",
                  l->lost, l->duplicated, l->reordered, l->wrong);
        say_hint("keep the logs and report it: %s", c->at->log);
        return EXIT_UNSAFE;
    }
    if (l->maybe > 0 || l->refused > 0) {
        say_error("%" PRIu64 " did not run, %" PRIu64
                  " may have run; the first: %s",
                  l->refused, l->maybe, motet_err_text(l->first_err));
        say_hint("a retry is safe for the first kind, and for the second if "
                 "\"%s\" is idempotent",
                 name);
        return l->maybe > 0 ? EXIT_MAYBE : EXIT_NOT_RUN;
    }
    return EXIT_DONE;
}

static enum exit_code call_many(struct client *c, const char *name,
                                const struct motet_dest *to,
                                const struct body *body, bool given)
{
    bool begun = false;
    bool json = options.output >= OUTPUT_JSON;
    struct load *l = calloc(1, sizeof *l);

    CHECK(l != NULL);
    *l = (struct load){
        .client = c,
        .to = *to,
        .body = body->bytes,
        .size = body->size,
        .own_body = !given && call.verify != NULL,
        .verify = call.verify != NULL,
        .count = call.count,
        .for_ns = call.for_ns,
        .rate = call.rate,
        .window = call.window > 0 ? call.window
                  : call.rate > 0 ? 0
                                  : 1,
        .deadline_ns = call.deadline_ns,
        .each_second = json ? NULL : print_second,
        .user = &begun,
    };
    load_run(l);
    bool ok = json ? print_load_json(name, l) : print_load(l);
    enum exit_code code = ok ? verdict(c, name, l) : EXIT_FAILED;
    free(l);
    return code;
}

/* ---- the verb --------------------------------------------------------------
 */

static enum exit_code check(void)
{
    if (call.verify != NULL && strcmp(call.verify, "order") != 0) {
        return say_fail(EXIT_USAGE, "--verify: there is only \"order\"");
    }
    if (call.rate > 0 && call.for_ns == 0 && call.count == 0) {
        say_error("--rate for how long?");
        say_hint("add --for 10s, or --count 1000");
        return EXIT_USAGE;
    }
    if (call.deadline_ns == 0) {
        return say_fail(EXIT_USAGE, "--deadline: more than 0");
    }
    return EXIT_DONE;
}

static enum exit_code call_run(char **args, unsigned count)
{
    const struct target_wish wish = {.wait = call.wait, .on = call.on};
    bool many = call.rate > 0 || call.for_ns > 0 || call.count > 0;
    struct cluster cluster;
    struct client c;
    struct motet_dest to;
    struct body body;

    enum exit_code code = check();
    if (code == EXIT_DONE) {
        code = body_read(count > 1 ? args[1] : NULL, call.hex, &body);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        free(body.bytes);
        return code;
    }
    code = target_dest(&c, args[0], &wish, &to);
    if (code == EXIT_DONE && many) {
        code = target_one(&c, args[0], call.deadline_ns, &to);
    }
    if (code == EXIT_DONE) {
        code = many ? call_many(&c, args[0], &to, &body, count > 1)
                    : call_once(&c, args[0], &to, &body);
    }
    client_leave(&c);
    free(body.bytes);
    return code;
}

#define AT(field) offsetof(struct call, field)
static const struct flag flags[] = {
    {"deadline", 'd', "TIME", FLAG_DURATION, AT(deadline_ns),
     "of each call (5s)"},
    {"wait", 'w', NULL, FLAG_SWITCH, AT(wait),
     "for the name to exist, until the deadline"},
    {"on", 0, "SITE", FLAG_TEXT, AT(on), "the member on this site"},
    {"hex", 0, NULL, FLAG_SWITCH, AT(hex), "the body is hex digits"},
    {"rate", 'r', "RATE", FLAG_RATE, AT(rate), "so many calls a second"},
    {"for", 0, "TIME", FLAG_DURATION, AT(for_ns), "go on for so long"},
    {"count", 'n', "N", FLAG_COUNT, AT(count), "so many calls"},
    {"window", 0, "N", FLAG_COUNT, AT(window), "in flight at most"},
    {"verify", 0, "WHAT", FLAG_TEXT, AT(verify),
     "order: each answered once, in order, by one port"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_call = {
    .name = "call",
    .args = "NAME [BODY]",
    .args_min = 1,
    .args_max = 2,
    .flags = flags,
    .into = &call,
    .run = call_run,
    .summary = "ask, and print the answer; BODY may be - or @FILE",
    .examples = "  motet call echo hello -v\n"
                "  motet call counter inc --rate 2000/s --for 10s --verify "
                "order\n"
                "  echo big | motet call echo -\n",
    .exits = "0 2 3 4 5 7 8 77 124",
};
