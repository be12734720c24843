#include "attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach_inside.h"
#include "nucleus/base/ui.h"

struct attach_limits attach_limits_default(void)
{
    return (struct attach_limits){
        .connections_max = 1024,
        .greeting_ms_max = 3000,
        .out_bytes_max = 1 << 20,
        .receives_max = 256,
        .sends_max = 4096,
        .calls_max = 4096,
        .held_max = 4096,
        .ports_max = 65536,
        .watches_max = 4096,
        .memory_bytes_max = 64 << 20,
    };
}

struct site *peer_site(const struct peer *p)
{
    const struct attach_hooks *hooks = &p->server->hooks;
    return hooks->site(hooks->ctx);
}

/* ---- the end of a peer --------------------------------------------------
 */

static void on_idle(uv_idle_t *idle)
{
    attach_flush(idle->data);
}

void guest_dirty(struct peer *p)
{
    if (!p->ended && !list_linked(&p->dirty)) {
        list_append(&p->server->dirty, &p->dirty);
        uv_idle_start(&p->server->idle, on_idle);
    }
}

void peer_doom(struct peer *p, const char *why)
{
    if (!p->doomed) {
        p->doomed = true;
        p->why = why;
        guest_dirty(p);
    }
}

static void handle_closed(struct attach *a)
{
    CHECK(a->handles > 0);
    a->handles--;
    if (a->handles == 0) {
        CHECK(a->closed);
        map_fini(&a->by_actor);
        map_fini(&a->by_call);
        map_fini(&a->by_send);
        CHECK(a->mem.used_bytes == 0);
        free(a);
    }
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    struct attach *a = p->server;
    mem_free(&a->mem, p, sizeof *p);
    handle_closed(a);
}

void peer_call_free(struct attach_call *call)
{
    struct peer *p = call->peer;
    (void)map_remove(&p->server->by_call, call->call, 0);
    list_remove(&call->link);
    p->call_count--;
    mem_free(&p->server->mem, call, sizeof *call);
}

void peer_send_free(struct attach_send *send)
{
    struct peer *p = send->peer;
    (void)map_remove(&p->server->by_send, send->token, 0);
    list_remove(&send->link);
    p->send_count--;
    mem_free(&p->server->mem, send, sizeof *send);
}

static void log_end(struct peer *p, const char *why)
{
    char line[ATTACH_LOG_MAX];
    const struct attach_hooks *hooks = &p->server->hooks;
    (void)snprintf(line, sizeof line,
                   "attachment of process %ld, user %u: closed: %s",
                   (long)p->pid, p->pi.uid, why);
    hooks->log(hooks->ctx, line);
}

/* All of it but the actor in the site. */
static void peer_release(struct peer *p)
{
    struct attach *a = p->server;
    peer_drop_out(p);
    buf_unref(p->data);
    p->data = NULL;
    ask_free_all(p);
    peer_moves_free(p);
    list_foreach (it, &p->calls) {
        peer_call_free(LIST_ENTRY(it, struct attach_call, link));
    }
    if (p->attached) {
        (void)map_remove(&a->by_actor, p->actor.hi, p->actor.lo);
    }
    list_remove(&p->dirty);
    list_remove(&p->link);
    a->peer_count--;
    p->ended = true;
    p->doomed = true;
    uv_close((uv_handle_t *)&p->poll, on_peer_closed);
    close(p->fd);
    p->fd = -1;
}

void peer_end(struct peer *p, enum motet_news news, const char *why)
{
    if (p->ended) {
        return;
    }
    if (p->attached && peer_site(p) != NULL) {
        struct nuc_in in = {.kind = NUC_ACTOR_END, .news = news};
        struct nuc_out out;
        if (guest_op(p, &in, &out) != MOTET_OK) {
            why = "its actor had ended before";
        }
        uv_idle_start(&p->server->idle, on_idle);
    }
    if (why != NULL) {
        log_end(p, why);
    }
    peer_release(p);
}

/* ---- events -------------------------------------------------------------
 */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct peer *p = poll->data;
    if (p->ended) {
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        p->blocked = false;
        guest_dirty(p);
    }
    if (status < 0) {
        p->polled = -1; /* libuv looks no more; there may be more to read */
    }
    if (status < 0 || (events & UV_READABLE) != 0) {
        peer_read(p);
    }
    const struct attach_hooks *hooks = &p->server->hooks;
    if (hooks->after_op != NULL && p->server->worked) {
        p->server->worked = false;
        hooks->after_op(hooks->ctx);
    }
}

void peer_poll(struct peer *p)
{
    int wanted = p->blocked ? UV_WRITABLE : 0;
    if (!peer_over(p) && !p->last && !list_linked(&p->frozen)) {
        wanted |= UV_READABLE;
    }
    if (wanted != p->polled && !p->ended) {
        p->polled = wanted;
        CHECK(uv_poll_start(&p->poll, wanted, on_poll) == 0);
    }
}

static void flush_peer(struct peer *p)
{
    if (!p->doomed && !p->blocked) {
        peer_write(p);
    }
    if (p->doomed) {
        peer_end(p, MOTET_NEWS_CRASHED, p->why);
        return;
    }
    if (p->last && (list_empty(&p->out) || p->blocked)) {
        peer_end(p, MOTET_NEWS_CLOSED, NULL);
        return;
    }
    if (peer_site(p) != NULL) {
        ask_balance(p);
    }
    peer_poll(p);
}

void attach_flush(struct attach *a)
{
    if (a == NULL || a->closed) {
        return;
    }
    guests_look(a);
    const struct list *last = a->dirty.prev; /* newcomers wait a turn */
    while (!list_empty(&a->dirty)) {
        struct list *it = list_first(&a->dirty);
        list_remove(it);
        flush_peer(LIST_ENTRY(it, struct peer, dirty));
        if (it == last) {
            break;
        }
    }
    const bool worked = a->worked;
    a->worked = false;
    if (worked && a->hooks.after_op != NULL) {
        a->hooks.after_op(a->hooks.ctx);
    }
    /* One more turn without sleep: for what was left, and so that the host
     * takes the effects of what was done here. */
    if (!worked && list_empty(&a->dirty)) {
        uv_idle_stop(&a->idle);
    } else {
        uv_idle_start(&a->idle, on_idle);
    }
}

static void on_sent(struct peer *p, const struct nuc_effect *e)
{
    struct attach_send *send = map_get(&p->server->by_send, e->token, 0);
    if (send == NULL || send->peer != p || !ui_equal(send->port, e->port)) {
        return; /* begun by an earlier owner of the port: it was told */
    }
    const struct attach_frame f = {
        .op = ATTACH_SENT, .id = send->id, .err = e->err};
    peer_send_free(send);
    peer_push(p, &f, NULL);
}

static void on_call_done(struct peer *p, const struct nuc_effect *e)
{
    struct attach_call *call = map_get(&p->server->by_call, e->call, 0);
    if (call == NULL || call->peer != p || !ui_equal(call->port, e->port)) {
        return; /* begun by an earlier owner of the port: it was told */
    }
    const bool reply = e->err == MOTET_OK;
    const struct attach_frame f = {
        .op = ATTACH_CALL_DONE,
        .id = call->id,
        .err = e->err,
        .source = e->src,
        .annex_bytes = reply ? e->msg.annex_bytes : 0,
        .total = reply ? msg_bytes(&e->msg) : 0,
    };
    peer_call_free(call);
    peer_push(p, &f, reply ? e->msg.data : NULL);
}

/* What was not asked for. */
static void on_event(struct peer *p, const struct nuc_effect *e)
{
    struct attach_frame f = {.port = e->port};
    if (e->kind == NUC_ROOM) {
        f.op = ATTACH_ROOM;
        f.target = e->dst;
    } else if (e->kind == NUC_CANCELLED) {
        f.op = ATTACH_CANCELLED;
        f.held = e->held;
        p->held_count -= p->held_count > 0;
    } else if (e->kind == NUC_PORT_GONE) {
        f.op = ATTACH_PORT_GONE;
        p->port_count -= p->port_count > 0;
    } else {
        return; /* between machines; not for actors */
    }
    peer_push(p, &f, NULL);
}

void attach_effect(struct attach *a, const struct nuc_effect *e)
{
    struct peer *p =
        a != NULL ? map_get(&a->by_actor, e->actor.hi, e->actor.lo) : NULL;
    if (p == NULL) {
        return; /* it has gone meanwhile */
    }
    if (e->kind == NUC_DELIVER) {
        ask_delivered(p, e);
    } else if (e->kind == NUC_RECEIVE_END) {
        ask_ended(p, e);
    } else if (e->kind == NUC_SENT) {
        on_sent(p, e);
    } else if (e->kind == NUC_CALL_DONE) {
        on_call_done(p, e);
    } else if (e->kind == NUC_PORT_ADOPTED) {
        guest_adopted(p, e);
    } else if (e->kind == NUC_PORT_MOVED) {
        guest_moved(p, e);
    } else {
        on_event(p, e);
    }
}

/* ---- newcomers ----------------------------------------------------------
 */

static void on_greeting(uv_timer_t *timer)
{
    struct attach *a = timer->data;
    const uint64_t now_ms = uv_now(a->loop);
    bool waiting = false;
    list_foreach (it, &a->peers) {
        struct peer *p = LIST_ENTRY(it, struct peer, link);
        if (p->attached) {
            continue;
        }
        if (now_ms - p->born_ms >= a->limits.greeting_ms_max) {
            peer_doom(p, "did not say hello in time");
        } else {
            waiting = true;
        }
    }
    if (!waiting) {
        uv_timer_stop(timer);
    }
}

/* What it has sent is read first, or it would not see the answer. */
static void turn_away(struct attach *a, int fd, enum motet_err err)
{
    (void)recv(fd, a->in, sizeof a->in, MSG_DONTWAIT);
    socket_gone(fd, err);
    close(fd);
}

static enum motet_err admit(struct attach *a, int fd, pid_t pid,
                            const struct motet_pi *pi)
{
    if (!socket_may_come(a, pi->uid)) {
        return MOTET_E_PERMISSION;
    }
    if (a->peer_count >= a->limits.connections_max) {
        return MOTET_E_LIMIT;
    }
    struct peer *p = mem_alloc(&a->mem, sizeof *p);
    if (p == NULL || uv_poll_init(a->loop, &p->poll, fd) != 0) {
        mem_free(&a->mem, p, sizeof *p);
        return MOTET_E_NO_MEMORY;
    }
    p->poll.data = p;
    p->server = a;
    p->fd = fd;
    p->pid = pid;
    p->pi = *pi;
    p->born_ms = uv_now(a->loop);
    list_init(&p->out);
    list_init(&p->asks);
    list_init(&p->calls);
    list_init(&p->sends);
    list_append(&a->peers, &p->link);
    a->peer_count++;
    a->handles++;
    peer_poll(p);
    if (!uv_is_active((uv_handle_t *)&a->greeting)) {
        const uint64_t step_ms = a->limits.greeting_ms_max / 4 + 1;
        uv_timer_start(&a->greeting, on_greeting, step_ms, step_ms);
    }
    return MOTET_OK;
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
    struct attach *a = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ATTACH_ACCEPTS_PER_TURN; i++) {
        struct motet_pi pi;
        pid_t pid;
        const int fd = socket_accept(a, &pid, &pi);
        if (fd < 0) {
            return;
        }
        const enum motet_err err = admit(a, fd, pid, &pi);
        if (err != MOTET_OK) {
            turn_away(a, fd, err);
        }
    }
}

/* ---- open and close -----------------------------------------------------
 */

static void open_handles(struct attach *a)
{
    CHECK(uv_poll_init(a->loop, &a->listener, a->fd) == 0);
    CHECK(uv_idle_init(a->loop, &a->idle) == 0);
    CHECK(uv_timer_init(a->loop, &a->greeting) == 0);
    a->listener.data = a;
    a->idle.data = a;
    a->greeting.data = a;
    a->handles = 3;
    CHECK(uv_poll_start(&a->listener, UV_READABLE, on_listen) == 0);
}

struct attach *attach_open(uv_loop_t *loop, const char *path,
                           const struct config_list *allow,
                           const struct attach_hooks *hooks, char *why,
                           size_t why_size)
{
    struct attach *a = calloc(1, sizeof *a);
    if (a == NULL) {
        (void)snprintf(why, why_size, "no memory for the attachment");
        return NULL;
    }
    a->loop = loop;
    a->hooks = *hooks;
    a->limits =
        hooks->limits != NULL ? *hooks->limits : attach_limits_default();
    a->hooks.limits = NULL;
    if (!socket_open(a, path, allow, why, why_size)) {
        socket_close(a);
        free(a);
        return NULL;
    }
    mem_init(&a->mem, a->limits.memory_bytes_max);
    map_init(&a->by_actor, &a->mem, uv_hrtime());
    map_init(&a->by_call, &a->mem, uv_hrtime());
    map_init(&a->by_send, &a->mem, uv_hrtime());
    if (uv_random(NULL, NULL, &a->last_token, sizeof a->last_token, 0, NULL) !=
        0) {
        a->last_token = uv_hrtime() << 20;
    }
    list_init(&a->peers);
    list_init(&a->dirty);
    list_init(&a->frozen);
    list_init(&a->lates);
    open_handles(a);
    return a;
}

static void end_all(struct attach *a, enum motet_err err)
{
    list_foreach (it, &a->peers) {
        struct peer *p = LIST_ENTRY(it, struct peer, link);
        peer_gone(p, err);
        peer_release(p);
    }
}

void attach_rebirth(struct attach *a)
{
    if (a != NULL) {
        end_all(a, MOTET_E_STALE);
    }
}

static void on_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void attach_close(struct attach *a)
{
    if (a == NULL) {
        return;
    }
    a->closed = true;
    end_all(a, MOTET_E_DETACHED);
    uv_close((uv_handle_t *)&a->listener, on_closed);
    uv_close((uv_handle_t *)&a->idle, on_closed);
    uv_close((uv_handle_t *)&a->greeting, on_closed);
    socket_close(a);
}

uint32_t attach_count(const struct attach *a)
{
    return a != NULL ? a->peer_count : 0;
}
