#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "nucleus/base/check.h"
#include "scenario.h"

/* Scenario files, by libyaml. libcyaml, which reads into structures by a
 * schema, does not tell the line of a value that is well formed but wrong; that
 * is what the author of a scenario needs most. */

struct reader {
    struct scenario *to;
    const char *path;
    char *why;
    yaml_document_t doc;
    bool failed;
};

/* What a key takes. Times are in ns. */
enum type {
    TYPE_NAME,  /* text of letters that names can have */
    TYPE_TEXT,  /* any text */
    TYPE_COUNT, /* with `low` and `high` */
    TYPE_TIME,
    TYPE_RATE,
    TYPE_SWITCH,
    TYPE_OTHER, /* by a function */
};

struct key {
    const char *name;
    enum type type;
    size_t at; /* offset in what is read into */
    size_t size;
    uint64_t low, high;
    void (*read)(struct reader *r, yaml_node_t *node, void *into);
};

#define YEAR_NS 31536000000000000ULL
#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

/* The first thing that is wrong counts. */
__attribute__((format(printf, 3, 4))) static void
fail(struct reader *r, const yaml_node_t *node, const char *format, ...)
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
}

static yaml_node_t *node_of(struct reader *r, int index)
{
    return yaml_document_get_node(&r->doc, index);
}

/* The text of a scalar; "" and a failure for anything else. */
static const char *text_of(struct reader *r, const yaml_node_t *node,
                           const char *what)
{
    if (node->type != YAML_SCALAR_NODE) {
        fail(r, node, "%s: one word is wanted here, not a list or a map", what);
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

static bool count_of(const char *text, uint64_t low, uint64_t high,
                     uint64_t *value)
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
    const char *text = text_of(r, node, k->name);
    if (strlen(text) >= k->size) {
        fail(r, node, "%s: longer than %zu bytes; make it shorter", k->name,
             k->size - 1);
    } else if (k->type == TYPE_NAME && !name_ok(text)) {
        fail(r, node, "%s: \"%.60s\" is no name; use letters, digits and . _ -",
             k->name, text);
    } else if (strpbrk(text, "\"\\\n") != NULL) {
        fail(r, node,
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
    const char *text = text_of(r, node, k->name);
    uint64_t value = 0;
    if (k->type == TYPE_COUNT && !count_of(text, k->low, k->high, &value)) {
        fail(r, node, "%s: \"%.60s\" is no number from %" PRIu64 " to %" PRIu64,
             k->name, text, k->low, k->high);
    } else if (k->type == TYPE_TIME &&
               (!time_of(text, &value) || value < k->low || value > k->high)) {
        fail(r, node,
             "%s: \"%.60s\" is no time from %" PRIu64 "s to %" PRIu64
             "s; write it like 500ms, 8s or 2m",
             k->name, text, k->low / 1000000000, k->high / 1000000000);
    } else if (k->type == TYPE_RATE &&
               (!quantity(text, sizes, 100000, &value) || value == 0)) {
        fail(r, node,
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
    const char *text = text_of(r, node, k->name);
    *to = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (!*to && strcmp(text, "no") != 0 && strcmp(text, "false") != 0) {
        fail(r, node, "%s: say yes or no, not \"%.60s\"", k->name, text);
    }
}

static void read_value(struct reader *r, const struct key *k, yaml_node_t *node,
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

/* ---- maps ------------------------------------------------------------------
 */

static void list_keys(const struct key *keys, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (const struct key *k = keys; k->name != NULL && n < size; k++) {
        n += (size_t)snprintf(text + n, size - n, "%s%s", n == 0 ? "" : " ",
                              k->name);
    }
}

static void unknown_key(struct reader *r, const yaml_node_t *node,
                        const struct key *keys, const char *word)
{
    char list[256];
    list_keys(keys, list, sizeof list);
    fail(r, node, "no key \"%.60s\" here; there are: %s", word, list);
}

/* @param seen  a bit for each key that is there */
static void read_map(struct reader *r, yaml_node_t *node,
                     const struct key *keys, void *into, uint64_t *seen)
{
    *seen = 0;
    if (node->type != YAML_MAPPING_NODE) {
        char list[256];
        list_keys(keys, list, sizeof list);
        fail(r, node, "keys and values are wanted here: %s", list);
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top && !r->failed; pair++) {
        yaml_node_t *name = node_of(r, pair->key);
        const char *word = text_of(r, name, "key");
        size_t i = 0;
        while (keys[i].name != NULL && strcmp(keys[i].name, word) != 0) {
            i++;
        }
        if (keys[i].name == NULL) {
            unknown_key(r, name, keys, word);
        } else if ((*seen >> i & 1) != 0) {
            fail(r, name, "%s: said twice; leave one out", word);
        } else {
            *seen |= 1ULL << i;
            read_value(r, &keys[i], node_of(r, pair->value), into);
        }
    }
}

/* ---- faults ----------------------------------------------------------------
 */

/* What a line says before it is put together. */
struct raw {
    struct scenario_line line;
    const yaml_node_t *by;
    const yaml_node_t *site;
};

/* "site2" -> a bit. */
static bool site_of(const struct reader *r, const char *word, uint32_t *set)
{
    uint64_t n = 0;
    if (strncmp(word, "site", 4) != 0 ||
        !count_of(word + 4, 1, r->to->sites, &n)) {
        return false;
    }
    *set |= 1U << (n - 1);
    return true;
}

static void read_site(struct reader *r, const yaml_node_t *node,
                      const char *word, uint32_t *set)
{
    if (!site_of(r, word, set)) {
        fail(r, node,
             "no site \"%.60s\"; there are site1 to site%" PRIu32
             ", all, any and each (more of them: sites: N)",
             word, r->to->sites);
    }
}

static void read_set(struct reader *r, const yaml_node_t *node, uint32_t *set,
                     enum scenario_pick *how)
{
    *set = 0;
    *how = PICK_THESE;
    if (node->type == YAML_SEQUENCE_NODE) {
        const yaml_node_item_t *item = node->data.sequence.items.start;
        for (; item < node->data.sequence.items.top; item++) {
            const yaml_node_t *one = node_of(r, *item);
            read_site(r, one, text_of(r, one, "site"), set);
        }
        return;
    }
    const char *word = text_of(r, node, "site");
    if (strcmp(word, "all") == 0) {
        *set = r->to->sites >= 32 ? UINT32_MAX : (1U << r->to->sites) - 1;
    } else if (strcmp(word, "any") == 0) {
        *how = PICK_ANY;
    } else if (strcmp(word, "each") == 0) {
        *how = PICK_EACH;
    } else {
        read_site(r, node, word, set);
    }
}

static void on_site(struct reader *r, yaml_node_t *node, void *into)
{
    struct raw *raw = into;
    raw->site = node;
    read_set(r, node, &raw->line.fault.sites, &raw->line.pick);
}

static void on_to(struct reader *r, yaml_node_t *node, void *into)
{
    struct raw *raw = into;
    read_set(r, node, &raw->line.fault.to, &raw->line.pick_to);
}

static void on_by(struct reader *r, yaml_node_t *node, void *into)
{
    struct raw *raw = into;
    (void)text_of(r, node, "by");
    raw->by = node;
}

static void on_kind(struct reader *r, yaml_node_t *node, void *into)
{
    struct raw *raw = into;
    const char *word = text_of(r, node, "fault");
    char list[300];
    size_t n = 0;
    if (!chaos_of_word(word, &raw->line.fault.kind)) {
        for (size_t i = 0; i < CHAOS_KIND_COUNT && n < sizeof list; i++) {
            n += (size_t)snprintf(list + n, sizeof list - n, " %s",
                                  chaos_word((enum chaos_kind)i));
        }
        fail(r, node, "no fault \"%.60s\"; there are:%s", word, list);
    }
}

#define LINE(field) FIELD(struct raw, line.field)
enum { KEY_AT, KEY_FAULT, KEY_SITE, KEY_FROM, KEY_TO, KEY_BY };
static const struct key fault_keys[] = {
    [KEY_AT] = {"at", TYPE_TIME, LINE(fault.at_ns), 0, YEAR_NS, NULL},
    [KEY_FAULT] = {"fault", TYPE_OTHER, 0, 0, 0, 0, on_kind},
    [KEY_SITE] = {"site", TYPE_OTHER, 0, 0, 0, 0, on_site},
    [KEY_FROM] = {"from", TYPE_OTHER, 0, 0, 0, 0, on_site},
    [KEY_TO] = {"to", TYPE_OTHER, 0, 0, 0, 0, on_to},
    [KEY_BY] = {"by", TYPE_OTHER, 0, 0, 0, 0, on_by},
    {"one-way", TYPE_SWITCH, LINE(fault.one_way), 0, 0, NULL},
    {"for", TYPE_TIME, LINE(fault.for_ns), 0, YEAR_NS, NULL},
    {"every", TYPE_TIME, LINE(every_ns), 10000000, YEAR_NS, NULL},
    {"times", TYPE_COUNT, LINE(times), 1, CHAOS_FAULTS_MAX, NULL},
    {"burst", TYPE_COUNT, LINE(fault.burst), 1, 1000, NULL},
    {"dice", TYPE_COUNT, LINE(fault.dice), 0, UINT64_MAX, NULL},
    {"name", TYPE_NAME, LINE(fault.name), 0, 0, NULL},
    {NULL, TYPE_OTHER, 0, 0, 0, 0, NULL},
};

static void read_by(struct reader *r, struct raw *raw, const yaml_node_t *whole)
{
    struct chaos_fault *f = &raw->line.fault;
    const char *word = chaos_word(f->kind);
    const char *text =
        raw->by == NULL ? NULL : (const char *)raw->by->data.scalar.value;
    const yaml_node_t *node = raw->by == NULL ? whole : raw->by;
    const bool minus = text != NULL && *text == '-';
    uint64_t value = 0;
    bool ok = text != NULL;
    const char *like = "";
    switch (chaos_unit(f->kind)) {
    case CHAOS_NO_UNIT:
        if (text != NULL) {
            fail(r, node, "%s takes no \"by\"; leave it out", word);
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
        fail(r, node, "%s: say by how much, like by: %s", word, like);
    }
}

/* Which keys are there must fit the kind. */
static void check_line(struct reader *r, const struct raw *raw, uint64_t seen,
                       const yaml_node_t *node)
{
    const struct chaos_fault *f = &raw->line.fault;
    const char *word = chaos_word(f->kind);
    const bool site = (seen >> KEY_SITE & 1) != 0;
    const bool ends = (seen >> KEY_FROM & 1) != 0 || (seen >> KEY_TO & 1) != 0;
    const bool both = (seen >> KEY_FROM & 1) != 0 && (seen >> KEY_TO & 1) != 0;
    if (chaos_about(f->kind) == CHAOS_OF_SITES && (!site || ends)) {
        fail(r, node, "%s is about sites: say site: site1", word);
    } else if (chaos_about(f->kind) == CHAOS_OF_LINKS && (site || !both)) {
        fail(r, node, "%s is about links: say from: site1, to: site2", word);
    } else if (chaos_about(f->kind) == CHAOS_OF_ALL && (site || ends)) {
        fail(r, node, "%s is about all links: leave site, from and to out",
             word);
    } else if (f->at_ns >= r->to->for_ns) {
        fail(r, node,
             "at: the run ends at %" PRIu64
             "s; begin the fault earlier, or make \"for\" of the scenario "
             "longer",
             r->to->for_ns / 1000000000);
    } else if (f->burst > 1 && f->kind != CHAOS_LOSS) {
        fail(r, node, "burst belongs to loss; leave it out of %s", word);
    } else if (raw->line.every_ns == 0 && raw->line.times > 1) {
        fail(r, node, "times: say how often too, like every: 2s");
    }
}

static void read_fault(struct reader *r, yaml_node_t *node)
{
    struct raw raw = {0};
    uint64_t seen = 0;
    read_map(r, node, fault_keys, &raw, &seen);
    if (!r->failed &&
        ((seen >> KEY_AT & 1) == 0 || (seen >> KEY_FAULT & 1) == 0)) {
        fail(r, node,
             "a fault needs a time and a kind: {at: 4s, fault: kill, "
             "site: site1}");
    }
    if (!r->failed) {
        read_by(r, &raw, node);
        check_line(r, &raw, seen, node);
    }
    if (!r->failed && r->to->line_count == SCENARIO_LINES_MAX) {
        fail(r, node, "more than %d faults; use every", SCENARIO_LINES_MAX);
    }
    if (!r->failed) {
        r->to->lines[r->to->line_count++] = raw.line;
    }
}

static void on_faults(struct reader *r, yaml_node_t *node, void *into)
{
    (void)into;
    if (node->type != YAML_SEQUENCE_NODE) {
        fail(r, node, "faults: a list is wanted, each line beginning with -");
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top && !r->failed; item++) {
        read_fault(r, node_of(r, *item));
    }
}

/* ---- the rest --------------------------------------------------------------
 */

static void on_nemesis(struct reader *r, yaml_node_t *node, void *into)
{
    (void)into;
    if (node->type != YAML_SEQUENCE_NODE) {
        fail(r, node, "nemesis: a list is wanted, like [kill, cut]");
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = node_of(r, *item);
        const char *word = text_of(r, one, "nemesis");
        enum nemesis_kind kind = NEMESIS_COUNT;
        char list[256];
        size_t n = 0;
        if (nemesis_of_word(word, &kind)) {
            r->to->nemeses |= 1U << kind;
            continue;
        }
        for (size_t i = 0; i < NEMESIS_COUNT && n < sizeof list; i++) {
            n += (size_t)snprintf(list + n, sizeof list - n, " %s",
                                  nemesis_word((enum nemesis_kind)i));
        }
        fail(r, one, "no nemesis \"%.60s\"; there are:%s", word, list);
    }
}

static void on_network(struct reader *r, yaml_node_t *node, void *into)
{
    const char *word = text_of(r, node, "network");
    (void)into;
    for (uint32_t i = 0; i < NETWORK_COUNT; i++) {
        if (strcmp(word, scenario_network_name((enum scenario_network)i)) ==
            0) {
            r->to->network = (enum scenario_network)i;
            return;
        }
    }
    fail(r, node,
         "network: no \"%.60s\"; there are calm lossy deaths swarm tight",
         word);
}

static void on_workload(struct reader *r, yaml_node_t *node, void *into)
{
    static const struct key keys[] = {
        {"actors", TYPE_COUNT, FIELD(struct scenario, actors), 1, 3, NULL},
        {"rate", TYPE_RATE, FIELD(struct scenario, rate), 0, 0, NULL},
        {NULL, TYPE_OTHER, 0, 0, 0, 0, NULL},
    };
    uint64_t seen = 0;
    read_map(r, node, keys, into, &seen);
}

static void on_holds(struct reader *r, yaml_node_t *node, void *into)
{
    static const struct key keys[] = {
        {"agree", TYPE_TIME, FIELD(struct scenario, agree_ns), 1000000000,
         3600000000000, NULL},
        {"settle", TYPE_TIME, FIELD(struct scenario, settle_ns), 1000000000,
         3600000000000, NULL},
        {"core", TYPE_SWITCH, FIELD(struct scenario, core), 0, 0, NULL},
        {"calls", TYPE_COUNT, FIELD(struct scenario, calls_min), 1, 1000000000,
         NULL},
        {NULL, TYPE_OTHER, 0, 0, 0, 0, NULL},
    };
    uint64_t seen = 0;
    read_map(r, node, keys, into, &seen);
}

static void on_seed(struct reader *r, yaml_node_t *node, void *into)
{
    (void)into;
    r->to->has_seed =
        count_of(text_of(r, node, "seed"), 0, UINT64_MAX, &r->to->seed);
    if (!r->to->has_seed) {
        fail(r, node, "seed: a number is wanted");
    }
}

/* In the order in which they are read, whatever that of the file: a fault is
 * judged by the sites and the length of the run. */
#define TOP(field) FIELD(struct scenario, field)
static const struct key top_keys[] = {
    {"name", TYPE_NAME, TOP(name), 0, 0, NULL},
    {"about", TYPE_TEXT, TOP(about), 0, 0, NULL},
    {"sites", TYPE_COUNT, TOP(sites), 2, CHAOS_SITES_MAX, NULL},
    {"for", TYPE_TIME, TOP(for_ns), 1000000000, 86400000000000, NULL},
    {"network", TYPE_OTHER, 0, 0, 0, 0, on_network},
    {"workload", TYPE_OTHER, 0, 0, 0, 0, on_workload},
    {"actor", TYPE_TEXT, TOP(actor), 0, 0, NULL},
    {"nemesis", TYPE_OTHER, 0, 0, 0, 0, on_nemesis},
    {"faults", TYPE_OTHER, 0, 0, 0, 0, on_faults},
    {"holds", TYPE_OTHER, 0, 0, 0, 0, on_holds},
    {"seed", TYPE_OTHER, 0, 0, 0, 0, on_seed},
    {NULL, TYPE_OTHER, 0, 0, 0, 0, NULL},
};

/* The faults refer to what may stand behind them in the file: they go last. */
static void faults_last(struct reader *r, yaml_node_t *root)
{
    if (root->type != YAML_MAPPING_NODE) {
        return;
    }
    yaml_node_pair_t *last = root->data.mapping.pairs.top - 1;
    yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < last; pair++) {
        const yaml_node_t *name = node_of(r, pair->key);
        if (name->type == YAML_SCALAR_NODE &&
            strcmp((const char *)name->data.scalar.value, "faults") == 0) {
            const yaml_node_pair_t swap = *pair;
            *pair = *last;
            *last = swap;
            return;
        }
    }
}

static void read_document(struct reader *r)
{
    yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    uint64_t seen = 0;
    if (root == NULL) {
        fail(r, NULL, "it is empty; begin with name, sites, for and faults");
        return;
    }
    faults_last(r, root);
    read_map(r, root, top_keys, r->to, &seen);
    if (!r->failed && r->to->name[0] == '\0') {
        fail(r, root, "a scenario needs a name: name: my-scenario");
    }
}

bool scenario_read(struct scenario *s, const char *path, char *why)
{
    struct reader r = {.to = s, .path = path, .why = why};
    yaml_parser_t parser;
    FILE *f = fopen(path, "re");
    scenario_init(s);
    if (f == NULL) {
        (void)snprintf(why, SCENARIO_WHY_MAX, "cannot read %.200s: %s", path,
                       strerror(errno));
        return false;
    }
    CHECK(yaml_parser_initialize(&parser) == 1);
    yaml_parser_set_input_file(&parser, f);
    if (yaml_parser_load(&parser, &r.doc) == 0) {
        (void)snprintf(why, SCENARIO_WHY_MAX, "%.200s line %zu: %s (no YAML)",
                       path, parser.problem_mark.line + 1,
                       parser.problem != NULL ? parser.problem : "unreadable");
        r.failed = true;
    } else {
        read_document(&r);
        yaml_document_delete(&r.doc);
    }
    yaml_parser_delete(&parser);
    (void)fclose(f);
    return !r.failed;
}
