#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "say.h"
#include "table.h"
#include "target.h"
#include "verbs.h"

/* motet send: one way. Done when the message is in the owner's queue. */

#define DEADLINE_NS 5000000000ULL

enum { WINDOW = 1024 };

static struct send {
    const char *on;
    uint64_t deadline_ns;
    uint64_t rate;
    uint64_t for_ns;
    uint64_t count;
    uint64_t window;
    bool wait;
    bool hex;
    bool all;
} sending = {.deadline_ns = DEADLINE_NS, .window = WINDOW};

static bool print_json(const char *name, const struct load *l)
{
    return table_json(
        "motet.send/1",
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "to", name, "sent",
                  (json_int_t)l->begun, "accepted", (json_int_t)l->ok,
                  "refused", (json_int_t)l->refused, "unknown",
                  (json_int_t)l->maybe, "lost", (json_int_t)l->lost,
                  "elapsed_ns", (json_int_t)l->elapsed_ns, "p50_ns",
                  (json_int_t)histogram_at(&l->all, 50000), "p99_ns",
                  (json_int_t)histogram_at(&l->all, 99000)));
}

static enum exit_code verdict(struct client *c, const char *name,
                              const struct load *l)
{
    if (l->lost > 0 || l->duplicated > 0) {
        return say_fail(EXIT_UNSAFE,
                        "a promise was broken: %" PRIu64
                        " messages have no outcome, %" PRIu64 " have two",
                        l->lost, l->duplicated);
    }
    if (l->begun == 1 && l->ok == 0) {
        return target_failed(c, name, l->first_err, sending.deadline_ns);
    }
    if (l->refused > 0 || l->maybe > 0) {
        say_error("%" PRIu64 " of %" PRIu64 " were refused, %" PRIu64
                  " may have arrived; the first: %s",
                  l->refused, l->begun, l->maybe, motet_err_text(l->first_err));
        say_hint("who is slow? motet port list");
        return l->maybe > 0 ? EXIT_MAYBE : exit_of(l->first_err);
    }
    return EXIT_DONE;
}

static enum exit_code send_all(struct client *c, const char *name,
                               const struct motet_dest *to,
                               const struct body *body, bool many)
{
    struct load *l = calloc(1, sizeof *l);
    bool ok = true;

    CHECK(l != NULL);
    *l = (struct load){
        .client = c,
        .to = *to,
        .send = true,
        .body = body->bytes,
        .size = body->size,
        .numbered = many,
        .count = many ? sending.count : 1,
        .for_ns = sending.for_ns,
        .rate = sending.rate,
        .window = sending.window,
        .deadline_ns = sending.deadline_ns,
    };
    load_run(l);
    if (options.output >= OUTPUT_JSON) {
        ok = print_json(name, l);
    } else if (many) {
        ok = printf("%" PRIu64 " sent: %" PRIu64 " accepted, %" PRIu64
                    " refused, %" PRIu64 " unknown, %" PRIu64 " lost\n",
                    l->begun, l->ok, l->refused, l->maybe, l->lost) > 0;
    }
    enum exit_code code = ok ? verdict(c, name, l) : EXIT_FAILED;
    free(l);
    return code;
}

static enum exit_code send_run(char **args, unsigned count)
{
    const struct target_wish wish = {
        .wait = sending.wait, .on = sending.on, .all = sending.all};
    bool many = sending.rate > 0 || sending.for_ns > 0 || sending.count > 0;
    struct cluster cluster;
    struct client c;
    struct motet_dest to;
    struct body body;

    if (sending.deadline_ns == 0) {
        return say_fail(EXIT_USAGE, "--deadline: more than 0");
    }
    if (sending.rate > 0 && sending.for_ns == 0 && sending.count == 0) {
        say_error("--rate for how long?");
        say_hint("add --for 10s, or --count 1000");
        return EXIT_USAGE;
    }
    enum exit_code code =
        body_read(count > 1 ? args[1] : NULL, sending.hex, &body);
    if (code != EXIT_DONE) {
        return code;
    }
    code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        free(body.bytes);
        return code;
    }
    code = target_dest(&c, args[0], &wish, &to);
    if (code == EXIT_DONE && many && !sending.all) {
        code = target_one(&c, args[0], sending.deadline_ns, &to);
    }
    if (code == EXIT_DONE) {
        code = send_all(&c, args[0], &to, &body, many);
    }
    client_leave(&c);
    free(body.bytes);
    return code;
}

#define AT(field) offsetof(struct send, field)
static const struct flag flags[] = {
    {"deadline", 'd', "TIME", FLAG_DURATION, AT(deadline_ns),
     "of each message (5s)"},
    {"wait", 'w', NULL, FLAG_SWITCH, AT(wait),
     "for the name to exist, until the deadline"},
    {"all", 'a', NULL, FLAG_SWITCH, AT(all), "to every member of the group"},
    {"on", 0, "SITE", FLAG_TEXT, AT(on), "the member on this site"},
    {"hex", 0, NULL, FLAG_SWITCH, AT(hex), "the body is hex digits"},
    {"count", 'n', "N", FLAG_COUNT, AT(count),
     "so many, numbered for \"receive\" to check"},
    {"rate", 'r', "RATE", FLAG_RATE, AT(rate), "so many a second"},
    {"for", 0, "TIME", FLAG_DURATION, AT(for_ns), "go on for so long"},
    {"window", 0, "N", FLAG_COUNT, AT(window),
     "not yet accepted at most (1024)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_send = {
    .name = "send",
    .args = "NAME [BODY]",
    .args_min = 1,
    .args_max = 2,
    .flags = flags,
    .into = &sending,
    .run = send_run,
    .summary = "one way; done when it is in the owner's queue",
    .examples = "  motet send log 'disk full' && echo accepted\n"
                "  motet send audit @report.txt --all\n"
                "  motet send sink tick --count 10000 --wait\n",
    .exits = "0 2 3 4 5 7 8 77 124",
};
