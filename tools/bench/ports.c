#include <inttypes.h>
#include <stdio.h>

#include "bench.h"
#include "tools/say.h"
#include "tools/table.h"
#include "tools/units.h"
#include "tools/verbs.h"

/* motet bench ports: the memory of an idle port. */

#define MAKING_NS UINT64_C(120000000000)

static struct wish {
    uint64_t count;
} wish = {.count = 100000};

static enum exit_code memory_of(struct client *c, uint64_t *bytes)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};
    enum motet_err err = control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS,
                                     first, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(c, c->at->name, err);
    }
    *bytes = reply->site == NULL ? 0 : reply->site->memory_bytes;
    motet__control_reply__free_unpacked(reply, NULL);
    return EXIT_DONE;
}

/* How many there are when `count` were asked for. */
static enum exit_code ask(struct client *c, uint64_t count, uint64_t *has)
{
    struct bench_question q = {.site = c->at};

    (void)snprintf(q.words, sizeof q.words, "op=ports count=%" PRIu64, count);
    enum exit_code code = bench_ask(c, &q, 1, MAKING_NS);
    if (code == EXIT_DONE) {
        *has = bench_number(q.reply.body, "count");
        client_reply_free(&q.reply);
    }
    return code;
}

static enum exit_code make_ports(struct client *c, uint64_t *made,
                                 uint64_t *bytes)
{
    uint64_t before = 0;
    uint64_t after = 0;
    uint64_t had = 0;
    uint64_t has = 0;
    enum exit_code code;

    if ((code = ask(c, 0, &had)) == EXIT_DONE &&
        (code = memory_of(c, &before)) == EXIT_DONE &&
        (code = ask(c, wish.count, &has)) == EXIT_DONE) {
        code = memory_of(c, &after);
    }
    *made = has - had;
    *bytes = after > before ? after - before : 0;
    return code;
}

static enum exit_code print_ports(const struct client *c, uint64_t made,
                                  uint64_t bytes)
{
    char text[UNIT_TEXT_MAX];

    if (made == 0) {
        say_error("site %s has as many extra ports already", c->at->name);
        say_hint("they end with the site: motet site restart %s", c->at->name);
        return EXIT_NO_VERDICT;
    }
    if (options.output >= OUTPUT_JSON) {
        return table_json("motet.bench.ports/1",
                          json_pack("{s:s,s:I,s:I,s:I}", "site", c->at->name,
                                    "ports", (json_int_t)made, "bytes",
                                    (json_int_t)bytes, "bytes_per_port",
                                    (json_int_t)(bytes / made)))
                   ? EXIT_DONE
                   : EXIT_FAILED;
    }
    printf("%" PRIu64 " idle ports at %s: %s, %" PRIu64 " bytes each\n", made,
           c->at->name, unit_bytes(bytes, text), bytes / made);
    return EXIT_DONE;
}

static enum exit_code ports_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    uint64_t made = 0;
    uint64_t bytes = 0;
    (void)args;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = make_ports(&c, &made, &bytes);
    if (code == EXIT_DONE) {
        code = print_ports(&c, made, bytes);
    }
    client_leave(&c);
    return code;
}

static const struct flag flags[] = {
    {"count", 'n', "N", FLAG_COUNT, offsetof(struct wish, count),
     "how many (100000)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_bench_ports = {
    .name = "bench ports",
    .args = "",
    .flags = flags,
    .into = &wish,
    .run = ports_run,
    .summary = "the memory of an idle port",
    .examples = "  motet bench ports --count 1000000\n",
    .exits = "0 2 3 4 5 7 9 77 124",
};
