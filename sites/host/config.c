#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"

enum key_type { TEXT, LIST, SWITCH };

static const struct key {
    const char *name;
    enum key_type type;
    size_t at;
    const char *help;
} keys[] = {
    {"name", TEXT, offsetof(struct config, name), "name of this site"},
    {"cluster", TEXT, offsetof(struct config, cluster), "name of the cluster"},
    {"listen", TEXT, offsetof(struct config, listen),
     "address to listen on, host:port (default 127.0.0.1:7117)"},
    {"advertise", TEXT, offsetof(struct config, advertise),
     "address where others reach this site"},
    {"detour", TEXT, offsetof(struct config, detour),
     "address of loopback where a relay may listen for this site, to break "
     "its links; others are dialed there first"},
    {"state-dir", TEXT, offsetof(struct config, state_dir),
     "folder for what must survive a reboot"},
    {"socket", TEXT, offsetof(struct config, socket),
     "path of the socket that programs attach to"},
    {"ca", TEXT, offsetof(struct config, ca), "certificate of the authority"},
    {"cert", TEXT, offsetof(struct config, cert), "certificate of this site"},
    {"key", TEXT, offsetof(struct config, key), "private key of this site"},
    {"log", TEXT, offsetof(struct config, log), "text (default), json or none"},
    {"memory", TEXT, offsetof(struct config, memory),
     "cap of what the site may allocate (default 1GiB)"},
    {"dump", TEXT, offsetof(struct config, dump),
     "folder where actors leave their states when the site leaves"},
    {"transport", TEXT, offsetof(struct config, transport),
     "way of small messages: tcp (default), udp, or auto"},
    {"transport-to", LIST, offsetof(struct config, transport_to),
     "likewise to one site: NAME tcp, udp or auto; may be repeated"},
    {"join", LIST, offsetof(struct config, join),
     "address of a member to join through; may be repeated"},
    {"actor", LIST, offsetof(struct config, actor),
     "actor to start, KIND or FILE.so, and :ARGS; may be repeated"},
    {"allow", LIST, offsetof(struct config, allow),
     "user id that may attach; may be repeated"},
    {"insecure", SWITCH, offsetof(struct config, insecure),
     "no certificates; for benchmarks only, never meets a secure site"},
};

const char *config_key(size_t i, const char **help, bool *is_switch)
{
    if (i >= ARRAY_LEN(keys)) {
        return NULL;
    }
    *help = keys[i].help;
    *is_switch = keys[i].type == SWITCH;
    return keys[i].name;
}

void config_init(struct config *c)
{
    *c = (struct config){0};
}

static void list_free(struct config_list *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->items[i]);
    }
}

static void *field(struct config *c, const struct key *k)
{
    return (char *)c + k->at;
}

void config_fini(struct config *c)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i].type == TEXT) {
            free(*(char **)field(c, &keys[i]));
        } else if (keys[i].type == LIST) {
            list_free(field(c, &keys[i]));
        }
    }
    *c = (struct config){0};
}

static bool set_switch(bool *to, const char *value)
{
    if (strcmp(value, "yes") == 0 || strcmp(value, "true") == 0) {
        *to = true;
        return true;
    }
    *to = false;
    return strcmp(value, "no") == 0 || strcmp(value, "false") == 0;
}

static bool set_key(struct config *c, const struct key *k, const char *value,
                    char *why)
{
    if (k->type == SWITCH) {
        if (!set_switch(field(c, k), value)) {
            snprintf(why, CONFIG_WHY_MAX, "%s: say yes or no, not \"%s\"",
                     k->name, value);
            return false;
        }
        return true;
    }
    if (strlen(value) >= CONFIG_TEXT_MAX) {
        snprintf(why, CONFIG_WHY_MAX, "%s: longer than %d bytes", k->name,
                 CONFIG_TEXT_MAX - 1);
        return false;
    }
    char *copy = strdup(value);
    CHECK(copy != NULL);
    if (k->type == TEXT) {
        char **text = field(c, k);
        free(*text);
        *text = copy;
        return true;
    }
    struct config_list *l = field(c, k);
    if (l->count == CONFIG_LIST_MAX) {
        free(copy);
        snprintf(why, CONFIG_WHY_MAX, "%s: more than %d of them", k->name,
                 CONFIG_LIST_MAX);
        return false;
    }
    l->items[l->count++] = copy;
    return true;
}

bool config_set(struct config *c, const char *name, const char *value,
                char *why)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return set_key(c, &keys[i], value, why);
        }
    }
    snprintf(why, CONFIG_WHY_MAX,
             "unknown key \"%s\"; motetd --help lists the keys", name);
    return false;
}

struct reading {
    struct config *c;
    char *why;
};

static int on_line(void *user, const char *section, const char *name,
                   const char *value)
{
    struct reading *r = user;

    if (section[0] != '\0') {
        snprintf(r->why, CONFIG_WHY_MAX,
                 "a section [%s]; there are none in this file", section);
        return 0;
    }
    return config_set(r->c, name, value, r->why);
}

bool config_read(struct config *c, const char *path, char *why)
{
    char reason[CONFIG_WHY_MAX] = "not a line of the form key = value";
    struct reading r = {c, reason};
    int line = ini_parse(path, on_line, &r);

    if (line == 0) {
        return true;
    }
    if (line < 0) {
        snprintf(why, CONFIG_WHY_MAX, "cannot read %.200s: %s", path,
                 strerror(errno));
        return false;
    }
    snprintf(why, CONFIG_WHY_MAX, "%.200s line %d: %.250s", path, line, reason);
    return false;
}

/* ---- checks ----------------------------------------------------------------
 */

static bool parse_size(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},   {"KiB", 10}, {"MiB", 20}, {"GiB", 30},
                 {"K", 10}, {"M", 20},   {"G", 30}};
    char *end;

    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || end == text || text[0] == '-' || n > (1ULL << 33)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *bytes = (uint64_t)n << units[i].shift;
            return true;
        }
    }
    return false;
}

/* Never another machine: what a site dials there has not been verified yet. In
 * a guest on QEMU's user network that is the host. */
static bool is_detour(const char *text)
{
    struct in_addr in;

    return inet_pton(AF_INET, text, &in) == 1 &&
           (ntohl(in.s_addr) >> 24 == IN_LOOPBACKNET ||
            strcmp(text, "10.0.2.2") == 0);
}

static bool default_text(char **to, const char *value)
{
    if (*to == NULL) {
        *to = strdup(value);
    }
    return *to != NULL;
}

static bool check_missing(const struct config *c, char *why)
{
    const struct {
        const char *key;
        const char *value;
    } needed[] = {{"ca", c->ca}, {"cert", c->cert}, {"key", c->key}};

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!c->insecure && needed[i].value == NULL) {
            snprintf(why, CONFIG_WHY_MAX,
                     "no %s: a site needs a certificate; \"motet up\" makes "
                     "one (or say --insecure for a benchmark)",
                     needed[i].key);
            return false;
        }
    }
    return true;
}

static bool parse_transport(const char *text, enum net_transport *code)
{
    static const char *const words[] = {
        [NET_TCP] = "tcp", [NET_UDP] = "udp", [NET_AUTO] = "auto"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *code = (enum net_transport)i;
            return true;
        }
    }
    return false;
}

/* "site2 udp" */
static bool parse_ways(struct config *c, char *why)
{
    c->way_count = 0;
    for (uint32_t i = 0; i < c->transport_to.count; i++) {
        const char *text = c->transport_to.items[i];
        const size_t name = strcspn(text, " ");
        const char *word = text + name + strspn(text + name, " ");
        struct net_way *w = &c->ways[c->way_count++];
        if (name > MOTET_NAME_MAX || !parse_transport(word, &w->way)) {
            snprintf(why, CONFIG_WHY_MAX,
                     "transport-to: say a site and tcp, udp or auto, not "
                     "\"%.64s\"",
                     text);
            return false;
        }
        memcpy(w->name, text, name);
        w->name[name] = '\0';
    }
    return true;
}

bool config_datagrams(const struct config *c)
{
    for (uint32_t i = 0; i < c->way_count; i++) {
        if (c->ways[i].way != NET_TCP) {
            return true;
        }
    }
    return c->transport_code != NET_TCP;
}

bool config_check(struct config *c, char *why)
{
    enum { MEMORY_MIN = 16 << 20 };

    if (c->name == NULL || !ui_name_ok(c->name)) {
        snprintf(why, CONFIG_WHY_MAX,
                 "%s: a site needs a name of 1 to %d letters, digits or . _ -",
                 c->name == NULL ? "no name" : c->name, MOTET_NAME_MAX);
        return false;
    }
    CHECK(default_text(&c->cluster, "motet"));
    CHECK(default_text(&c->listen, "127.0.0.1:7117"));
    CHECK(default_text(&c->log, "text"));
    CHECK(default_text(&c->memory, "1GiB"));
    CHECK(default_text(&c->transport, "tcp"));
    if (!ui_name_ok(c->cluster)) {
        snprintf(why, CONFIG_WHY_MAX, "cluster: \"%.64s\" is no name",
                 c->cluster);
        return false;
    }
    if (c->detour != NULL && !is_detour(c->detour)) {
        snprintf(why, CONFIG_WHY_MAX,
                 "detour: \"%.64s\" is no address of loopback, as 127.7.0.1",
                 c->detour);
        return false;
    }
    if (c->state_dir == NULL) {
        snprintf(why, CONFIG_WHY_MAX,
                 "no state-dir: name a folder that "
                 "survives a reboot of this site");
        return false;
    }
    if (strcmp(c->log, "text") != 0 && strcmp(c->log, "json") != 0 &&
        strcmp(c->log, "none") != 0) {
        snprintf(why, CONFIG_WHY_MAX,
                 "log: say text, json or none, not \"%.64s\"", c->log);
        return false;
    }
    if (!parse_transport(c->transport, &c->transport_code)) {
        snprintf(why, CONFIG_WHY_MAX,
                 "transport: say tcp, udp or auto, not \"%.64s\"",
                 c->transport);
        return false;
    }
    if (!parse_ways(c, why)) {
        return false;
    }
    if (!parse_size(c->memory, &c->memory_bytes) ||
        c->memory_bytes < MEMORY_MIN) {
        snprintf(why, CONFIG_WHY_MAX,
                 "memory: \"%.64s\" is no size of at least 16MiB", c->memory);
        return false;
    }
    return check_missing(c, why);
}
