#ifndef ATTACH_GROUND_H
#define ATTACH_GROUND_H

/* A site with its attachment server, on a loop in a thread of the test: what
 * motetd is, without a network. Also the plain test of threads runs on it. */

#include <dirent.h>
#include <errno.h>
#include <motet/motet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "nucleus/base/deadline.h"
#include "proto/attach.h"
#include "sites/host/attach.h"
#include "sites/site/site.h"

enum ground_order { GROUND_STOP = 1, GROUND_REBIRTH, GROUND_FREEZE };

struct ground {
    pthread_t thread;
    sem_t done;   /* the loop runs, or an order was carried out */
    sem_t thawed; /* a frozen loop may go on */
    uv_loop_t loop;
    uv_prepare_t turn;
    uv_timer_t timer;
    uv_async_t async;
    enum ground_order order;
    struct site *site;
    struct attach *attach;
    struct attach_limits limits;
    uint32_t queue_msgs_max; /* of the site's ports, 0: the default */
    uint32_t incarnation;
    char dir[48];
    char path[108];
    char runtime[32]; /* for $MOTET_RUNTIME_DIR */
    pthread_mutex_t lock;
    uint32_t log_lines;
    char last_log[256];
};

static inline uint64_t ground_ms(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the loop's thread ----------------------------------------------------
 */

static inline void ground_log(void *ctx, const char *text)
{
    struct ground *g = ctx;
    pthread_mutex_lock(&g->lock);
    g->log_lines++;
    (void)snprintf(g->last_log, sizeof g->last_log, "%s", text);
    pthread_mutex_unlock(&g->lock);
}

static inline uint32_t ground_logged(struct ground *g)
{
    pthread_mutex_lock(&g->lock);
    const uint32_t lines = g->log_lines;
    pthread_mutex_unlock(&g->lock);
    return lines;
}

static inline struct site *ground_site(void *ctx)
{
    return ((struct ground *)ctx)->site;
}

static inline struct site *ground_birth(struct ground *g)
{
    struct site_config cfg = site_config_default();
    cfg.site = 0x5f0c2e81;
    cfg.incarnation = ++g->incarnation;
    cfg.name = "paris";
    cfg.cluster = "ground";
    cfg.address = "127.0.0.1:7117";
    cfg.version = "0";
    cfg.insecure = true;
    cfg.seed = 7;
    cfg.secret[0] = 8;
    cfg.secret[1] = 9;
    if (g->queue_msgs_max != 0) {
        cfg.nucleus.queue_msgs_max = g->queue_msgs_max;
    }
    struct site *s = site_create(&cfg, uv_hrtime());
    CHECK(s != NULL);
    return s;
}

static inline void ground_drain(struct ground *g)
{
    const struct site_effect *e;
    while ((e = site_effect(g->site)) != NULL) {
        if (e->kind == SITE_ACTOR) {
            attach_effect(g->attach, e->actor);
        }
    }
}

static inline void ground_on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static inline void ground_on_turn(uv_prepare_t *turn)
{
    struct ground *g = turn->data;
    if (g->site == NULL) {
        return;
    }
    const struct site_in in = {.kind = SITE_IN_TICK, .now_ns = uv_hrtime()};
    site_step(g->site, &in);
    ground_drain(g);
    attach_flush(g->attach);
    const uint64_t at = site_deadline_ns(g->site);
    const uint64_t now = uv_hrtime();
    if (at == DEADLINE_NEVER) {
        uv_timer_stop(&g->timer);
        return;
    }
    uv_update_time(&g->loop);
    uv_timer_start(&g->timer, ground_on_timer,
                   at <= now ? 0 : (at - now + 999999) / 1000000, 0);
}

static inline void ground_on_order(uv_async_t *async)
{
    struct ground *g = async->data;
    if (g->order == GROUND_FREEZE) {
        sem_post(&g->done);
        while (sem_wait(&g->thawed) != 0) {
        }
        return;
    }
    if (g->order == GROUND_REBIRTH) {
        attach_rebirth(g->attach);
        site_destroy(g->site);
        g->site = ground_birth(g);
    } else {
        attach_close(g->attach);
        site_destroy(g->site);
        g->attach = NULL;
        g->site = NULL;
        uv_close((uv_handle_t *)&g->turn, NULL);
        uv_close((uv_handle_t *)&g->timer, NULL);
        uv_close((uv_handle_t *)&g->async, NULL);
    }
    sem_post(&g->done);
}

static inline void *ground_main(void *arg)
{
    struct ground *g = arg;
    char why[512];
    const struct attach_hooks hooks = {
        .ctx = g,
        .site = ground_site,
        .log = ground_log,
        .limits = &g->limits,
    };
    CHECK(uv_loop_init(&g->loop) == 0);
    CHECK(uv_prepare_init(&g->loop, &g->turn) == 0);
    CHECK(uv_timer_init(&g->loop, &g->timer) == 0);
    CHECK(uv_async_init(&g->loop, &g->async, ground_on_order) == 0);
    g->turn.data = g;
    g->async.data = g;
    uv_prepare_start(&g->turn, ground_on_turn);
    g->site = ground_birth(g);
    g->attach = attach_open(&g->loop, g->path, NULL, &hooks, why, sizeof why);
    if (g->attach == NULL) {
        (void)fprintf(stderr, "%s\n", why);
    }
    CHECK(g->attach != NULL);
    sem_post(&g->done);
    (void)uv_run(&g->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&g->loop) == 0);
    return NULL;
}

/* ---- the test's thread ----------------------------------------------------
 */

static inline void ground_wait(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
        CHECK(errno == EINTR);
    }
}

static inline void ground_start(struct ground *g)
{
    CHECK(sem_init(&g->done, 0, 0) == 0 && sem_init(&g->thawed, 0, 0) == 0);
    CHECK(pthread_mutex_init(&g->lock, NULL) == 0);
    if (g->limits.connections_max == 0) {
        g->limits = attach_limits_default();
    }
    (void)snprintf(g->runtime, sizeof g->runtime, "/tmp/motet-test-XXXXXX");
    CHECK(mkdtemp(g->runtime) != NULL);
    (void)snprintf(g->dir, sizeof g->dir, "%s/ground", g->runtime);
    (void)snprintf(g->path, sizeof g->path, "%s/paris.sock", g->dir);
    CHECK(pthread_create(&g->thread, NULL, ground_main, g) == 0);
    ground_wait(&g->done);
}

static inline void ground_tell(struct ground *g, enum ground_order order)
{
    g->order = order;
    CHECK(uv_async_send(&g->async) == 0);
    ground_wait(&g->done);
}

static inline void ground_thaw(struct ground *g)
{
    sem_post(&g->thawed);
}

static inline void ground_stop(struct ground *g)
{
    ground_tell(g, GROUND_STOP);
    CHECK(pthread_join(g->thread, NULL) == 0);
    (void)rmdir(g->dir);
    (void)rmdir(g->runtime);
}

static inline struct motet *ground_attach(struct ground *g)
{
    struct motet *m;
    const enum motet_err err = motet_attach(g->path, &m);
    if (err != MOTET_OK) {
        (void)fprintf(stderr, "attach: %s\n", motet_err_name(err));
    }
    CHECK(err == MOTET_OK);
    return m;
}

static inline struct motet_port *ground_port(struct motet *m, const char *name)
{
    struct motet_port *port;
    CHECK(motet_port_create(m, name, &port) == MOTET_OK);
    return port;
}

/* A socket without the library: a peer that may say anything. */
static inline int ground_raw(const struct ground *g)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", g->path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    return fd;
}

#endif
