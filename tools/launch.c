#include "launch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agree.h"
#include "deploy/pki/pki.h"
#include "ground.h"
#include "link_way.h"
#include "network.h"
#include "options.h"
#include "relay.h"
#include "say.h"
#include "units.h"

enum {
    WHY_BYTES = 512,
    JOIN_MAX = 8, /* members to join through */
    LOG_LINES = 5,
    LOG_TAIL_BYTES = 8192,
    PORTS_TRIED = 1000,
};

/* ---- before the start ------------------------------------------------------
 */

static bool socket_fits(const struct site_files *site)
{
    struct sockaddr_un addr;

    if (strlen(site->socket) < sizeof addr.sun_path) {
        return true;
    }
    say_error("%s is %zu bytes; a socket has a path of at most %zu",
              site->socket, strlen(site->socket), sizeof addr.sun_path - 1);
    say_hint(
        "set MOTET_RUNTIME_DIR to a shorter folder, or use a shorter name");
    return false;
}

bool launch_folders(const struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!socket_fits(&c->sites[i])) {
            return false;
        }
    }
    return folder_make(c->folders.run, 0700) &&
           folder_make(c->folders.state, 0700) &&
           folder_make(c->folders.pki, 0700);
}

bool launch_certificates(const struct cluster *c)
{
    char why[WHY_BYTES] = "";
    bool ok = pki_make_authority(c->folders.pki, c->name, LAUNCH_DAYS * 12, why,
                                 sizeof why);

    for (size_t i = 0; ok && i < c->count; i++) {
        ok = pki_issue(c->folders.pki, c->name, c->sites[i].name, PKI_SITE,
                       LAUNCH_DAYS, why, sizeof why);
    }
    if (!ok) {
        say_error("certificates: %s", why);
        say_hint("to make new ones: motet down --purge -c %s", c->name);
    }
    return ok;
}

static bool is_free(unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    union {
        struct sockaddr_in *in;
        struct sockaddr *any;
    } u = {.in = &addr};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool ok = bind(fd, u.any, sizeof addr) == 0 && listen(fd, 1) == 0;
    close(fd);
    return ok;
}

/* Another program may have taken the address of a site that was stopped. Only
 * loopback is looked at: others are the business of who wrote them. */
static bool check_address(const struct site_files *site)
{
    unsigned port;

    if (site->running || sscanf(site->address, "127.0.0.1:%u", &port) != 1 ||
        is_free(port)) {
        return true;
    }
    say_error("%s, the address of %s, is taken by another program",
              site->address, site->name);
    say_hint("end that one; or change \"listen\" and \"join\" in %s",
             site->conf);
    say_hint("or begin anew: motet down --purge");
    return false;
}

bool launch_addresses(struct cluster *c, unsigned port)
{
    unsigned end = port + PORTS_TRIED;

    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].address[0] != '\0' && !check_address(&c->sites[i])) {
            return false;
        }
    }

    for (size_t i = 0; i < c->count; i++) {
        struct site_files *site = &c->sites[i];
        if (site->address[0] == '\0' && site->ground == &ground_host) {
            relay_detour(c, site);
        }
        if (site->address[0] == '\0' && ground_is_switched(site) &&
            !ground_address(c, site)) {
            return false;
        }
        for (; site->address[0] == '\0'; port++) {
            char address[ADDRESS_MAX];
            if (port == end || port > 65535) {
                say_error("no free port of 127.0.0.1 below %u", port);
                say_hint("say where to look: --port 20000");
                return false;
            }
            snprintf(address, sizeof address, "127.0.0.1:%u", port);
            if (!cluster_has_address(c, address) && is_free(port)) {
                snprintf(site->address, sizeof site->address, "%s", address);
            }
        }
    }
    return true;
}

static void put_addresses(FILE *f, const struct site_files *site)
{
    if (site->user_net) {
        fprintf(f, "listen = 0.0.0.0%s\nadvertise = %s\n",
                strchr(site->address, ':'), site->address);
        fprintf(f, "detour = " GROUND_USER_HOST "\n");
        return;
    }
    fprintf(f, "listen = %s\n", site->address);
    if (site->detour[0] != '\0') {
        fprintf(f, "detour = %s\n", site->detour);
    }
}

static void put_joins(FILE *f, const struct cluster *c,
                      const struct site_files *site)
{
    unsigned joins = 0;

    for (size_t i = 0; i < c->count && joins < JOIN_MAX; i++) {
        if (&c->sites[i] != site && c->sites[i].address[0] != '\0') {
            fprintf(f, "join = %s\n", c->sites[i].address);
            joins++;
        }
    }
}

static void put_actors(FILE *f, bool first, const struct launch_actors *actors)
{
    if (actors == NULL) {
        fprintf(f, "actor = echo\nactor = bench\n%s",
                first ? "actor = counter\nactor = ballast\n" : "");
        return;
    }
    for (size_t i = 0; i < actors->count; i++) {
        fprintf(f, "actor = %s\n", actors->names[i]);
    }
}

bool launch_transport(struct cluster *c, const char *word)
{
    if (word != NULL && !link_way_known(word)) {
        say_error("transport %.32s: there are tcp, udp and auto", word);
        say_hint("motet up --transport auto");
        return false;
    }
    word = word != NULL ? word : c->sites[0].transport;
    for (size_t i = 0; i < c->count; i++) {
        struct site_files *site = &c->sites[i];
        if (access(site->conf, R_OK) != 0) { /* it is new */
            snprintf(site->transport, sizeof site->transport, "%s", word);
        }
    }
    return true;
}

bool launch_conf(const struct cluster *c, const struct site_files *site,
                 bool insecure, const struct launch_actors *actors)
{
    FILE *f = fopen(site->conf, "we");

    if (f == NULL) {
        say_error("cannot write %.300s: %s", site->conf, strerror(errno));
        return false;
    }
    fprintf(f, "# made by motet up; read by motetd --config\n");
    fprintf(f, "name = %s\ncluster = %s\n", site->name, c->name);
    put_addresses(f, site);
    fprintf(f, "state-dir = %s\nsocket = %s\n", site->state, site->socket);
    if (insecure) {
        fprintf(f, "insecure = yes\n");
    } else {
        fprintf(f, "ca = %s/ca.pem\ncert = %s/%s.pem\nkey = %s/%s.key\n",
                c->folders.pki, c->folders.pki, site->name, c->folders.pki,
                site->name);
    }
    if (site->ground == &ground_qemu && getuid() != 0) {
        /* there the site is root, its owner is not */
        fprintf(f, "allow = %u\n", (unsigned)getuid());
    }
    if (site->transport[0] != '\0') {
        fprintf(f, "transport = %s\n", site->transport);
    }
    put_joins(f, c, site);
    put_actors(f, site == &c->sites[0], actors);
    if (ferror(f) != 0 || fclose(f) != 0) {
        say_error("cannot write %.300s: %s", site->conf, strerror(errno));
        return false;
    }
    return true;
}

/* ---- start and stop --------------------------------------------------------
 */

enum exit_code launch_check(const struct cluster *c)
{
    const struct ground *g;

    for (size_t i = 0; (g = ground_at(i)) != NULL; i++) {
        for (size_t k = 0; k < c->count; k++) {
            if (c->sites[k].ground == g && g->check != NULL) {
                enum exit_code code = g->check();
                if (code != EXIT_DONE) {
                    return code;
                }
                break;
            }
        }
    }
    return EXIT_DONE;
}

bool launch_prepare(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        if (!s->running && s->ground->prepare != NULL &&
            !s->ground->prepare(c)) {
            return false;
        }
    }
    return true;
}

bool launch_start(struct cluster *c, struct site_files *site)
{
    if (!site->ground->start(c, site)) {
        return false;
    }
    site->running = true;
    return true;
}

bool launch_stop(struct cluster *c, struct site_files *site, uint64_t grace_ns)
{
    struct process *p = &site->process;

    if (site->running && process_look(p)) {
        site->ground->leave(site);
        if (!process_end(p, grace_ns)) {
            say_error("%s: process %d does not end", site->name, (int)p->pid);
            return false;
        }
    }
    site->running = false;
    (void)unlink(site->pid);
    (void)unlink(site->socket);
    if (site->ground->clean != NULL) {
        site->ground->clean(c, site);
    }
    return true;
}

bool launch_keep(const struct cluster *c)
{
    struct network n;

    return network_open(c, &n) && (!n.running || network_keep(&n));
}

void launch_release(struct cluster *c)
{
    enum { STOP_S = 2 };
    struct network n;

    if (!network_open(c, &n)) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running &&
            (n.kind == NETWORK_RELAY || ground_is_switched(&c->sites[i]))) {
            return;
        }
    }
    (void)network_stop(&n, STOP_S * 1000000000ULL);
}

void launch_mend(struct cluster *c)
{
    enum { GRACE_MS = 500 };
    struct network n;
    size_t stopped = 0;

    if (!network_open(c, &n)) {
        return;
    }
    network_settle(&n);
    for (size_t i = 0; i < c->count && !n.running; i++) {
        struct site_files *s = &c->sites[i];
        if (s->running && ground_is_switched(s) &&
            launch_stop(c, s, GRACE_MS * 1000000ULL)) {
            stopped++;
        }
    }
    if (stopped > 0) {
        say("  !!  network       the switch had ended: %zu sites that reached "
            "nobody are stopped",
            stopped);
    }
    cluster_count(c);
}

uint64_t launch_timeout_ns(const struct cluster *c)
{
    uint64_t ns = 0;

    for (size_t i = 0; i < c->count; i++) {
        const uint64_t needed = c->sites[i].ground->timeout_ns;
        ns = needed > ns ? needed : ns;
    }
    return options_timeout_ns(ns);
}

enum exit_code launch_await(struct cluster *c, const char *when,
                            struct agree *a)
{
    char took[UNIT_TEXT_MAX];

    if (agree_wait(c, launch_timeout_ns(c), NULL, a)) {
        return EXIT_DONE;
    }
    if (a->ended != NULL) {
        say_error("site %s ended%s", a->ended->name, when);
        launch_log(a->ended);
        return EXIT_FAILED;
    }
    say_error("no agreement in %s: %llu of %zu alive",
              unit_ns(a->took_ns, took), (unsigned long long)a->alive,
              c->running);
    say_hint("see: motet status -v");
    return EXIT_STUCK;
}

void launch_log(const struct site_files *site)
{
    char text[LOG_TAIL_BYTES + 1];
    FILE *f = fopen(site->log, "re");

    if (f != NULL) {
        (void)fseek(f, 0, SEEK_END);
        long size = ftell(f);
        (void)fseek(f, size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0,
                    SEEK_SET);
        size_t n = fread(text, 1, LOG_TAIL_BYTES, f);
        fclose(f);
        while (n > 0 && text[n - 1] == '\n') {
            n--;
        }
        text[n] = '\0';
        char *from = text + n;
        for (int lines = 0; from > text; from--) {
            if (from[-1] == '\n' && ++lines == LOG_LINES) {
                break;
            }
        }
        for (char *line = strtok(from, "\n"); line != NULL;
             line = strtok(NULL, "\n")) {
            fprintf(stderr, "    %s\n", line);
        }
    }
    fprintf(stderr, "  log: %s\n", site->log);
}
