#include "relay.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agree.h"
#include "ground.h"
#include "options.h"
#include "say.h"
#include "units.h"

enum { LOOK_NS = 10000000, ASK_AGAIN_NS = 1000000000 };

#define REDIAL_NS 10000000000ULL /* until all sites have dialed anew */

static bool is_taken(const struct cluster *c, const char *detour)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->sites[i].detour, detour) == 0) {
            return true;
        }
    }
    return false;
}

void relay_detour(const struct cluster *c, struct site_files *site)
{
    char detour[sizeof site->detour];

    for (unsigned i = 1; site->detour[0] == '\0' && i < 255; i++) {
        snprintf(detour, sizeof detour, "127.7.0.%u", i);
        if (!is_taken(c, detour)) {
            snprintf(site->detour, sizeof site->detour, "%s", detour);
        }
    }
}

/* ---- places ----------------------------------------------------------------
 */

/* Whether there is a port of that name. */
static bool has_port(const json_t *ports, const char *name)
{
    const json_t *items = json_object_get(ports, "items");

    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *is = json_string_value(
            json_object_get(json_array_get(items, i), "name"));
        if (is != NULL && strcmp(is, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool plug(const struct network *n, const struct site_files *site)
{
    json_t *ports;

    if (site->detour[0] == '\0') {
        return true;
    }
    if (!network_ask(n, &ports, "ports")) {
        return false;
    }
    const bool there = has_port(ports, site->name);
    json_decref(ports);
    return there || network_ask(n, NULL, "port %s relay %s %s", site->name,
                                site->address, site->detour);
}

bool relay_plug(const struct cluster *c, const struct site_files *site)
{
    struct network n;

    return network_open(c, &n) &&
           (!n.running || n.kind != NETWORK_RELAY || plug(&n, site));
}

/* ---- start -----------------------------------------------------------------
 */

static bool runs(const struct cluster *c, const json_t *link, const char *key)
{
    const char *name = json_string_value(json_object_get(link, key));
    const struct site_files *s = name == NULL ? NULL : cluster_site(c, name);

    return s != NULL && s->running && !s->process.stopped;
}

/* Whether something went over each link between sites that run. */
static bool all_carry(const struct cluster *c, const json_t *links)
{
    const json_t *items = json_object_get(links, "items");

    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *link = json_array_get(items, i);
        if (runs(c, link, "from") && runs(c, link, "to") &&
            json_integer_value(json_object_get(link, "packets")) == 0) {
            return false;
        }
    }
    return true;
}

/* SIGHUP: they drop what they dialed directly, and dial anew. */
static void ask_to_dial(const struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        if (s->running && !process_signal(&s->process, SIGHUP)) {
            say_hint("%s has ended?", s->name);
        }
    }
}

/* One that has died meanwhile may have been started again: so each look is at
 * those that run now. */
static bool wait_redialed(struct cluster *c, const struct network *n)
{
    const uint64_t end = clock_ns() + REDIAL_NS;
    uint64_t ask_ns = 0;

    while (clock_ns() < end) {
        json_t *links;
        cluster_look(c);
        if (clock_ns() >= ask_ns) { /* one may just have begun a direct one */
            ask_to_dial(c);
            ask_ns = clock_ns() + ASK_AGAIN_NS;
        }
        if (!network_ask(n, &links, "links")) {
            return false;
        }
        const bool carry = all_carry(c, links);
        json_decref(links);
        if (carry) {
            return true;
        }
        clock_sleep(LOOK_NS);
    }
    say_error("not all sites have dialed through the relay");
    say_hint("see: motet link list");
    return false;
}

static bool start(struct cluster *c, struct network *n)
{
    if (!network_start(n, NETWORK_RELAY, n->seed)) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!plug(n, &c->sites[i])) {
            return false;
        }
    }
    return wait_redialed(c, n) && network_keep(n);
}

/* Whether there is a site that the relay cannot stand between. */
static const struct site_files *without_detour(const struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].ground != &ground_host ||
            c->sites[i].detour[0] == '\0') {
            return &c->sites[i];
        }
    }
    return NULL;
}

/* A site that stands still agrees with nobody. */
static bool one_is_stopped(const struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running && c->sites[i].process.stopped) {
            return true;
        }
    }
    return false;
}

static void await_agreement(struct cluster *c)
{
    const uint64_t end = clock_ns() + REDIAL_NS;
    struct agree a;

    while (clock_ns() < end && !one_is_stopped(c) && !agree_look(c, &a)) {
        clock_sleep(LOOK_NS);
        cluster_look(c);
    }
}

static enum exit_code start_relay(struct cluster *c, struct network *n)
{
    char took[UNIT_TEXT_MAX];
    const uint64_t from = clock_ns();

    if (!start(c, n)) {
        enum { GRACE_MS = 500 };
        (void)network_stop(n, GRACE_MS * 1000000ULL);
        return EXIT_FAILED;
    }
    await_agreement(c);
    say("the links of %s go through a relay now (%s)", c->name,
        unit_ns(clock_ns() - from, took));
    return EXIT_DONE;
}

enum exit_code relay_need(struct cluster *c, struct network *n)
{
    if (!network_open(c, n)) {
        return EXIT_FAILED;
    }
    network_settle(n);
    if (n->running) {
        return EXIT_DONE;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (ground_is_switched(&c->sites[i])) {
            say_error("the switch of cluster %s has ended", c->name);
            say_hint("start all anew: motet up -c %s", c->name);
            return EXIT_NO_CLUSTER;
        }
    }
    const struct site_files *s = without_detour(c);
    if (s != NULL) {
        if (s->user_net) {
            say_error("%s is a machine beside host sites: its links cannot be "
                      "broken",
                      s->name);
            say_hint("give the others the ground netns, or qemu too");
            return EXIT_FAILED;
        }
        say_error("the configuration of %s has no detour: no relay can stand "
                  "between it and others",
                  s->name);
        say_hint("make it anew: motet down --purge; motet up");
        return EXIT_FAILED;
    }
    return start_relay(c, n);
}
