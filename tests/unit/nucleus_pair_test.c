#include <stdio.h>
#include <stdlib.h>

#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"

/* Local and remote are the same to a program: each story is played twice, with
 * the server beside the client and with the server at another site behind the
 * plainest of networks, and the client must see the same. */

TestSuite(nucleus_pair, .timeout = 10);

enum { SEEN_MAX = 64, CARRIED_MAX = 64, QUEUE = 2 };

/* What the network carries. It is settled at once, or waits for room. */
struct carried {
    uint64_t ticket;
    struct motet_ui src, dst;
    struct msg msg;
};

struct stage {
    struct world here;
    struct world there;
    struct world *at; /* where the server is */
    struct carried waits[CARRIED_MAX];
    uint32_t wait_count;
    struct motet_ui client, out;
    struct motet_ui server, in;
    char seen[SEEN_MAX][48]; /* by the client */
    uint32_t seen_count;
    uint64_t held[8]; /* by the server */
    uint32_t held_count;
};

static struct world *world_of(struct stage *s, struct motet_ui ui)
{
    return ui_site(ui) == WORLD_SITE ? &s->here : &s->there;
}

static void settle(struct stage *s, const struct carried *c, enum motet_err err)
{
    struct nuc_in in = world_in(world_of(s, c->src), NUC_NET_OUTCOME);
    struct nuc_out out;
    in.ticket = c->ticket;
    in.err = err;
    cr_assert_eq(nucleus_step(world_of(s, c->src)->n, &in, &out), MOTET_OK);
}

/* A copy in the memory of the other site. */
static enum motet_err carry(struct stage *s, const struct carried *c)
{
    struct world *w = world_of(s, c->dst);
    struct nuc_in in = world_in(w, NUC_NET_DELIVER);
    struct nuc_out out;
    in.src = c->src;
    in.dst = c->dst;
    in.msg = c->msg;
    if (c->msg.data != NULL) {
        in.msg.data = buf_copy(&w->mem, c->msg.data->data, c->msg.data->size);
    }
    const enum motet_err err = nucleus_step(w->n, &in, &out);
    if (err != MOTET_OK) {
        buf_unref(in.msg.data);
    }
    if (err != MOTET_E_AGAIN) {
        buf_unref(c->msg.data);
        settle(s, c, err);
    }
    return err;
}

static void to_net(struct stage *s, const struct nuc_effect *e)
{
    const struct carried c = {e->ticket, e->src, e->dst, e->msg};
    if (carry(s, &c) == MOTET_E_AGAIN) {
        cr_assert_lt(s->wait_count, CARRIED_MAX);
        s->waits[s->wait_count++] = c;
    }
}

static void offer_again(struct stage *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->wait_count; i++) {
        if (kept > 0 || carry(s, &s->waits[i]) == MOTET_E_AGAIN) {
            s->waits[kept++] = s->waits[i];
        }
    }
    s->wait_count = kept;
}

static void take_back(struct stage *s, uint64_t ticket)
{
    for (uint32_t i = 0; i < s->wait_count; i++) {
        if (s->waits[i].ticket == ticket) {
            const struct carried c = s->waits[i];
            memmove(&s->waits[i], &s->waits[i + 1],
                    (s->wait_count - i - 1) * sizeof c);
            s->wait_count--;
            buf_unref(c.msg.data);
            settle(s, &c, MOTET_E_CANCELLED);
            return;
        }
    }
}

static void see(struct stage *s, const char *what, int value, uint64_t more)
{
    cr_assert_lt(s->seen_count, SEEN_MAX);
    snprintf(s->seen[s->seen_count++], sizeof s->seen[0], "%s %d %lu", what,
             value, (unsigned long)more);
}

static void client_sees(struct stage *s, const struct nuc_effect *e)
{
    if (e->kind == NUC_DELIVER && e->msg.kind == MSG_NEWS) {
        see(s, "news", (int)e->news, ui_equal(e->subject, s->in));
    } else if (e->kind == NUC_SENT) {
        see(s, "sent", (int)e->err, e->token);
    } else if (e->kind == NUC_CALL_DONE) {
        see(s, "done", (int)e->err, msg_bytes(&e->msg));
    } else if (e->kind == NUC_DELIVER) {
        see(s, "message", (int)e->seq, msg_bytes(&e->msg));
    }
}

static bool act(struct stage *s, struct world *w)
{
    const struct nuc_effect *e = nucleus_effect(w->n);
    if (e == NULL) {
        return false;
    }
    if (e->kind == NUC_TO_NET) {
        to_net(s, e);
        return true;
    }
    if (e->kind == NUC_NET_ROOM) {
        offer_again(s);
    } else if (e->kind == NUC_NET_CANCEL) {
        take_back(s, e->ticket);
    } else if (ui_equal(e->actor, s->client)) {
        client_sees(s, e);
    } else if (e->kind == NUC_DELIVER && e->held != 0) {
        s->held[s->held_count++] = e->held;
    }
    buf_unref(e->msg.data);
    return true;
}

static void settle_all(struct stage *s)
{
    while (act(s, &s->here) || act(s, &s->there)) {
    }
}

static enum motet_err step(struct stage *s, struct world *w,
                           const struct nuc_in *in)
{
    const enum motet_err err = nucleus_step(w->n, in, &w->out);
    if (err != MOTET_OK) {
        buf_unref(in->msg.data);
    }
    settle_all(s);
    return err;
}

static struct nuc_in by_client(struct stage *s, enum nuc_kind kind)
{
    struct nuc_in in = world_in(&s->here, kind);
    in.actor = s->client;
    in.port = s->out;
    in.dest.target = s->in;
    in.deadline_ns = s->here.now_ns + 20 * WORLD_MS;
    in.wait = true;
    if (kind == NUC_SEND || kind == NUC_CALL) {
        in.msg = world_msg(&s->here, 8);
    }
    return in;
}

/* ---- What may happen -------------------------------------------------------
 */

static void send(struct stage *s, uint64_t token)
{
    struct nuc_in in = by_client(s, NUC_SEND);
    in.token = token;
    const enum motet_err err = step(s, &s->here, &in);
    if (err != MOTET_OK || s->here.out.settled) {
        see(s, "sent", (int)err, token); /* here it is known at once */
    }
}

static void call(struct stage *s)
{
    struct nuc_in in = by_client(s, NUC_CALL);
    const enum motet_err err = step(s, &s->here, &in);
    if (err != MOTET_OK) {
        see(s, "done", (int)err, 0);
    }
}

static void watch(struct stage *s)
{
    struct nuc_in in = by_client(s, NUC_WATCH);
    in.subject = s->in;
    cr_assert_eq(step(s, &s->here, &in), MOTET_OK);
}

static void take(struct stage *s)
{
    struct nuc_in in = world_in(s->at, NUC_RECEIVE);
    in.actor = s->server;
    in.port = s->in;
    in.deadline_ns = 0;
    cr_assert_eq(step(s, s->at, &in), MOTET_OK);
}

static void reply(struct stage *s)
{
    struct nuc_in in = world_in(s->at, NUC_REPLY);
    in.actor = s->server;
    in.held = s->held[--s->held_count];
    in.msg = world_msg(s->at, 5);
    cr_assert_eq(step(s, s->at, &in), MOTET_OK);
}

static void write_back(struct stage *s, uint64_t messages)
{
    for (uint64_t i = 0; i < messages; i++) {
        struct nuc_in in = world_in(s->at, NUC_SEND);
        in.actor = s->server;
        in.port = s->in;
        in.dest.target = s->out;
        in.msg = world_msg(s->at, (uint32_t)i + 1);
        cr_assert_eq(step(s, s->at, &in), MOTET_OK);
    }
}

static void end(struct stage *s, enum motet_news news)
{
    struct nuc_in in = world_in(s->at, NUC_ACTOR_END);
    in.actor = s->server;
    in.news = news;
    cr_assert_eq(step(s, s->at, &in), MOTET_OK);
}

static void pass(struct stage *s)
{
    s->here.now_ns += 20 * WORLD_MS;
    s->there.now_ns = s->here.now_ns;
    struct nuc_in in = world_in(&s->here, NUC_TICK);
    cr_assert_eq(step(s, &s->here, &in), MOTET_OK);
    cr_assert_eq(step(s, &s->there, &in), MOTET_OK);
}

/* ---- The stories -----------------------------------------------------------
 */

static void story_send(struct stage *s)
{
    send(s, 1);
    send(s, 2);
    take(s);
}

static void story_full(struct stage *s)
{
    for (uint64_t t = 1; t <= 5; t++) {
        send(s, t);
    }
    for (int i = 0; i < 5; i++) {
        take(s);
    }
}

static void story_no_port(struct stage *s)
{
    end(s, MOTET_NEWS_CLOSED);
    send(s, 1);
    call(s);
    watch(s);
}

static void story_call(struct stage *s)
{
    call(s);
    take(s);
    reply(s);
}

static void story_call_waits_for_room(struct stage *s)
{
    send(s, 1);
    send(s, 2);
    call(s);
    take(s);
    take(s);
    take(s);
    reply(s);
}

static void story_closed_before(struct stage *s)
{
    call(s);
    end(s, MOTET_NEWS_CLOSED);
}

static void story_crashed_before(struct stage *s)
{
    call(s);
    end(s, MOTET_NEWS_CRASHED);
}

static void story_crashed_after(struct stage *s)
{
    call(s);
    take(s);
    watch(s);
    end(s, MOTET_NEWS_CRASHED);
}

static void story_too_late(struct stage *s)
{
    call(s);
    take(s);
    pass(s);
}

static void story_news_come_last(struct stage *s)
{
    watch(s);
    write_back(s, 3);
    end(s, MOTET_NEWS_CLOSED);
}

static const struct {
    const char *name;
    void (*run)(struct stage *s);
} stories[] = {
    {"send", story_send},
    {"full", story_full},
    {"no port", story_no_port},
    {"call", story_call},
    {"call waits for room", story_call_waits_for_room},
    {"closed before", story_closed_before},
    {"crashed before", story_crashed_before},
    {"crashed after", story_crashed_after},
    {"too late", story_too_late},
    {"news come last", story_news_come_last},
};

static void play(struct stage *s, size_t story, bool remote)
{
    memset(s, 0, sizeof *s);
    world_init_at(&s->here, WORLD_SITE, 1, NULL);
    world_init_at(&s->there, WORLD_PEER, 1, NULL);
    s->at = remote ? &s->there : &s->here;
    s->client = world_actor(&s->here, true);
    s->out = world_port(&s->here, s->client);
    s->server = world_actor(s->at, false);
    s->in = world_port_with(
        s->at, s->server,
        (struct nuc_port_attr){.enabled = true, .queue_msgs_max = QUEUE});
    stories[story].run(s);
    world_fini(&s->here);
    world_fini(&s->there);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The same, although not always in the same order: what is known at once here
 * comes as an effect from there. */
Test(nucleus_pair, local_and_remote_are_the_same)
{
    static struct stage local;
    static struct stage remote;
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        play(&local, i, false);
        play(&remote, i, true);
        cr_expect_gt(local.seen_count, 0);
        cr_expect_eq(local.seen_count, remote.seen_count, "%s: %u, %u",
                     stories[i].name, local.seen_count, remote.seen_count);
        qsort(local.seen, local.seen_count, sizeof local.seen[0], by_text);
        qsort(remote.seen, remote.seen_count, sizeof remote.seen[0], by_text);
        for (uint32_t k = 0; k < local.seen_count; k++) {
            cr_expect_str_eq(local.seen[k], remote.seen[k], "%s: %s, %s",
                             stories[i].name, local.seen[k], remote.seen[k]);
        }
    }
}
