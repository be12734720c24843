#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "tools/load.h"
#include "tools/say.h"

/* User actors: processes of their own, attached to their sites. Each says when
 * it is ready; then the clients are told to go, and tell what came of it. */

enum { PREFETCH = 128, READY_TRIES = 2500 };

static const uint64_t ready_ns = 2000000;
static const uint64_t deadline_ns = 5000000000;

struct told {
    uint64_t ok, refused, maybe, elapsed_ns, cpu_ns;
    struct histogram latency;
};

struct child {
    pid_t pid;
    int in;  /* what it tells */
    int out; /* what it is told */
};

struct family {
    struct bench *b;
    const struct bench_users *u;
    char group[MOTET_NAME_MAX + 1];
    struct child servers[BENCH_SITES_MAX];
    struct child clients[BENCH_SITES_MAX];
};

/* ---- in the children -------------------------------------------------------
 */

static bool put(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        const ssize_t n = write(fd, at, size);
        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool get(int fd, void *data, size_t size)
{
    char *at = data;

    while (size > 0) {
        const ssize_t n = read(fd, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static struct motet *attach(const struct family *f,
                            const struct site_files *site)
{
    struct client c = {.cluster = f->b->cluster};
    struct site_files copy = *site;
    const enum motet_err err = client_attach(&c, &copy);

    if (err != MOTET_OK) {
        say_error("cannot attach to %s: %s", site->name, motet_err_text(err));
        return NULL;
    }
    return c.motet;
}

static void serve(const struct family *f, const struct site_files *site,
                  int out)
{
    struct motet_port *port;
    struct motet_msg msg;
    struct motet *m = attach(f, site);

    if (m == NULL || motet_port_create(m, f->group, &port) != MOTET_OK ||
        motet_prefetch(m, PREFETCH) != MOTET_OK || !put(out, "", 1)) {
        return;
    }
    while (motet_receive(port, &msg, MOTET_FOREVER) == MOTET_OK) {
        if (msg.kind == MOTET_MSG_CALL) {
            (void)motet_reply(&msg, msg.body, msg.body_bytes);
        }
        motet_msg_free(&msg);
    }
}

/* Until the site knows all the servers. */
static bool see_servers(struct motet *m, const struct family *f)
{
    struct motet_member members[BENCH_SITES_MAX];
    size_t count = 0;

    for (unsigned i = 0; i < READY_TRIES; i++) {
        if (motet_group_list(m, motet_ui_of_name(f->group), members,
                             BENCH_SITES_MAX, &count) == MOTET_OK &&
            count == f->u->server_count) {
            return true;
        }
        clock_sleep(ready_ns);
    }
    say_error("%zu of %zu servers were seen", count, f->u->server_count);
    return false;
}

static void ask(const struct family *f, const struct site_files *site, int in,
                int out)
{
    char go;
    void *body = calloc(1, f->u->size + 1);
    struct client c = {.motet = attach(f, site)};
    struct load l = {
        .client = &c,
        .to = {.target = motet_ui_of_name(f->group),
               .mode = f->u->all ? MOTET_TO_ALL : MOTET_TO_ANY},
        .send = f->u->send,
        .body = body,
        .size = f->u->size,
        .for_ns = f->u->for_ns,
        .rate = f->b->wish->rate,
        .window = f->b->window,
        .deadline_ns = deadline_ns,
    };

    if (body == NULL || c.motet == NULL || !see_servers(c.motet, f) ||
        !put(out, "", 1) || !get(in, &go, 1)) {
        return;
    }
    const uint64_t cpu = cost_of_us();
    load_run(&l);
    struct told t = {.ok = l.ok,
                     .refused = l.refused,
                     .maybe = l.maybe + l.lost,
                     .elapsed_ns = l.elapsed_ns,
                     .cpu_ns = cost_of_us() - cpu,
                     .latency = l.all};
    (void)put(out, &t, sizeof t);
    motet_detach(c.motet);
}

/* ---- the parent ------------------------------------------------------------
 */

static bool bear(const struct family *f, const struct site_files *site,
                 bool server, struct child *c)
{
    int to[2];
    int from[2];

    if (pipe(to) != 0 || pipe(from) != 0) {
        say_error("no pipe: %s", strerror(errno));
        return false;
    }
    (void)fflush(stdout);
    c->pid = fork();
    if (c->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(to[1]);
        (void)close(from[0]);
        cost_pin_to(f->b, site);
        if (server) {
            serve(f, site, from[1]);
        } else {
            ask(f, site, to[0], from[1]);
        }
        _exit(0);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    c->in = from[0];
    c->out = to[1];
    if (c->pid < 0) {
        say_error("no process: %s", strerror(errno));
    }
    return c->pid > 0;
}

static void bury(struct child *c)
{
    if (c->pid <= 0) {
        return;
    }
    (void)close(c->in);
    (void)close(c->out);
    (void)kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static bool all_ready(struct family *f)
{
    char byte;
    bool ok = true;

    for (size_t i = 0; ok && i < f->u->server_count; i++) {
        ok = bear(f, f->u->servers[i], true, &f->servers[i]) &&
             get(f->servers[i].in, &byte, 1);
    }
    for (size_t i = 0; ok && i < f->u->client_count; i++) {
        ok = bear(f, f->u->clients[i], false, &f->clients[i]) &&
             get(f->clients[i].in, &byte, 1);
    }
    return ok;
}

static uint64_t cost_of_servers(const struct family *f)
{
    uint64_t all = cost_of_sites(f->b->cluster);

    for (size_t i = 0; i < f->u->server_count; i++) {
        all += cost_of(f->servers[i].pid);
    }
    return all;
}

static bool go(struct family *f, struct bench_figures *out)
{
    const uint64_t before = cost_of_servers(f);

    for (size_t i = 0; i < f->u->client_count; i++) {
        if (!put(f->clients[i].out, "", 1)) {
            return false;
        }
    }
    for (size_t i = 0; i < f->u->client_count; i++) {
        struct told t;
        if (!get(f->clients[i].in, &t, sizeof t)) {
            return false;
        }
        out->count += t.ok;
        out->refused += t.refused;
        out->maybe += t.maybe;
        out->cpu_ns += t.cpu_ns;
        out->elapsed_ns =
            t.elapsed_ns > out->elapsed_ns ? t.elapsed_ns : out->elapsed_ns;
        if (!f->u->send) {
            histogram_merge(&out->latency, &t.latency);
        }
    }
    out->cpu_ns += cost_of_servers(f) - before;
    return true;
}

enum exit_code bench_users(struct bench *b, const struct bench_users *u,
                           struct bench_figures *out)
{
    struct family *f = calloc(1, sizeof *f);

    CHECK(f != NULL);
    f->b = b;
    f->u = u;
    /* A new name each time: of the last one, members may still be known. */
    (void)snprintf(f->group, sizeof f->group, "bench.user.%d.%" PRIu64,
                   (int)getpid(), ++b->families);
    *out = (struct bench_figures){0};
    histogram_init(&out->latency);
    const bool ok = all_ready(f) && go(f, out);
    for (size_t i = 0; i < u->client_count; i++) {
        bury(&f->clients[i]);
    }
    for (size_t i = 0; i < u->server_count; i++) {
        bury(&f->servers[i]);
    }
    free(f);
    if (!ok) {
        say_error("a process of the measurement ended early");
    }
    return ok ? EXIT_DONE : EXIT_FAILED;
}

enum exit_code bench_two_users(struct bench *b, bool send, uint64_t size,
                               uint64_t for_ns, struct bench_figures *out)
{
    const struct bench_users u = {.servers = {b->to},
                                  .clients = {b->from},
                                  .server_count = 1,
                                  .client_count = 1,
                                  .send = send,
                                  .size = size,
                                  .for_ns = for_ns};

    return bench_users(b, &u, out);
}
