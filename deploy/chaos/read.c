#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "nucleus/base/check.h"

/* Scenario files, by libyaml. libcyaml, which reads into structures by a
 * schema, does not tell the line of a value that is well formed but wrong; that
 * is what the author of a scenario needs most. */

static yaml_node_t *node_of(struct reader *r, int index)
{
    return yaml_document_get_node(&r->doc, index);
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
    read_fail(r, node, "no key \"%.60s\" here; there are: %s", word, list);
}

/* @param seen  a bit for each key that is there */
static void read_map(struct reader *r, yaml_node_t *node,
                     const struct key *keys, void *into, uint64_t *seen)
{
    *seen = 0;
    if (node->type != YAML_MAPPING_NODE) {
        char list[256];
        list_keys(keys, list, sizeof list);
        read_fail(r, node, "keys and values are wanted here: %s", list);
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top && !r->failed; pair++) {
        yaml_node_t *name = node_of(r, pair->key);
        const char *word = read_word(r, name, "key");
        size_t i = 0;
        while (keys[i].name != NULL && strcmp(keys[i].name, word) != 0) {
            i++;
        }
        if (keys[i].name == NULL) {
            unknown_key(r, name, keys, word);
        } else if ((*seen >> i & 1) != 0) {
            read_fail(r, name, "%s: said twice; leave one out", word);
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
        !read_count(word + 4, 1, r->to->sites, &n)) {
        return false;
    }
    *set |= 1U << (n - 1);
    return true;
}

static void read_site(struct reader *r, const yaml_node_t *node,
                      const char *word, uint32_t *set)
{
    if (!site_of(r, word, set)) {
        read_fail(r, node,
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
            read_site(r, one, read_word(r, one, "site"), set);
        }
        return;
    }
    const char *word = read_word(r, node, "site");
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
    (void)read_word(r, node, "by");
    raw->by = node;
}

static void on_kind(struct reader *r, yaml_node_t *node, void *into)
{
    struct raw *raw = into;
    const char *word = read_word(r, node, "fault");
    char list[300];
    size_t n = 0;
    if (!chaos_of_word(word, &raw->line.fault.kind)) {
        for (size_t i = 0; i < CHAOS_KIND_COUNT && n < sizeof list; i++) {
            n += (size_t)snprintf(list + n, sizeof list - n, " %s",
                                  chaos_word((enum chaos_kind)i));
        }
        read_fail(r, node, "no fault \"%.60s\"; there are:%s", word, list);
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
        read_fail(r, node, "%s is about sites: say site: site1", word);
    } else if (chaos_about(f->kind) == CHAOS_OF_LINKS && (site || !both)) {
        read_fail(r, node, "%s is about links: say from: site1, to: site2",
                  word);
    } else if (chaos_about(f->kind) == CHAOS_OF_ALL && (site || ends)) {
        read_fail(r, node, "%s is about all links: leave site, from and to out",
                  word);
    } else if (f->at_ns >= r->to->for_ns) {
        read_fail(r, node,
                  "at: the run ends at %" PRIu64
                  "s; begin the fault earlier, or make \"for\" of the scenario "
                  "longer",
                  r->to->for_ns / 1000000000);
    } else if (f->burst > 1 && f->kind != CHAOS_LOSS) {
        read_fail(r, node, "burst belongs to loss; leave it out of %s", word);
    } else if (raw->line.every_ns == 0 && raw->line.times > 1) {
        read_fail(r, node, "times: say how often too, like every: 2s");
    }
}

static void read_fault(struct reader *r, yaml_node_t *node)
{
    struct raw raw = {0};
    uint64_t seen = 0;
    read_map(r, node, fault_keys, &raw, &seen);
    if (!r->failed &&
        ((seen >> KEY_AT & 1) == 0 || (seen >> KEY_FAULT & 1) == 0)) {
        read_fail(r, node,
                  "a fault needs a time and a kind: {at: 4s, fault: kill, "
                  "site: site1}");
    }
    if (!r->failed) {
        read_by(r, &raw.line.fault, raw.by, node);
        check_line(r, &raw, seen, node);
    }
    if (!r->failed && r->to->line_count == SCENARIO_LINES_MAX) {
        read_fail(r, node, "more than %d faults; use every",
                  SCENARIO_LINES_MAX);
    }
    if (!r->failed) {
        r->to->lines[r->to->line_count++] = raw.line;
    }
}

static void on_faults(struct reader *r, yaml_node_t *node, void *into)
{
    (void)into;
    if (node->type != YAML_SEQUENCE_NODE) {
        read_fail(r, node,
                  "faults: a list is wanted, each line beginning with -");
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
        read_fail(r, node, "nemesis: a list is wanted, like [kill, cut]");
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = node_of(r, *item);
        const char *word = read_word(r, one, "nemesis");
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
        read_fail(r, one, "no nemesis \"%.60s\"; there are:%s", word, list);
    }
}

static void on_transport(struct reader *r, yaml_node_t *node, void *into)
{
    const char *word = read_word(r, node, "transport");
    (void)into;
    if (word != NULL && scenario_transport(word) < 0) {
        read_fail(r, node, "transport: no \"%.60s\"; there are tcp udp auto",
                  word);
    } else if (word != NULL) {
        (void)snprintf(r->to->transport, sizeof r->to->transport, "%s", word);
    }
}

static void on_network(struct reader *r, yaml_node_t *node, void *into)
{
    const char *word = read_word(r, node, "network");
    (void)into;
    for (uint32_t i = 0; i < NETWORK_COUNT; i++) {
        if (strcmp(word, scenario_network_name((enum scenario_network)i)) ==
            0) {
            r->to->network = (enum scenario_network)i;
            return;
        }
    }
    read_fail(r, node,
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
        read_count(read_word(r, node, "seed"), 0, UINT64_MAX, &r->to->seed);
    if (!r->to->has_seed) {
        read_fail(r, node, "seed: a number is wanted");
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
    {"transport", TYPE_OTHER, 0, 0, 0, 0, on_transport},
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
        read_fail(r, NULL,
                  "it is empty; begin with name, sites, for and faults");
        return;
    }
    faults_last(r, root);
    read_map(r, root, top_keys, r->to, &seen);
    if (!r->failed && r->to->name[0] == '\0') {
        read_fail(r, root, "a scenario needs a name: name: my-scenario");
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
