#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "nucleus/base/ui.h"

/* What the links are: as they are set, and over that the faults, in the order
 * in which they came. */

/* ---- names -----------------------------------------------------------------
 */

bool name_ok(const char *name)
{
    return ui_name_ok(name) && strpbrk(name, "/,*") == NULL;
}

bool names_match(const char *names, const char *name)
{
    const size_t size = strlen(name);

    if (strcmp(names, "*") == 0) {
        return true;
    }
    while (*names != '\0') {
        const size_t n = strcspn(names, ",");
        if (n == size && strncmp(names, name, n) == 0) {
            return true;
        }
        names += n + (names[n] == ',' ? 1 : 0);
    }
    return false;
}

bool names_known(struct net *n, const char *names, char *why)
{
    if (strcmp(names, "*") == 0) {
        return true;
    }
    while (*names != '\0') {
        char name[NAME_BYTES];
        const size_t size = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s",
                 size < NAME_BYTES ? (int)size : NAME_BYTES - 1, names);
        if (size >= NAME_BYTES || !port_known(n, name)) {
            snprintf(why, WHY_MAX, "no port %s", name);
            return false;
        }
        names += size + (names[size] == ',' ? 1 : 0);
    }
    return true;
}

/* ---- links -----------------------------------------------------------------
 */

static bool touches(const struct named_fault *f, const char *from,
                    const char *to)
{
    return (names_match(f->from, from) && names_match(f->to, to)) ||
           (f->both && names_match(f->from, to) && names_match(f->to, from));
}

static void make_link(struct net *n, uint32_t i, uint32_t j)
{
    struct link *l = &n->links[i][j];

    l->fate.params = l->set;
    list_foreach (it, &n->faults) {
        const struct named_fault *f = LIST_ENTRY(it, struct named_fault, link);
        if (touches(f, n->ports[i].name, n->ports[j].name)) {
            fate_change_apply(&f->change, &l->fate.params);
        }
    }
    if (!l->fate.params.clog) {
        bridge_release(n, l);
    }
}

void links_make(struct net *n)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            if (i != j && n->ports[i].name[0] != '\0' &&
                n->ports[j].name[0] != '\0') {
                make_link(n, i, j);
            }
        }
    }
    relay_relinked(n);
    timer_arm(n);
}

/* By the place of the ports, not by their names: the first port that is added
 * is the first in every run. */
void links_seed(struct net *n, uint64_t seed)
{
    n->seed = seed;
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            struct link *l = &n->links[i][j];
            const struct fate_params params = l->fate.params;
            fate_init(&l->fate, fate_seed(seed, i, j));
            l->fate.params = params;
        }
    }
}

static bool read_change(char **words, size_t count, struct fate_change *c,
                        char *why)
{
    *c = (struct fate_change){0};
    for (size_t i = 0; i < count; i++) {
        if (!fate_read(c, words[i], why)) {
            return false;
        }
    }
    if (c->named == 0) {
        snprintf(why, WHY_MAX, "say what: delay=20ms, loss=1%%, cut, ...");
        return false;
    }
    return true;
}

bool links_set(struct net *n, const char *from, const char *to, char **words,
               size_t count, char *why)
{
    struct fate_change c;

    if (!read_change(words, count, &c, why) || !names_known(n, from, why) ||
        !names_known(n, to, why)) {
        return false;
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            if (i != j && names_match(from, n->ports[i].last) &&
                names_match(to, n->ports[j].last)) {
                fate_change_apply(&c, &n->links[i][j].set);
            }
        }
    }
    links_make(n);
    return true;
}

/* ---- faults ----------------------------------------------------------------
 */

struct named_fault *fault_find(struct net *n, const char *name)
{
    list_foreach (it, &n->faults) {
        struct named_fault *f = LIST_ENTRY(it, struct named_fault, link);
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL;
}

static void fault_free(struct named_fault *f)
{
    deadline_clear(&f->net->due, &f->end);
    list_remove(&f->link);
    f->net->fault_count--;
    free(f);
}

void fault_end(struct named_fault *f)
{
    struct net *n = f->net;

    fault_free(f);
    links_make(n);
}

static bool check_names(struct net *n, const char *name, const char *from,
                        const char *to, char *why)
{
    if (!name_ok(name)) {
        snprintf(why, WHY_MAX, "\"%.100s\" is no name for a fault", name);
        return false;
    }
    if (strlen(from) >= sizeof((struct named_fault *)0)->from ||
        strlen(to) >= sizeof((struct named_fault *)0)->to) {
        snprintf(why, WHY_MAX, "too many names");
        return false;
    }
    return names_known(n, from, why) && names_known(n, to, why);
}

bool fault_add(struct net *n, const char *name, const char *from, bool both,
               const char *to, uint64_t for_ns, char **words, size_t count,
               char *why)
{
    struct fate_change c;
    struct named_fault *old = fault_find(n, name);

    if (!read_change(words, count, &c, why) ||
        !check_names(n, name, from, to, why)) {
        return false;
    }
    if (old != NULL) {
        fault_free(old);
    } else if (n->fault_count >= SWITCH_FAULTS_MAX) {
        snprintf(why, WHY_MAX, "%d faults are the most", SWITCH_FAULTS_MAX);
        return false;
    }
    struct named_fault *f = calloc(1, sizeof *f);
    CHECK(f != NULL);
    f->net = n;
    f->both = both;
    f->change = c;
    snprintf(f->name, sizeof f->name, "%s", name);
    snprintf(f->from, sizeof f->from, "%s", from);
    snprintf(f->to, sizeof f->to, "%s", to);
    list_append(&n->faults, &f->link);
    n->fault_count++;
    if (for_ns > 0) {
        f->end.kind = DUE_FAULT;
        CHECK(deadline_set(&n->due, &f->end, net_now() + for_ns));
    }
    links_make(n);
    return true;
}

/* Whether a fault is about a link between one of each, in any direction. */
static bool is_between(struct net *n, const struct named_fault *f,
                       const char *a, const char *b)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            const char *x = n->ports[i].last;
            const char *y = n->ports[j].last;
            if (i != j && x[0] != '\0' && y[0] != '\0' && names_match(a, x) &&
                names_match(b, y) && (touches(f, x, y) || touches(f, y, x))) {
                return true;
            }
        }
    }
    return false;
}

uint32_t faults_heal(struct net *n, const char *from, const char *to)
{
    uint32_t healed = 0;

    list_foreach (it, &n->faults) {
        struct named_fault *f = LIST_ENTRY(it, struct named_fault, link);
        if (is_between(n, f, from, to) ||
            (strcmp(from, "*") == 0 && strcmp(to, "*") == 0)) {
            fault_free(f);
            healed++;
        }
    }
    links_make(n);
    return healed;
}
