#include "attach_inside.h"

/* Receives that a client has outstanding. As long as the client reads, the
 * nucleus has all of them. When more waits for it than it may (out_bytes_max),
 * they are withdrawn, so that messages stay in the queues of its ports, where
 * their limits push back at the senders; when it has read, they are posted
 * again. Their deadlines run on meanwhile. */

static struct ask *ask_find(struct peer *p, uint64_t id)
{
    list_foreach (it, &p->asks) {
        struct ask *ask = LIST_ENTRY(it, struct ask, link);
        if (ask->id == id) {
            return ask;
        }
    }
    return NULL;
}

static void ask_free(struct peer *p, struct ask *ask)
{
    list_remove(&ask->link);
    p->ask_count--;
    mem_free(&p->server->mem, ask, sizeof *ask);
}

void ask_free_all(struct peer *p)
{
    list_foreach (it, &p->asks) {
        ask_free(p, LIST_ENTRY(it, struct ask, link));
    }
}

static void tell_end(struct peer *p, uint64_t id, enum motet_err err)
{
    const struct attach_frame f = {
        .op = ATTACH_RECEIVE_END, .id = id, .err = err};
    peer_push(p, &f, NULL);
}

static void post(struct peer *p, struct ask *ask)
{
    struct nuc_in in = {
        .kind = NUC_RECEIVE,
        .port = ask->port,
        .token = ask->id,
        .deadline_ns = ask->deadline_ns,
    };
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    ask->state = ASK_POSTED;
    if (err != MOTET_OK) {
        tell_end(p, ask->id, err);
        ask_free(p, ask);
    }
}

void ask_receive(struct peer *p, const struct attach_frame *f)
{
    const struct attach_limits *limits = &p->server->limits;
    if (ask_find(p, f->id) != NULL) {
        peer_doom(p, "used the id of a receive twice");
        return;
    }
    if (p->ask_count >= limits->receives_max ||
        p->held_count >= limits->held_max) {
        tell_end(p, f->id, MOTET_E_LIMIT);
        return;
    }
    struct ask *ask = mem_alloc(&p->server->mem, sizeof *ask);
    if (ask == NULL) {
        tell_end(p, f->id, MOTET_E_NO_MEMORY);
        return;
    }
    ask->id = f->id;
    ask->port = f->port;
    ask->deadline_ns = peer_deadline(f->timeout_ms);
    ask->state = ASK_WITHHELD;
    list_append(&p->asks, &ask->link);
    p->ask_count++;
    if (!peer_over(p)) {
        post(p, ask);
    }
}

/* Its end comes as an effect; nothing to do if it ended in this moment. */
static void withdraw(struct peer *p, struct ask *ask)
{
    struct nuc_in in = {.kind = NUC_RECEIVE_STOP, .token = ask->id};
    struct nuc_out out;
    if (guest_op(p, &in, &out) == MOTET_OK) {
        ask->state = ASK_WITHDRAWN;
    }
}

void ask_stop(struct peer *p, uint64_t id)
{
    struct ask *ask = ask_find(p, id);
    if (ask == NULL) {
        return;
    }
    ask->stop = true;
    if (ask->state == ASK_POSTED) {
        withdraw(p, ask);
    } else if (ask->state == ASK_WITHHELD) {
        tell_end(p, id, MOTET_E_CANCELLED);
        ask_free(p, ask);
    }
}

void ask_balance(struct peer *p)
{
    const size_t low = p->server->limits.out_bytes_max / 2;
    const bool over = peer_over(p);
    if (!over && p->out_bytes > low) {
        return;
    }
    list_foreach (it, &p->asks) {
        struct ask *ask = LIST_ENTRY(it, struct ask, link);
        if (over && ask->state == ASK_POSTED) {
            withdraw(p, ask);
        } else if (!over && ask->state == ASK_WITHHELD) {
            post(p, ask);
        }
    }
}

static struct attach_frame delivery(const struct nuc_effect *e)
{
    const struct msg *m = &e->msg;
    return (struct attach_frame){
        .op = ATTACH_DELIVER,
        .id = e->token,
        .port = e->port,
        .source = e->src,
        .target = e->target,
        .subject = e->subject,
        .pi = m->pi,
        .held = e->held,
        .seq = e->seq,
        .remaining_ms = m->remaining_ms,
        .news = m->kind == MSG_NEWS ? (uint32_t)e->news : 0,
        .watch = e->watch,
        .annex_bytes = m->annex_bytes,
        .total = msg_bytes(m),
    };
}

static bool ends_watch(const struct nuc_effect *e)
{
    return e->msg.kind == MSG_NEWS && e->news >= MOTET_NEWS_CLOSED &&
           e->news <= MOTET_NEWS_LEFT;
}

void ask_delivered(struct peer *p, const struct nuc_effect *e)
{
    struct ask *ask = ask_find(p, e->token);
    CHECK(ask != NULL);
    ask_free(p, ask);
    if (e->held != 0) {
        p->held_count++;
    }
    if (ends_watch(e) && p->watch_count > 0) {
        p->watch_count--;
    }
    const struct attach_frame f = delivery(e);
    peer_push(p, &f, e->msg.data);
}

void ask_ended(struct peer *p, const struct nuc_effect *e)
{
    struct ask *ask = ask_find(p, e->token);
    CHECK(ask != NULL);
    if (ask->state == ASK_WITHDRAWN && !ask->stop &&
        e->err == MOTET_E_CANCELLED) {
        ask->state = ASK_WITHHELD;
        guest_dirty(p);
        return;
    }
    tell_end(p, ask->id, e->err);
    ask_free(p, ask);
}
