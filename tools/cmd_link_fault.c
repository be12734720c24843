#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deploy/fault/text.h"
#include "deploy/switch/client.h"
#include "link_way.h"
#include "relay.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet link set, cut, heal, faults, capture: breaking links on purpose. */

#define FOR_DEFAULT_NS 60000000000ULL

enum { NAMES_MAX = SWITCH_LINE_MAX / 4 };

static struct link_flags {
    const char *delay, *jitter, *tail, *loss, *burst, *burst_length;
    const char *burst_loss, *duplicate, *reorder, *reorder_by, *corrupt;
    const char *rate, *queue, *as, *transport;
    bool blackhole, clog, reset, one_way, keep;
    uint64_t for_ns;
} said = {.for_ns = FOR_DEFAULT_NS};

static enum exit_code open_network(char **sites, unsigned count,
                                   struct cluster *c, struct network *n)
{
    enum exit_code code = link_choose(sites, count, c);

    if (code != EXIT_DONE) {
        return code;
    }
    code = relay_need(c, n);
    if (code != EXIT_DONE) {
        cluster_close(c);
    }
    return code;
}

/* ---- faults as they are ----------------------------------------------------
 */

struct fault_row {
    char name[MOTET_NAME_MAX + 1];
    char from[NAMES_MAX];
    char way[4];
    char to[NAMES_MAX];
    bool one_way;
    char words[FATE_TEXT_MAX];
    uint64_t left_ns; /* CELL_NONE: until it is healed */
};

static void copy_text(char *to, size_t size, const json_t *item,
                      const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));

    snprintf(to, size, "%s", text == NULL ? "" : text);
}

static void read_fault(const json_t *item, struct fault_row *row)
{
    const json_t *left = json_object_get(item, "left_ns");

    copy_text(row->name, sizeof row->name, item, "name");
    copy_text(row->from, sizeof row->from, item, "from");
    copy_text(row->to, sizeof row->to, item, "to");
    copy_text(row->words, sizeof row->words, item, "words");
    row->one_way = !json_is_true(json_object_get(item, "both"));
    snprintf(row->way, sizeof row->way, "%s", row->one_way ? "->" : "<->");
    row->left_ns =
        json_is_integer(left) ? (uint64_t)json_integer_value(left) : CELL_NONE;
}

/* Gives `rows`: free(). @return false; it is told */
static bool get_faults(const struct network *n, struct fault_row **rows,
                       size_t *count)
{
    json_t *answer;

    *rows = NULL;
    *count = 0;
    if (!n->running) {
        return true; /* nobody has broken anything yet */
    }
    if (!network_ask(n, &answer, "faults")) {
        return false;
    }
    const json_t *items = json_object_get(answer, "items");
    *count = json_array_size(items);
    *rows = calloc(*count + 1, sizeof **rows);
    CHECK(*rows != NULL);
    for (size_t i = 0; i < *count; i++) {
        read_fault(json_array_get(items, i), &(*rows)[i]);
    }
    json_decref(answer);
    return true;
}

static bool print_faults(const struct fault_row *rows, size_t count)
{
    static const struct column columns[] = {
        COLUMN(struct fault_row, "NAME", "name", CELL_CHARS, SHOW_ALWAYS, name),
        COLUMN(struct fault_row, "FROM", "from", CELL_CHARS, SHOW_ALWAYS, from),
        COLUMN(struct fault_row, "", "way", CELL_CHARS, SHOW_ALWAYS, way),
        COLUMN(struct fault_row, "TO", "to", CELL_CHARS, SHOW_ALWAYS, to),
        COLUMN(struct fault_row, "ONE WAY", "one_way", CELL_BOOL, SHOW_JSON,
               one_way),
        COLUMN(struct fault_row, "FAULT", "words", CELL_CHARS, SHOW_ALWAYS,
               words),
        COLUMN(struct fault_row, "HEALS IN", "left_ns", CELL_NS, SHOW_ALWAYS,
               left_ns),
    };
    const struct table t = {
        .schema = "motet.link.faults/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows,
        .row_bytes = sizeof *rows,
        .row_count = count,
        .none = "no faults: all links are as they are set",
    };

    return table_print(&t);
}

static enum exit_code faults_run(char **args, unsigned count)
{
    struct cluster c;
    struct network n;
    struct fault_row *rows;
    size_t found;
    (void)args;
    (void)count;

    enum exit_code code = cluster_choose(&c, false);
    if (code != EXIT_DONE) {
        return code;
    }
    code = EXIT_FAILED;
    if (network_open(&c, &n) && get_faults(&n, &rows, &found)) {
        code = print_faults(rows, found) ? EXIT_DONE : EXIT_FAILED;
        free(rows);
    }
    cluster_close(&c);
    return code;
}

/* ---- a new one -------------------------------------------------------------
 */

/* "cut-3": one more than the highest there is. @return false; it is told */
static bool new_name(const struct network *n, const char *kind, char *name)
{
    struct fault_row *rows;
    size_t count;
    unsigned highest = 0;

    if (said.as != NULL) {
        snprintf(name, MOTET_NAME_MAX + 1, "%s", said.as);
        return true;
    }
    if (!get_faults(n, &rows, &count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(kind);
        if (strncmp(rows[i].name, kind, size) == 0 &&
            rows[i].name[size] == '-') {
            const unsigned long k = strtoul(rows[i].name + size + 1, NULL, 10);
            highest = k > highest && k < 1000000 ? (unsigned)k : highest;
        }
    }
    free(rows);
    snprintf(name, MOTET_NAME_MAX + 1, "%s-%u", kind, highest + 1);
    return true;
}

static void tell(const char *name, char **sites, const char *words)
{
    char when[64] = "stays until it is healed";

    if (said.for_ns > 0) {
        const time_t at = time(NULL) + (time_t)(said.for_ns / 1000000000);
        struct tm tm;
        (void)localtime_r(&at, &tm);
        (void)strftime(when, sizeof when, "heals at %H:%M:%S", &tm);
    }
    say("%s: %s %s %s %s, %s (or: motet link heal %s)", name, sites[0],
        said.one_way ? "->" : "<->", sites[1], words, when, name);
}

static bool print_new(const char *name, char **sites, const char *words)
{
    if (options.output != OUTPUT_JSON && options.output != OUTPUT_JSONL) {
        return true;
    }
    return table_json("motet.link.fault/1",
                      json_pack("{s:s,s:s,s:s,s:b,s:s,s:o}", "name", name,
                                "from", sites[0], "to", sites[1], "one_way",
                                (int)said.one_way, "words", words, "for_ns",
                                said.for_ns > 0
                                    ? json_integer((json_int_t)said.for_ns)
                                    : json_null()));
}

static enum exit_code add(char **sites, const char *kind,
                          const struct fate_change *change)
{
    struct cluster c;
    struct network n;
    char name[MOTET_NAME_MAX + 1];
    char words[FATE_TEXT_MAX];

    if (said.keep) {
        said.for_ns = 0;
    } else if (said.for_ns == 0) {
        return say_fail(EXIT_USAGE, "--for: a fault lasts longer than that; "
                                    "or say --keep");
    }
    enum exit_code code = open_network(sites, 2, &c, &n);
    if (code != EXIT_DONE) {
        return code;
    }
    code = EXIT_FAILED;
    (void)fate_write(change, words);
    if (new_name(&n, kind, name) &&
        network_ask(&n, NULL, "fault %s %s %s %s for=%lluns %s", name, sites[0],
                    said.one_way ? "->" : "<->", sites[1],
                    (unsigned long long)said.for_ns, words)) {
        tell(name, sites, words);
        code = print_new(name, sites, words) ? EXIT_DONE : EXIT_FAILED;
    }
    cluster_close(&c);
    return code;
}

/* One word of the flags. @return false: it is told */
static bool take(struct fate_change *c, const char *word, const char *value)
{
    char text[128];
    char why[FATE_WHY_MAX];

    if (value == NULL) {
        return true;
    }
    snprintf(text, sizeof text, "%s%s%.80s", word, value[0] != '\0' ? "=" : "",
             value);
    if (!fate_read_word(c, text, why)) {
        say_error("--%s", why);
        say_hint("see: motet help link set");
        return false;
    }
    return true;
}

static bool take_flags(struct fate_change *c)
{
    return take(c, "delay", said.delay) && take(c, "jitter", said.jitter) &&
           take(c, "tail", said.tail) && take(c, "loss", said.loss) &&
           take(c, "burst", said.burst) &&
           take(c, "burst-length", said.burst_length) &&
           take(c, "burst-loss", said.burst_loss) &&
           take(c, "duplicate", said.duplicate) &&
           take(c, "reorder", said.reorder) &&
           take(c, "reorder-by", said.reorder_by) &&
           take(c, "corrupt", said.corrupt) && take(c, "rate", said.rate) &&
           take(c, "queue", said.queue) &&
           take(c, "blackhole", said.blackhole ? "" : NULL) &&
           take(c, "clog", said.clog ? "" : NULL) &&
           take(c, "reset", said.reset ? "" : NULL);
}

/* No fault: it lasts, and goes both ways. */
static enum exit_code set_transport(char **sites)
{
    struct cluster c;

    if (!link_way_ok(said.transport)) {
        return EXIT_USAGE;
    }
    enum exit_code code = link_choose(sites, 2, &c);
    if (code != EXIT_DONE) {
        return code;
    }
    code = link_way_set(&c, sites[0], sites[1], said.transport);
    cluster_close(&c);
    if (code == EXIT_DONE) {
        say("%s <-> %s: small messages by %s", sites[0], sites[1],
            said.transport);
    }
    return code;
}

static enum exit_code set_run(char **args, unsigned count)
{
    struct fate_change change = {0};
    (void)count;

    if (!take_flags(&change)) {
        return EXIT_USAGE;
    }
    if (change.named == 0 && said.transport == NULL) {
        say_error("say what: --delay 5ms, --loss 1%%, ...");
        say_hint("see: motet help link set");
        return EXIT_USAGE;
    }
    if (said.transport != NULL) {
        const enum exit_code code = set_transport(args);
        if (code != EXIT_DONE || change.named == 0) {
            return code;
        }
    }
    return add(args, "set", &change);
}

static enum exit_code cut_run(char **args, unsigned count)
{
    struct fate_change change = {0};
    (void)count;

    CHECK(take(&change, "cut", ""));
    return add(args, "cut", &change);
}

/* ---- heal, capture ---------------------------------------------------------
 */

static enum exit_code told_healed(const json_t *answer)
{
    const long long healed =
        json_integer_value(json_object_get(answer, "healed"));

    say("%lld fault%s healed", healed, healed == 1 ? "" : "s");
    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        return table_json("motet.link.heal/1",
                          json_pack("{s:I}", "healed", (json_int_t)healed))
                   ? EXIT_DONE
                   : EXIT_FAILED;
    }
    return EXIT_DONE;
}

static enum exit_code heal_one(const struct network *n, const char *name)
{
    struct fault_row *rows;
    size_t count;
    bool there = false;

    if (!get_faults(n, &rows, &count)) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        there = there || strcmp(rows[i].name, name) == 0;
    }
    free(rows);
    if (!there) {
        say_error("no fault named %.100s", name);
        say_hint("list them: motet link faults");
        return EXIT_MISSING;
    }
    json_t *answer;
    if (!network_ask(n, &answer, "heal %s", name)) {
        return EXIT_FAILED;
    }
    enum exit_code code = told_healed(answer);
    json_decref(answer);
    return code;
}

static enum exit_code heal(const struct cluster *c, const struct network *n,
                           char **args, unsigned count)
{
    json_t *answer;

    if (count == 2 &&
        (!link_are_sites(c, args[0]) || !link_are_sites(c, args[1]))) {
        return EXIT_MISSING;
    }
    if (count == 1) {
        return heal_one(n, args[0]);
    }
    if (!n->running) {
        answer = json_pack("{s:i}", "healed", 0);
    } else if (!network_ask(n, &answer, "heal %s %s", count > 0 ? args[0] : "*",
                            count > 0 ? args[1] : "*")) {
        return EXIT_FAILED;
    }
    enum exit_code code = told_healed(answer);
    json_decref(answer);
    return code;
}

static enum exit_code heal_run(char **args, unsigned count)
{
    struct cluster c;
    struct network n;
    enum exit_code code = cluster_choose(&c, false);

    if (code != EXIT_DONE) {
        return code;
    }
    code = network_open(&c, &n) ? heal(&c, &n, args, count) : EXIT_FAILED;
    cluster_close(&c);
    return code;
}

/* Made here, so that it is the caller's folder that counts. */
static enum exit_code capture(const struct network *n, const char *file,
                              const char *site)
{
    char path[PATH_BYTES];
    FILE *f = fopen(file, "we");

    if (f == NULL || realpath(file, path) == NULL) {
        say_error("cannot write %.300s: %s", file, strerror(errno));
        if (f != NULL) {
            fclose(f);
        }
        return EXIT_FAILED;
    }
    fclose(f);
    if (strpbrk(path, " \t\n") != NULL) {
        return say_fail(EXIT_USAGE, "a path without blanks, please");
    }
    if (!network_ask(n, NULL, "capture %s %s", path, site)) {
        return EXIT_FAILED;
    }
    say("capturing to %s; end it: motet link capture off", path);
    return EXIT_DONE;
}

static enum exit_code capture_run(char **args, unsigned count)
{
    struct cluster c;
    struct network n;
    enum exit_code code = cluster_choose(&c, false);

    if (code != EXIT_DONE) {
        return code;
    }
    if (count > 1 && cluster_site_told(&c, args[1]) == NULL) {
        code = EXIT_MISSING;
    } else if (!network_open(&c, &n)) {
        code = EXIT_FAILED;
    } else if (!n.running || n.kind != NETWORK_SWITCH) {
        say_error("there are no frames: the sites are processes of this host");
        say_hint("see: tcpdump -i lo; or: motet up --on netns");
        code = EXIT_USAGE;
    } else if (count == 1 && strcmp(args[0], "off") == 0) {
        code = network_ask(&n, NULL, "capture off") ? EXIT_DONE : EXIT_FAILED;
    } else {
        code = capture(&n, args[0], count > 1 ? args[1] : "");
    }
    cluster_close(&c);
    return code;
}

/* ---- verbs -----------------------------------------------------------------
 */

#define TEXT(name, arg, field, help)                                      \
    {                                                                     \
        name, 0, arg, FLAG_TEXT, offsetof(struct link_flags, field), help \
    }
#define SWITCH(name, field, help)                                            \
    {                                                                        \
        name, 0, NULL, FLAG_SWITCH, offsetof(struct link_flags, field), help \
    }
#define ENDS                                                             \
    {"for",                                                              \
     0,                                                                  \
     "TIME",                                                             \
     FLAG_DURATION,                                                      \
     offsetof(struct link_flags, for_ns),                                \
     "it heals by itself after this (60s)"},                             \
        SWITCH("keep", keep, "it stays until motet link heal"),          \
        SWITCH("one-way", one_way, "from the first to the second only"), \
        TEXT("as", "NAME", as, "call it so; replaces one of that name"), \
    {                                                                    \
        NULL, 0, NULL, FLAG_SWITCH, 0, NULL                              \
    }

static const struct flag set_flags[] = {
    TEXT("delay", "TIME", delay, "all is late by this"),
    TEXT("jitter", "TIME", jitter, "give or take up to this"),
    TEXT("tail", "TIME", tail, "and late by an exponential time of this mean"),
    TEXT("loss", "PERCENT", loss, "packets lost, each by itself"),
    TEXT("burst", "PERCENT", burst, "chance that a burst of losses begins"),
    TEXT("burst-length", "N", burst_length, "packets of it, in the mean (8)"),
    TEXT("burst-loss", "PERCENT", burst_loss, "lost in a burst (100%)"),
    TEXT("duplicate", "PERCENT", duplicate, "packets that come twice"),
    TEXT("reorder", "PERCENT", reorder, "packets that others overtake"),
    TEXT("reorder-by", "TIME", reorder_by, "held back for up to this (10ms)"),
    TEXT("corrupt", "PERCENT", corrupt, "packets with one bit wrong"),
    TEXT("rate", "RATE", rate, "64KiB/s or 10mbit"),
    TEXT("queue", "SIZE", queue, "what may wait for the rate (256KiB)"),
    SWITCH("blackhole", blackhole, "all is taken and lost"),
    SWITCH("clog", clog, "all is held back, nothing is lost"),
    TEXT("transport", "WAY", transport,
         "of small messages, to last: tcp, udp or auto"),
    SWITCH("reset", reset, "connections that use it break"),
    ENDS,
};

static const struct flag cut_flags[] = {ENDS};

const struct verb verb_link_set = {
    .name = "link set",
    .args = "SITE SITE",
    .args_min = 2,
    .args_max = 2,
    .flags = set_flags,
    .into = &said,
    .run = set_run,
    .summary = "make a link worse; changes only what is named",
    .examples = "  motet link set site1 site2 --delay 5ms --loss 1%\n"
                "  motet link set site1 '*' --rate 10mbit --one-way --keep\n"
                "  motet link set site1 site2 --transport udp\n",
    .exits = "0 1 2 3 7 124",
};

const struct verb verb_link_cut = {
    .name = "link cut",
    .args = "SITE SITE",
    .args_min = 2,
    .args_max = 2,
    .flags = cut_flags,
    .into = &said,
    .run = cut_run,
    .summary = "let nothing pass between sites, for a while",
    .examples = "  motet link cut site1 site2 --for 10s\n"
                "  motet link cut site1,site2 site3 --one-way\n",
    .exits = "0 1 2 3 7 124",
};

const struct verb verb_link_heal = {
    .name = "link heal",
    .args = "[FAULT | SITE SITE]",
    .args_max = 2,
    .run = heal_run,
    .summary = "end a fault, those between two sites, or all",
    .examples = "  motet link heal cut-1\n  motet link heal site1 site2\n"
                "  motet link heal\n",
    .exits = "0 1 2 3 7 124",
};

const struct verb verb_link_faults = {
    .name = "link faults",
    .args = "",
    .run = faults_run,
    .summary = "the faults there are, and when they end",
    .examples = "  motet link faults\n",
    .exits = "0 1 2 3 7 124",
};

const struct verb verb_link_capture = {
    .name = "link capture",
    .args = "FILE [SITE] | off",
    .args_min = 1,
    .args_max = 2,
    .run = capture_run,
    .summary = "frames as pcapng, of all sites or of one (netns, qemu)",
    .examples = "  motet link capture all.pcapng\n"
                "  motet link capture off\n",
    .exits = "0 1 2 3 7 124",
};
