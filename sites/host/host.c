#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "dump.h"
#include "host_inside.h"
#include "life.h"
#include "log.h"
#include "netmgr/uv/cipher.h"
#include "netmgr/uv/transport.h"
#include "notify.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/hash.h"
#include "report.h"
#include "sites/actors/actors.h"
#include "state.h"

enum {
    STALL_MS = 250,   /* a turn later than this is told to membership */
    LEAVE_MS = 1000,  /* time for what was written when leaving */
    STATUS_MS = 1000, /* between looks at READY and STATUS */
};

static void end_with(struct host *h, enum host_end end, const char *why)
{
    if (h->end == HOST_RUNNING) {
        h->end = end;
        snprintf(h->why, sizeof h->why, "%s", why);
    }
    uv_stop(&h->loop);
}

/* ---- effects ---------------------------------------------------------------
 */

static void on_refused(struct host *h, const struct site_log *l)
{
    char text[CONFIG_WHY_MAX];

    if (h->ready) {
        return; /* one member's opinion; the cluster has taken this site */
    }
    snprintf(text, sizeof text, "the cluster refused this site: %s (%s)",
             l->detail[0] != '\0' ? l->detail : motet_err_text(l->err),
             motet_err_text(l->err));
    end_with(h, HOST_REFUSED, text);
}

static void take_datagrams(struct host *h)
{
    char why[CONFIG_WHY_MAX];

    if (!transport_take_datagrams(h->transport, why, sizeof why)) {
        log_line(&h->log, LOG_WARN, "%s", why);
    }
}

static void on_effect(struct host *h, const struct site_effect *e)
{
    switch (e->kind) {
    case SITE_DIAL:
        transport_dial(h->transport, e->dial | host_dial_mark(h), e->peer,
                       e->addr);
        break;
    case SITE_WRITE:
        transport_write(h->transport, e->conn, e->bytes, e->size);
        break;
    case SITE_CLOSE:
        transport_close_conn(h->transport, e->conn);
        break;
    case SITE_DATAGRAM:
        transport_datagram(h->transport, &e->to, e->bytes, e->size);
        break;
    case SITE_ACTOR:
        attach_effect(h->attach, e->actor);
        break;
    case SITE_LOG:
        report_log(&h->log, &e->log);
        break;
    case SITE_REBIRTH:
        h->rebirth = true;
        h->least = e->incarnation;
        break;
    case SITE_LEAVE:
        host_stop(h);
        break;
    case SITE_DATAGRAMS:
        take_datagrams(h);
        break;
    case SITE_REFUSED:
        on_refused(h, &e->log);
        break;
    }
}

static void drain(struct host *h)
{
    const struct site_effect *e;

    while ((e = site_effect(h->site)) != NULL) {
        on_effect(h, e);
    }
}

void host_feed(struct host *h, struct site_in *in)
{
    in->now_ns = uv_hrtime();
    if (h->site != NULL) {
        site_step(h->site, in);
    }
}

/* ---- a life ----------------------------------------------------------------
 */

static bool spawn_all(struct host *h)
{
    for (uint32_t i = 0; i < h->spawn_count; i++) {
        const struct host_spawn *p = &h->spawns[i];
        enum motet_err err = site_spawn(h->site, p->table, p->name, p->args);
        if (err != MOTET_OK) {
            snprintf(h->why, sizeof h->why, "cannot start actor %s: %s",
                     p->name, motet_err_text(err));
            return false;
        }
    }
    return true;
}

/* What may move here: the kinds that are started here, and those built in. */
static const struct motet_supervisor *kind_of(void *ctx, const char *name)
{
    const struct host *h = ctx;

    for (uint32_t i = 0; i < h->spawn_count; i++) {
        if (strcmp(h->spawns[i].table->name, name) == 0) {
            return h->spawns[i].table;
        }
    }
    return actor_builtin(name);
}

static bool be_born(struct host *h)
{
    struct site_config c;

    if (!life_config(h->cfg, transport_address(h->transport), &c)) {
        snprintf(h->why, sizeof h->why, "the system gave no randomness");
        return false;
    }
    c.site = h->site_id;
    c.incarnation = h->state.incarnation;
    c.trace_ring = h->ring;
    c.actor_kind = kind_of;
    c.actor_ctx = h;
    c.transport = h->cfg->transport_code;
    c.ways = h->cfg->ways;
    c.way_count = h->cfg->way_count;
    c.aead = h->aead;
    c.chacha = !cipher_aes_is_fast();
    h->lives++;
    h->site = site_create(&c, uv_hrtime());
    if (h->site == NULL) {
        snprintf(h->why, sizeof h->why, "memory: %s is too little",
                 h->cfg->memory);
        return false;
    }
    return spawn_all(h);
}

static void be_reborn(struct host *h)
{
    h->rebirth = false;
    h->ready = false;
    attach_rebirth(h->attach);
    site_destroy(h->site);
    h->site = NULL;
    transport_drop_all(h->transport);
    if (!state_next(&h->state, h->least, h->why, sizeof h->why) ||
        !be_born(h)) {
        char why[CONFIG_WHY_MAX];
        snprintf(why, sizeof why, "%s", h->why);
        end_with(h, HOST_FAILED, why);
        return;
    }
    log_line(&h->log, LOG_NOTE, "born again as incarnation %u",
             h->state.incarnation);
}

/* ---- a turn ----------------------------------------------------------------
 */

static void on_timer(uv_timer_t *t)
{
    struct host *h = t->data;
    h->armed_ns = 0; /* it only ends the sleep: on_turn() does the work */
}

static void on_idle(uv_idle_t *i)
{
    (void)i;
}

static void arm(struct host *h, uint64_t now_ns)
{
    uint64_t at = site_deadline_ns(h->site);

    h->due_ns = at;
    if (at <= now_ns) {
        uv_idle_start(&h->busy, on_idle);
        return;
    }
    uv_idle_stop(&h->busy);
    if (at == DEADLINE_NEVER) {
        uv_timer_stop(&h->timer);
        h->armed_ns = 0;
        return;
    }
    if (h->armed_ns > now_ns && h->armed_ns <= at) {
        return; /* it comes early, and is armed again then */
    }
    h->armed_ns = at;
    uint64_t ms = (at - now_ns + 999999) / 1000000;
    uv_update_time(&h->loop);
    uv_timer_start(&h->timer, on_timer, ms, 0);
}

static void look_for_stall(struct host *h, uint64_t now_ns)
{
    const uint64_t stall_ns = (uint64_t)STALL_MS * 1000000;

    if (h->due_ns != DEADLINE_NEVER && h->due_ns != 0 &&
        now_ns > h->due_ns + stall_ns) {
        host_feed(h, &(struct site_in){.kind = SITE_IN_STALL,
                                       .late_ns = now_ns - h->due_ns});
    }
}

void host_work(struct host *h)
{
    h->fed = 0;
    host_feed(h, &(struct site_in){.kind = SITE_IN_TICK});
    drain(h);
    attach_flush(h->attach);
    transport_flush(h->transport);
}

/* The end of a turn, just before the loop would sleep. */
static void on_turn(uv_prepare_t *p)
{
    struct host *h = p->data;

    if (h->site == NULL || h->end != HOST_RUNNING) {
        return;
    }
    look_for_stall(h, uv_hrtime());
    host_work(h);
    if (h->rebirth && h->stops == 0) {
        be_reborn(h);
    }
    if (h->site != NULL) {
        arm(h, uv_hrtime());
    }
}

/* ---- the attachment --------------------------------------------------------
 */

static struct site *attach_site(void *ctx)
{
    return ((struct host *)ctx)->site;
}

static void attach_log(void *ctx, const char *text)
{
    log_line(&((struct host *)ctx)->log, LOG_WARN, "%s", text);
}

/* ---- ready, and the end ----------------------------------------------------
 */

static void feed_watchdog(struct host *h)
{
    uint64_t period = h->cfg->managed ? notify_watchdog_ms() : 0;
    uint64_t now = uv_now(&h->loop);

    if (period > 0 && now >= h->watchdog_at_ms) {
        notify("WATCHDOG=1");
        h->watchdog_at_ms = now + period;
    }
}

static void on_status(uv_timer_t *t)
{
    struct host *h = t->data;
    char text[128];
    uint64_t lowest;

    if (h->site == NULL || h->end != HOST_RUNNING) {
        return;
    }
    feed_watchdog(h);
    uint32_t alive = members_alive(site_members(h->site), &lowest);
    if (h->ready || (site_config(h->site)->seed_count > 0 && alive < 2)) {
        return;
    }
    h->ready = true;
    snprintf(text, sizeof text, "READY=1\nSTATUS=%u sites alive", alive);
    if (h->cfg->managed) {
        notify(text);
    }
    log_line(&h->log, LOG_NOTE, "ready: %u %s alive, incarnation %u", alive,
             alive == 1 ? "site" : "sites", h->state.incarnation);
}

static void on_left(uv_timer_t *t)
{
    end_with(t->data, HOST_STOPPED, "");
}

static void dump_all(struct host *h)
{
    for (uint32_t i = 0; h->cfg->dump != NULL && i < h->spawn_count; i++) {
        const struct host_spawn *p = &h->spawns[i];
        char why[CONFIG_WHY_MAX];
        if (!dump_state(h->site, p->table, p->name, h->cfg->dump, why,
                        sizeof why)) {
            log_line(&h->log, LOG_WARN, "%s", why);
        }
    }
}

static void on_stop(uv_async_t *a)
{
    struct host *h = a->data;

    if (h->stops++ > 0 || h->site == NULL) {
        end_with(h, HOST_STOPPED, "");
        return;
    }
    if (h->cfg->managed) {
        notify("STOPPING=1");
    }
    log_line(&h->log, LOG_NOTE, "leaving");
    dump_all(h);
    host_feed(h, &(struct site_in){.kind = SITE_IN_LEAVE});
    drain(h);
    transport_flush(h->transport);
    uv_timer_start(&h->leaving, on_left, LEAVE_MS / 10, 0);
}

void host_reload(struct host *h)
{
    char why[CONFIG_WHY_MAX];

    if (transport_reload(h->transport, why, sizeof why)) {
        log_line(&h->log, LOG_NOTE, "certificates loaded again");
    } else {
        log_line(&h->log, LOG_WARN, "certificates kept as they were: %s", why);
    }
    transport_drop_direct(h->transport); /* a relay may listen now */
}

void host_stop(struct host *h)
{
    uv_async_send(&h->stop);
}

/* ---- open and close --------------------------------------------------------
 */

static void open_handles(struct host *h)
{
    CHECK(uv_loop_init(&h->loop) == 0);
    CHECK(uv_prepare_init(&h->loop, &h->turn) == 0);
    CHECK(uv_idle_init(&h->loop, &h->busy) == 0);
    CHECK(uv_timer_init(&h->loop, &h->timer) == 0);
    CHECK(uv_timer_init(&h->loop, &h->status) == 0);
    CHECK(uv_timer_init(&h->loop, &h->leaving) == 0);
    CHECK(uv_async_init(&h->loop, &h->stop, on_stop) == 0);
    h->turn.data = h;
    h->timer.data = h;
    h->status.data = h;
    h->leaving.data = h;
    h->stop.data = h;
    uv_prepare_start(&h->turn, on_turn);
    uv_timer_start(&h->status, on_status, 10, STATUS_MS / 20);
}

static bool open_attach(struct host *h, char *why)
{
    const struct attach_hooks hooks = {
        .ctx = h, .site = attach_site, .log = attach_log};

    if (h->cfg->socket == NULL) {
        return true;
    }
    h->attach = attach_open(&h->loop, h->cfg->socket, &h->cfg->allow, &hooks,
                            why, CONFIG_WHY_MAX);
    return h->attach != NULL;
}

struct host *host_open(const struct config *cfg, char *why)
{
    struct host *h = calloc(1, sizeof *h);

    CHECK(h != NULL);
    h->cfg = cfg;
    log_init(&h->log, cfg->name, cfg->log);
    if (!state_open(&h->state, cfg->state_dir, 0, why, CONFIG_WHY_MAX)) {
        free(h);
        return NULL;
    }
    open_handles(h);
    h->aead = cipher_new(cfg->insecure);
    h->ring = calloc(TRACE_RING, sizeof *h->ring);
    if (h->ring == NULL || !host_open_transport(h, why) ||
        !open_attach(h, why)) {
        host_close(h);
        return NULL;
    }
    return h;
}

bool host_actor(struct host *h, const struct motet_supervisor *table,
                const char *name, const char *args, char *why)
{
    if (h->spawn_count == HOST_ACTORS_MAX) {
        snprintf(why, CONFIG_WHY_MAX, "more than %d actors", HOST_ACTORS_MAX);
        return false;
    }
    h->spawns[h->spawn_count++] =
        (struct host_spawn){.table = table, .name = name, .args = args};
    return true;
}

enum host_end host_run(struct host *h, char *why)
{
    if (!be_born(h)) {
        snprintf(why, CONFIG_WHY_MAX, "%s", h->why);
        return HOST_FAILED;
    }
    if (h->cfg->insecure) {
        log_line(&h->log, LOG_WARN,
                 "INSECURE: no certificates, anyone may join; for benchmarks");
    }
    log_line(&h->log, LOG_NOTE, "listening on %s as site %016llx, cluster %s",
             transport_address(h->transport), (unsigned long long)h->site_id,
             h->cfg->cluster);
    while (h->end == HOST_RUNNING && uv_run(&h->loop, UV_RUN_DEFAULT) != 0) {
    }
    snprintf(why, CONFIG_WHY_MAX, "%s", h->why);
    return h->end;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void host_close(struct host *h)
{
    uv_prepare_stop(&h->turn);
    if (h->attach != NULL) {
        attach_close(h->attach);
    }
    if (h->transport != NULL) {
        transport_close(h->transport);
    }
    site_destroy(h->site);
    h->site = NULL;
    for (int i = 0; i < 100 && uv_loop_alive(&h->loop); i++) {
        if (i == 1) { /* what the parts left to themselves is closed now */
            uv_walk(&h->loop, close_handle, NULL);
        }
        uv_run(&h->loop, UV_RUN_NOWAIT);
    }
    uv_walk(&h->loop, close_handle, NULL);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&h->loop) == 0);
    state_close(&h->state);
    cipher_free(h->aead);
    free(h->ring);
    free(h);
}

const char *host_address(const struct host *h)
{
    return transport_address(h->transport);
}

struct site *host_site(struct host *h)
{
    return h->site;
}

uv_loop_t *host_loop(struct host *h)
{
    return &h->loop;
}
