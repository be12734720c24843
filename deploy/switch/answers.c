#include <stdlib.h>
#include <string.h>

#include "deploy/units/units.h"
#include "inside.h"

/* What is asked over the control socket, and what is answered. */

enum { WORDS_MAX = 64 };

static json_t *said(const char *why)
{
    return json_pack("{s:b,s:s}", "ok", false, "error", why);
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", true);
}

static json_t *items(json_t *list)
{
    return json_pack("{s:b,s:o}", "ok", true, "items", list);
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* ---- ports -----------------------------------------------------------------
 */

static json_t *ask_port(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX] = "";
    const struct port *p = port_add(n, words, count, why);

    if (p == NULL) {
        return said(why);
    }
    return p->netns < 0 ? done()
                        : json_pack("{s:b,s:s,s:s}", "ok", true, "netns",
                                    p->netns_path, "mac", p->mac);
}

static json_t *ask_unport(struct net *n, char **words, size_t count)
{
    struct port *p = count == 1 ? port_find(n, words[0]) : NULL;

    if (p == NULL) {
        return said(count == 1 ? "no such port" : "say: unport NAME");
    }
    port_remove(p);
    return done();
}

static json_t *ask_ports(struct net *n, char **words, size_t count)
{
    json_t *list = json_array();

    (void)words;
    (void)count;
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        const struct port *p = &n->ports[i];
        if (p->name[0] == '\0') {
            continue;
        }
        json_t *row = json_pack("{s:s,s:s,s:o,s:o,s:o}", "name", p->name,
                                "kind", p->kind->name, "rx", number(p->rx),
                                "tx", number(p->tx), "lost", number(p->lost));
        json_object_set_new(row, "netns",
                            p->netns < 0 ? json_null()
                                         : json_string(p->netns_path));
        json_object_set_new(
            row, "mac", p->mac[0] == '\0' ? json_null() : json_string(p->mac));
        json_array_append_new(list, row);
    }
    return items(list);
}

/* ---- links -----------------------------------------------------------------
 */

static json_t *link_row(const struct net *n, uint32_t i, uint32_t j)
{
    const struct fate_link *l = &n->links[i][j].fate;
    const struct fate_stats *s = &l->stats;
    const struct fate_change c = fate_change_of(&l->params);
    char words[FATE_TEXT_MAX];
    json_t *row =
        json_pack("{s:s,s:s,s:s,s:o,s:o}", "from", n->ports[i].name, "to",
                  n->ports[j].name, "words", fate_write(&c, words), "packets",
                  number(s->packets), "bytes", number(s->bytes));

    for (unsigned r = 0; r < FATE_COUNT; r++) {
        json_object_set_new(row, fate_text((enum fate)r), number(s->judged[r]));
    }
    json_object_set_new(row, "duplicated", number(s->duplicated));
    json_object_set_new(row, "reordered", number(s->reordered));
    json_object_set_new(row, "corrupted", number(s->corrupted));
    json_object_set_new(row, "delayed", number(s->delayed));
    return row;
}

static json_t *ask_links(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX];
    const char *from = count > 0 ? words[0] : "*";
    const char *to = count > 1 ? words[1] : "*";
    json_t *list = json_array();

    if (!names_known(n, from, why) || !names_known(n, to, why)) {
        json_decref(list);
        return said(why);
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            if (i != j && n->ports[i].name[0] != '\0' &&
                n->ports[j].name[0] != '\0' &&
                names_match(from, n->ports[i].name) &&
                names_match(to, n->ports[j].name)) {
                json_array_append_new(list, link_row(n, i, j));
            }
        }
    }
    return items(list);
}

static json_t *ask_set(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX] = "say: set FROM TO WORDS";

    return count >= 2 &&
                   links_set(n, words[0], words[1], words + 2, count - 2, why)
               ? done()
               : said(why);
}

/* ---- faults ----------------------------------------------------------------
 */

static json_t *ask_fault(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX] =
        "say: fault NAME FROM -> TO [for=TIME] WORDS, or <-> for both ways";
    uint64_t for_ns = 0;
    const bool both = count > 2 && strcmp(words[2], "<->") == 0;

    if (count < 5 || (!both && strcmp(words[2], "->") != 0)) {
        return said(why);
    }
    char **more = words + 4;
    size_t left = count - 4;
    if (strncmp(more[0], "for=", 4) == 0) {
        if (!unit_duration(more[0] + 4, &for_ns)) {
            return said("for: that is not a time like 10s");
        }
        more++;
        left--;
    }
    return fault_add(n, words[0], words[1], both, words[3], for_ns, more, left,
                     why)
               ? done()
               : said(why);
}

static json_t *ask_heal(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX];
    uint32_t healed = 1;

    if (count == 1) {
        struct named_fault *f = fault_find(n, words[0]);
        if (f == NULL) {
            return said("no such fault");
        }
        fault_end(f);
    } else if (count == 0) {
        healed = faults_heal(n, "*", "*");
    } else if (count == 2 && names_known(n, words[0], why) &&
               names_known(n, words[1], why)) {
        healed = faults_heal(n, words[0], words[1]);
    } else {
        return said(count == 2 ? why : "say: heal [NAME | FROM TO]");
    }
    return json_pack("{s:b,s:i}", "ok", true, "healed", (int)healed);
}

static json_t *ask_faults(struct net *n, char **words, size_t count)
{
    json_t *list = json_array();
    const uint64_t now_ns = net_now();

    (void)words;
    (void)count;
    list_foreach (it, &n->faults) {
        const struct named_fault *f = LIST_ENTRY(it, struct named_fault, link);
        char text[FATE_TEXT_MAX];
        json_t *left = json_null();
        if (deadline_armed(&f->end)) {
            left = number(f->end.at_ns > now_ns ? f->end.at_ns - now_ns : 0);
        }
        json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:s,s:b,s:s,s:o}", "name", f->name, "from",
                      f->from, "to", f->to, "both", (int)f->both, "words",
                      fate_write(&f->change, text), "left_ns", left));
    }
    return items(list);
}

/* ---- the rest --------------------------------------------------------------
 */

static json_t *ask_seed(struct net *n, char **words, size_t count)
{
    uint64_t seed;

    if (count != 1 || !unit_count(words[0], &seed)) {
        return said("say: seed NUMBER");
    }
    links_seed(n, seed);
    return done();
}

static json_t *ask_capture(struct net *n, char **words, size_t count)
{
    char why[WHY_MAX] = "say: capture FILE [PORT], or capture off";
    uint32_t port = PORTS_MAX;

    if (count == 1 && strcmp(words[0], "off") == 0) {
        capture_close(n);
        return done();
    }
    if (count == 2) {
        const struct port *p = port_find(n, words[1]);
        if (p == NULL) {
            return said("no such port");
        }
        port = p->index;
    }
    return (count == 1 || count == 2) && capture_open(n, words[0], port, why)
               ? done()
               : said(why);
}

static json_t *ask_keep(struct net *n, char **words, size_t count)
{
    (void)words;
    (void)count;
    if (n->ending) {
        return said("it is ending");
    }
    n->keep = true;
    return done();
}

static json_t *ask_quit(struct net *n, char **words, size_t count)
{
    (void)words;
    (void)count;
    net_quit(n);
    return done();
}

static const struct {
    const char *word;
    json_t *(*ask)(struct net *n, char **words, size_t count);
} questions[] = {
    {"port", ask_port},     {"unport", ask_unport},   {"ports", ask_ports},
    {"set", ask_set},       {"fault", ask_fault},     {"heal", ask_heal},
    {"faults", ask_faults}, {"links", ask_links},     {"seed", ask_seed},
    {"keep", ask_keep},     {"capture", ask_capture}, {"quit", ask_quit},
};

json_t *control_answer(struct net *n, char *line)
{
    char *words[WORDS_MAX];
    size_t count = 0;
    char *rest = line;

    for (char *w; (w = strtok_r(rest, " \t\r", &rest)) != NULL;) {
        if (count == WORDS_MAX) {
            return said("too many words");
        }
        words[count++] = w;
    }
    for (size_t i = 0; count > 0 && i < ARRAY_LEN(questions); i++) {
        if (strcmp(questions[i].word, words[0]) == 0) {
            return questions[i].ask(n, words + 1, count - 1);
        }
    }
    return said("no such question; there are port, unport, ports, set, links, "
                "fault, heal, faults, seed, capture, keep, quit");
}
