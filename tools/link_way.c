#include "link_way.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "netmgr/core/netmgr.h"
#include "say.h"

enum { LINE_BYTES = 4096, NAMES_MAX = 1024 };

static const char key[] = "transport-to = ";

static const char *const words[] = {
    [NET_TCP] = "tcp", [NET_UDP] = "udp", [NET_AUTO] = "auto"};

static bool code_of(const char *way, uint32_t *code)
{
    for (uint32_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(way, words[i]) == 0) {
            *code = i;
            return true;
        }
    }
    return false;
}

bool link_way_known(const char *way)
{
    uint32_t code;

    return code_of(way, &code);
}

bool link_way_ok(const char *way)
{
    if (link_way_known(way)) {
        return true;
    }
    say_error("transport %.32s: there are tcp, udp and auto", way);
    say_hint("motet link set site1 site2 --transport udp");
    return false;
}

/* ---- which sites -----------------------------------------------------------
 */

/* "site1", "site1,site2" or "*"; a name that is none is told. */
bool link_are_sites(const struct cluster *c, const char *names)
{
    char name[MOTET_NAME_MAX + 2]; /* too long stays too long */

    if (strcmp(names, "*") == 0) {
        return true;
    }
    if (strlen(names) >= NAMES_MAX) {
        say_error("too many names");
        return false;
    }
    for (;;) {
        const size_t n = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s",
                 n < sizeof name ? (int)n : (int)sizeof name - 1, names);
        if (cluster_site_told(c, name) == NULL) {
            return false;
        }
        if (names[n] == '\0') {
            return true;
        }
        names += n + 1;
    }
}

enum exit_code link_choose(char **sites, unsigned count, struct cluster *c)
{
    const enum exit_code code = cluster_choose(c, false);

    if (code != EXIT_DONE) {
        return code;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!link_are_sites(c, sites[i])) {
            cluster_close(c);
            return EXIT_MISSING;
        }
    }
    if (count == 2 && strcmp(sites[0], sites[1]) == 0 &&
        strpbrk(sites[0], "*,") == NULL) {
        cluster_close(c);
        return say_fail(EXIT_USAGE, "a site has no link to itself");
    }
    return EXIT_DONE;
}

/* Whether a name is among "site1,site2" or "*". */
static bool among(const char *names, const char *name)
{
    const size_t bytes = strlen(name);

    if (strcmp(names, "*") == 0) {
        return true;
    }
    for (const char *p = names; p != NULL; p = strchr(p, ',')) {
        p += *p == ',' ? 1 : 0;
        if (strcspn(p, ",") == bytes && strncmp(p, name, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the configuration -----------------------------------------------------
 */

static bool is_about(const char *line, const char *other)
{
    const size_t n = strlen(other);

    return strncmp(line, key, sizeof key - 1) == 0 &&
           strncmp(line + sizeof key - 1, other, n) == 0 &&
           line[sizeof key - 1 + n] == ' ';
}

/* The same lines but those about the other site, and a new one. */
static bool copy_lines(FILE *from, FILE *to, const char *other, const char *way)
{
    char line[LINE_BYTES];

    while (fgets(line, sizeof line, from) != NULL) {
        if (!is_about(line, other) && fputs(line, to) < 0) {
            return false;
        }
    }
    return fprintf(to, "%s%s %s\n", key, other, way) > 0;
}

static bool note(const struct site_files *site, const char *other,
                 const char *way)
{
    char fresh[PATH_BYTES + 8];
    FILE *from = fopen(site->conf, "re");

    (void)snprintf(fresh, sizeof fresh, "%s.new", site->conf);
    FILE *to = from == NULL ? NULL : fopen(fresh, "we");
    bool ok = to != NULL && copy_lines(from, to, other, way);
    if (from != NULL) {
        (void)fclose(from);
    }
    ok = to != NULL && fclose(to) == 0 && ok && rename(fresh, site->conf) == 0;
    if (!ok) {
        say_error("cannot write %.300s: %s", site->conf, strerror(errno));
    }
    return ok;
}

/* ---- the sites that run ----------------------------------------------------
 */

static enum exit_code tell(struct cluster *c, struct site_files *site,
                           const char *other, const char *way)
{
    Motet__ControlRequest q = MOTET__CONTROL_REQUEST__INIT;
    Motet__ControlReply *reply;
    struct client client = {.cluster = c};
    char name[MOTET_NAME_MAX + 1];

    if (!site->running) {
        return EXIT_DONE; /* it reads its configuration when it starts */
    }
    (void)snprintf(name, sizeof name, "%s", other);
    q.op = MOTET__CONTROL_REQUEST__OP__WAY;
    q.name = name;
    q.has_way = 1;
    (void)code_of(way, &q.way);
    enum motet_err err = client_attach(&client, site);
    if (err != MOTET_OK) {
        say_error("%s: %s", site->name, motet_err_text(err));
        say_hint("is it stuck? motet status");
        return exit_of(err);
    }
    err = control_request(&client, 0, &q, &reply);
    if (err == MOTET_OK) {
        err = control_err(reply);
        motet__control_reply__free_unpacked(reply, NULL);
    }
    const enum exit_code code =
        err == MOTET_OK ? EXIT_DONE : control_failed(&client, site->name, err);
    client_close(&client);
    return code;
}

static enum exit_code set_one(struct cluster *c, struct site_files *site,
                              const char *other, const char *way)
{
    const enum exit_code code = tell(c, site, other, way);

    if (code != EXIT_DONE) {
        return code;
    }
    return note(site, other, way) ? EXIT_DONE : EXIT_FAILED;
}

enum exit_code link_way_set(struct cluster *c, const char *from, const char *to,
                            const char *way)
{
    enum exit_code code = EXIT_DONE;

    for (size_t i = 0; i < c->count && code == EXIT_DONE; i++) {
        struct site_files *a = &c->sites[i];
        for (size_t j = 0; j < c->count && code == EXIT_DONE; j++) {
            const char *b = c->sites[j].name;
            const bool meant = (among(from, a->name) && among(to, b)) ||
                               (among(to, a->name) && among(from, b));
            if (i != j && meant) {
                code = set_one(c, a, b, way);
            }
        }
    }
    return code;
}
