#ifndef TRANSPORT_GROUND_H
#define TRANSPORT_GROUND_H

/* What the tests of the driver stand on: one loop, a directory of certificates,
 * and two ends that write down what they are told. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "deploy/pki/pki.h"
#include "deploy/pki/x509.h"
#include "netmgr/uv/transport.h"
#include "netmgr/uv/transport_limits.h"

enum { PATIENCE_MS = 8000, PATH_BYTES = 160 };

struct end {
    struct transport *t;
    bool echo;
    bool inside; /* in a call of the driver: nothing may be told */
    unsigned ups;
    unsigned downs;
    unsigned fails;
    unsigned refusals;
    unsigned suppressed;
    uint64_t conn;
    uint64_t peer;
    uint64_t dial;
    size_t received;
    size_t drained;
    uint64_t wrong; /* bytes that were not as expected */
    char why[512];
};

struct ground {
    uv_loop_t loop;
    uv_timer_t timer;
    bool late;
    char dir[PATH_BYTES];
    struct transport_limits limits;
    bool insecure;
    const char *detour; /* or NULL */
    struct end a;
    struct end b;
};

static inline uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7);
}

static inline void on_up(void *ctx, uint64_t conn, uint64_t peer, uint64_t dial,
                         const char *addr)
{
    struct end *e = ctx;
    cr_assert(!e->inside);
    cr_assert(strncmp(addr, "127.0.0.1:", 10) == 0 ||
              strncmp(addr, "localhost:", 10) == 0);
    e->ups++;
    e->conn = conn;
    e->peer = peer;
    e->dial = dial;
}

static inline void on_bytes(void *ctx, uint64_t conn, const uint8_t *data,
                            size_t size)
{
    struct end *e = ctx;
    cr_assert(!e->inside);
    for (size_t i = 0; i < size; i++) {
        e->wrong += data[i] != pattern(e->received + i);
    }
    e->received += size;
    if (e->echo) {
        transport_write(e->t, conn, data, size);
    }
}

static inline void on_drained(void *ctx, uint64_t conn, size_t size)
{
    struct end *e = ctx;
    cr_assert(!e->inside);
    cr_assert_eq(conn, e->conn);
    e->drained += size;
}

static inline void on_down(void *ctx, uint64_t conn)
{
    struct end *e = ctx;
    (void)conn;
    cr_assert(!e->inside);
    e->downs++;
}

static inline void on_dial_failed(void *ctx, uint64_t dial, const char *why)
{
    struct end *e = ctx;
    cr_assert(!e->inside);
    e->fails++;
    e->dial = dial;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
}

static inline void on_refused(void *ctx, const char *addr, const char *why,
                              uint32_t suppressed)
{
    struct end *e = ctx;
    (void)addr;
    cr_assert(!e->inside);
    e->refusals++;
    e->suppressed += suppressed;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
}

static inline void on_late(uv_timer_t *timer)
{
    struct ground *g = timer->data;
    g->late = true;
}

/* Turns the loop until `*count` is `want`; fails the test after a while. */
static inline void turn_until(struct ground *g, const unsigned *count,
                              unsigned want)
{
    g->late = false;
    uv_timer_start(&g->timer, on_late, PATIENCE_MS, 0);
    while (*count < want && !g->late) {
        uv_run(&g->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&g->timer);
    cr_assert(!g->late, "waited for %u, have %u; a: %s; b: %s", want, *count,
              g->a.why, g->b.why);
}

static inline void turn_until_size(struct ground *g, const size_t *size,
                                   size_t want)
{
    g->late = false;
    uv_timer_start(&g->timer, on_late, PATIENCE_MS, 0);
    while (*size < want && !g->late) {
        uv_run(&g->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&g->timer);
    cr_assert(!g->late, "waited for %zu, have %zu", want, *size);
}

static inline const char *path(const struct ground *g, const char *file,
                               char *out)
{
    (void)snprintf(out, PATH_BYTES, "%.100s/%.50s", g->dir, file);
    return out;
}

static inline void issue(struct ground *g, const char *name)
{
    char why[256] = "";
    cr_assert(pki_make_authority(g->dir, "lab", 30, why, sizeof why), "%s",
              why);
    cr_assert(pki_issue(g->dir, "lab", name, PKI_SITE, 7, why, sizeof why),
              "%s", why);
}

static inline void begin(struct ground *g)
{
    memset(g, 0, sizeof *g);
    (void)snprintf(g->dir, sizeof g->dir, "/tmp/motet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(g->dir));
    cr_assert_eq(uv_loop_init(&g->loop), 0);
    uv_timer_init(&g->loop, &g->timer);
    g->timer.data = g;
    g->limits = transport_limits_default;
    g->limits.refusal_ms = 0;
    issue(g, "a");
    issue(g, "b");
}

/* As the site `name` with the certificates of `ca` (a file name). */
static inline struct transport *open_as(struct ground *g, struct end *e,
                                        const char *cluster, const char *name,
                                        const char *ca, char *why)
{
    char files[3][PATH_BYTES];
    char cert[64];
    char key[64];
    (void)snprintf(cert, sizeof cert, "%.40s.pem", name);
    (void)snprintf(key, sizeof key, "%.40s.key", name);
    const struct transport_config cfg = {.loop = &g->loop,
                                         .listen = "127.0.0.1:0",
                                         .cluster = cluster,
                                         .insecure = g->insecure,
                                         .ca_file = path(g, ca, files[0]),
                                         .cert_file = path(g, cert, files[1]),
                                         .key_file = path(g, key, files[2]),
                                         .detour = g->detour,
                                         .events = {on_up, on_bytes, on_drained,
                                                    on_down, on_dial_failed,
                                                    on_refused, NULL},
                                         .ctx = e};
    e->t = transport_open_limited(&cfg, &g->limits, why, 256);
    return e->t;
}

static inline void open_both(struct ground *g)
{
    char why[256] = "";
    cr_assert_not_null(open_as(g, &g->a, "lab", "a", "ca.pem", why), "%s", why);
    cr_assert_not_null(open_as(g, &g->b, "lab", "b", "ca.pem", why), "%s", why);
}

/* a dials b; nothing may be told from inside the call. */
static inline void dial(struct ground *g, uint64_t peer, const char *addr)
{
    g->a.inside = true;
    transport_dial(g->a.t, 77, peer, addr);
    g->a.inside = false;
}

static inline void meet(struct ground *g)
{
    open_both(g);
    dial(g, transport_site(g->b.t), transport_address(g->b.t));
    turn_until(g, &g->a.ups, 1);
    turn_until(g, &g->b.ups, 1);
}

static inline void send_pattern(struct end *e, size_t from, size_t size)
{
    uint8_t *data = malloc(size);
    cr_assert_not_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = pattern(from + i);
    }
    e->inside = true;
    transport_write(e->t, e->conn, data, size);
    e->inside = false;
    free(data);
}

/* Everything is closed, and the loop agrees. */
static inline void finish(struct ground *g)
{
    char command[PATH_BYTES + 16];
    struct end *ends[] = {&g->a, &g->b};
    for (size_t i = 0; i < 2; i++) {
        if (ends[i]->t != NULL) {
            ends[i]->inside = true; /* for good: no events after this */
            transport_close(ends[i]->t);
        }
    }
    uv_close((uv_handle_t *)&g->timer, NULL);
    while (uv_run(&g->loop, UV_RUN_DEFAULT) != 0) {
    }
    cr_assert_eq(uv_loop_close(&g->loop), 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", g->dir);
    cr_assert_eq(system(command), 0);
}

/* A plain socket connected to an end. */
static inline int stranger(const struct end *e)
{
    const char *addr = transport_address(e->t);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)atoi(strrchr(addr, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

#endif
