#include "nucleus/core/nucleus.h"
#include "nucleus_model.h"

/* Random operations against one nucleus with tiny limits, beside a network that
 * loses, refuses and dies, and against the simplest account of what was
 * promised: every send settles once, every call completes once and in time,
 * nothing overtakes in a flow, one terminal news per watch, sums add up, and
 * all memory comes back. */

TestSuite(nucleus_property, .timeout = 60);

/* ---- Operations ------------------------------------------------------------
 */

static uint64_t soon(struct prop *p)
{
    return below(p, 4) == 0 ? DEADLINE_NEVER
                            : p->w.now_ns + below(p, 50) * WORLD_MS;
}

static struct msg numbered(struct prop *p, bool ordered)
{
    struct msg m = {0};
    const uint64_t number = ordered ? ++p->number : 0;
    m.data = buf_new(&p->w.mem, (uint32_t)(8 + below(p, 40)));
    if (m.data != NULL) {
        memcpy(m.data->data, &number, sizeof number);
    }
    return m;
}

static const char *name_of(struct prop *p)
{
    static const char *const names[] = {"a", "b", "c"};
    return names[below(p, ARRAY_LEN(names))];
}

/* Anything that can be sent to. @return whether it is one port here */
static bool choose_dest(struct prop *p, struct nuc_in *in)
{
    const uint64_t what = below(p, 10);
    if (what < 5) {
        in->dest.target = p->ports[below(p, PORTS)].ui;
        return true;
    }
    if (what < 8) {
        in->dest.target = far_port(p, below(p, FAR_PORTS));
        return false;
    }
    in->dest.target = ui_of_name(name_of(p));
    in->dest.mode = (enum motet_mode)below(p, MOTET_MODE_COUNT);
    in->dest.co = ui_of_site(WORLD_PEER);
    in->dest.wait = below(p, 2) == 0;
    return false;
}

static struct nuc_in by_port(struct prop *p, enum nuc_kind kind)
{
    struct nuc_in in = world_in(&p->w, kind);
    const struct slot *s = &p->ports[below(p, PORTS)];
    in.port = s->ui;
    in.actor = p->actors[s->actor];
    return in;
}

static void op_send(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_SEND);
    const bool ordered = choose_dest(p, &in);
    in.msg = numbered(p, ordered);
    in.wait = below(p, 2) == 0;
    in.deadline_ns = soon(p);
    in.token = ++p->number;
    const struct open item = {.id = in.token, .actor = in.actor};
    add(&p->sends, item);
    if (step(p, &in) != MOTET_OK || p->w.out.settled) {
        end(&p->sends, in.token, "send");
    }
}

static void op_call(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_CALL);
    (void)choose_dest(p, &in);
    in.msg = numbered(p, false);
    in.deadline_ns = p->w.now_ns + (1 + below(p, 50)) * WORLD_MS;
    if (step(p, &in) == MOTET_OK) {
        const struct open item = {p->w.out.call, in.actor, in.port,
                                  in.deadline_ns, false};
        add(&p->calls, item);
    }
}

static void op_receive(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_RECEIVE);
    if (below(p, 2) == 0) {
        in.port = (struct motet_ui){0};
    }
    in.token = ++p->number;
    in.deadline_ns = below(p, 2) == 0 ? 0 : soon(p);
    (void)step(p, &in);
}

static void op_reply(struct prop *p)
{
    if (p->helds.count == 0) {
        return;
    }
    const struct open h = p->helds.all[below(p, p->helds.count)];
    struct nuc_in in = world_in(&p->w, NUC_REPLY);
    in.actor = h.actor;
    in.held = h.id;
    if (below(p, 4) == 0) {
        in.kind = NUC_FORWARD;
        (void)choose_dest(p, &in);
    } else {
        in.msg = numbered(p, false);
    }
    if (step(p, &in) == MOTET_OK) {
        end(&p->helds, h.id, "held");
        p->forwards += in.kind == NUC_FORWARD;
        p->forwarding = in.kind == NUC_FORWARD;
        drain(p);
        p->forwarding = false;
    }
}

static void op_cancel(struct prop *p)
{
    if (p->calls.count == 0) {
        return;
    }
    const struct open c = p->calls.all[below(p, p->calls.count)];
    struct nuc_in in = world_in(&p->w, NUC_CANCEL);
    in.actor = c.actor;
    in.call = c.id;
    cr_assert_eq(step(p, &in), MOTET_OK);
}

static void op_watch(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_WATCH);
    const uint64_t what = below(p, 4);
    in.subject = what == 0   ? ui_of_site(WORLD_PEER)
                 : what == 1 ? far_port(p, below(p, FAR_PORTS))
                 : what == 2 ? ui_of_name(name_of(p))
                             : p->ports[below(p, PORTS)].ui;
    if (step(p, &in) == MOTET_OK) {
        const struct open item = {p->w.out.watch, in.actor, in.port, 0,
                                  what <= 1};
        add(&p->watches, item);
    }
}

static void op_unwatch(struct prop *p)
{
    if (p->watches.count == 0) {
        return;
    }
    const struct open watch = p->watches.all[below(p, p->watches.count)];
    struct nuc_in in = world_in(&p->w, NUC_UNWATCH);
    in.actor = watch.actor;
    in.watch = watch.id;
    const enum motet_err err = step(p, &in);
    if (err == MOTET_OK) {
        end(&p->watches, watch.id, "watch");
    } else {
        cr_assert_eq(err, MOTET_E_STATE, "its news are queued");
    }
}

static void new_port(struct prop *p, uint32_t i)
{
    struct nuc_in in = world_in(&p->w, NUC_PORT_NEW);
    in.actor = p->actors[p->ports[i].actor];
    in.attr.enabled = below(p, 4) != 0;
    in.attr.priority = (uint8_t)below(p, 3);
    in.attr.queue_msgs_max = (uint32_t)below(p, 6);
    p->ports[i].ui = (struct motet_ui){0};
    if (step(p, &in) == MOTET_OK) {
        p->ports[i].ui = p->w.out.cap.ui;
    }
    for (int s = 0; s < PORTS + FAR_PORTS; s++) {
        p->last[s][i] = 0;
    }
    for (int d = 0; d < PORTS; d++) {
        p->last[i][d] = 0;
    }
}

static void op_port(struct prop *p)
{
    const uint32_t i = (uint32_t)below(p, PORTS);
    struct nuc_in in = by_port(p, NUC_PORT_END);
    in.port = p->ports[i].ui;
    in.actor = p->actors[p->ports[i].actor];
    if (below(p, 2) == 0) {
        in.kind = NUC_PORT_SET;
        in.attr.enabled = below(p, 4) != 0;
        in.attr.queue_msgs_max = (uint32_t)below(p, 6);
        (void)step(p, &in);
        return;
    }
    (void)step(p, &in);
    drain(p);
    /* Watches made from it ended silently, what it held is answered. */
    forget_port(&p->watches, in.port);
    forget_port(&p->helds, in.port);
    new_port(p, i);
}

static void new_actor(struct prop *p, uint32_t i)
{
    struct nuc_in in = world_in(&p->w, NUC_ACTOR_NEW);
    in.push = p->push[i];
    p->actors[i] = (struct motet_ui){0};
    if (step(p, &in) == MOTET_OK) {
        p->actors[i] = p->w.out.ui;
    }
}

static void op_actor(struct prop *p)
{
    if (below(p, 20) != 0) {
        return;
    }
    const uint32_t i = (uint32_t)below(p, ACTORS);
    struct nuc_in in = world_in(&p->w, NUC_ACTOR_END);
    in.actor = p->actors[i];
    in.news = below(p, 2) == 0 ? MOTET_NEWS_CLOSED : MOTET_NEWS_CRASHED;
    (void)step(p, &in);
    forget_actor(&p->sends, in.actor);
    forget_actor(&p->calls, in.actor);
    forget_actor(&p->watches, in.actor);
    forget_actor(&p->helds, in.actor);
    drain(p);
    new_actor(p, i);
    for (uint32_t k = 0; k < PORTS; k++) {
        if (p->ports[k].actor == i) {
            new_port(p, k);
        }
    }
}

static void op_group(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_GROUP_NEW);
    in.name = name_of(p);
    if (step(p, &in) != MOTET_OK) {
        return;
    }
    in.cap = p->w.out.cap;
    in.kind = below(p, 3) == 0 ? NUC_GROUP_REMOVE : NUC_GROUP_INSERT;
    (void)step(p, &in);
    in = world_in(&p->w, NUC_GROUP_MEMBER);
    in.dest.target = ui_of_name(name_of(p));
    in.src = far_port(p, below(p, FAR_PORTS));
    in.site = WORLD_PEER;
    in.in = below(p, 2) == 0;
    (void)step(p, &in);
}

/* ---- The other site's doings -----------------------------------------------
 */

static void op_settle(struct prop *p)
{
    static const enum motet_err outcomes[] = {
        MOTET_OK,      MOTET_OK,           MOTET_OK,      MOTET_OK,
        MOTET_OK,      MOTET_E_NO_PORT,    MOTET_E_AGAIN, MOTET_E_TIMEOUT,
        MOTET_E_LIMIT, MOTET_E_MAYBE_LOST, MOTET_E_FULL,  MOTET_E_MAYBE_TIMEOUT,
    };
    for (int i = 0; i < 3 && p->flight_count > 0; i++) {
        settle(p, (uint32_t)below(p, p->flight_count),
               outcomes[below(p, ARRAY_LEN(outcomes))]);
        drain(p);
    }
}

static void op_room(struct prop *p)
{
    struct nuc_in in = by_port(p, NUC_NET_ROOM_FOR);
    in.src = in.port;
    in.dst = far_port(p, below(p, FAR_PORTS));
    cr_assert_eq(step(p, &in), MOTET_OK);
}

static void op_inbound(struct prop *p)
{
    struct nuc_in in = world_in(&p->w, NUC_NET_DELIVER);
    in.src = far_port(p, below(p, FAR_PORTS));
    in.dst = p->ports[below(p, PORTS)].ui;
    in.msg = numbered(p, true);
    in.msg.kind = MSG_SEND;
    if (below(p, 2) == 0) {
        in.msg.kind = MSG_REQUEST;
        in.msg.call = ++p->far_call;
        in.msg.reply_to = in.src;
        in.msg.remaining_ms = (uint32_t)below(p, 30);
    }
    p->accepted_in += step(p, &in) == MOTET_OK;
}

/* Whatever may return, and whatever may not. */
static void op_return(struct prop *p)
{
    static const enum msg_kind kinds[] = {MSG_REPLY, MSG_CANCEL,  MSG_FORWARDED,
                                          MSG_WATCH, MSG_UNWATCH, MSG_NEWS};
    struct nuc_in in = world_in(&p->w, NUC_NET_DELIVER);
    in.src = far_port(p, below(p, FAR_PORTS));
    in.dst = p->ports[below(p, PORTS)].ui;
    in.msg.kind = kinds[below(p, ARRAY_LEN(kinds))];
    in.msg.call = 1 + below(p, p->far_call + 1);
    in.msg.status = (uint16_t)below(p, MOTET_E_COUNT + 1);
    in.msg.reply_to = in.src;
    if (p->watches.count > 0 && in.msg.kind == MSG_NEWS) {
        in.msg.call = p->watches.all[below(p, p->watches.count)].id;
        in.msg.status = (uint16_t)below(p, 6);
        in.dst = p->watches.all[0].port;
    }
    if (p->remote_count > 0 && in.msg.kind == MSG_REPLY) {
        const uint32_t at = (uint32_t)below(p, p->remote_count);
        in.msg.call = p->remote[at].msg.call;
        in.dst = p->remote[at].msg.reply_to;
        p->remote[at] = p->remote[--p->remote_count];
    } else if (in.msg.kind == MSG_REPLY) {
        return;
    }
    (void)step(p, &in);
}

static void op_site(struct prop *p)
{
    struct nuc_in in = world_in(&p->w, NUC_SITE);
    in.site = WORLD_PEER;
    in.incarnation = p->incarnation;
    in.rtt_ns = below(p, 1000);
    in.state = below(p, 2) == 0 ? NUC_SITE_REACHABLE : NUC_SITE_UNREACHABLE;
    if (below(p, 30) == 0) {
        in.state = below(p, 2) == 0 ? NUC_SITE_DEAD : NUC_SITE_LEFT;
        p->incarnation++;
        memset(p->last[PORTS], 0, sizeof p->last[0] * FAR_PORTS);
    }
    const enum motet_err err = step(p, &in);
    cr_assert(err == MOTET_OK || err == MOTET_E_NO_MEMORY);
    /* What was with it is told; its names are over. */
    if (in.state >= NUC_SITE_DEAD) {
        drain(p);
        p->remote_count = 0;
        while (p->flight_count > 0) {
            settle(p, 0,
                   below(p, 2) == 0 ? MOTET_E_SITE_DEAD
                                    : MOTET_E_MAYBE_SITE_DEAD);
            drain(p);
        }
    }
}

/* Goes from deadline to deadline, so that "in time" is exact. */
static void op_time(struct prop *p)
{
    const uint64_t until = p->w.now_ns + below(p, 3 * WORLD_MS);
    for (;;) {
        const uint64_t at = nucleus_deadline_ns(p->w.n);
        if (at > until) {
            break;
        }
        p->w.now_ns = at > p->w.now_ns ? at : p->w.now_ns;
        const struct nuc_in in = world_in(&p->w, NUC_TICK);
        cr_assert_eq(step(p, &in), MOTET_OK);
        drain(p);
    }
    p->w.now_ns = until;
}

typedef void op_run(struct prop *p);

static op_run *const ops[] = {
    op_send,    op_send,   op_send,   op_send,    op_call,    op_call,
    op_call,    op_reply,  op_reply,  op_reply,   op_receive, op_receive,
    op_receive, op_cancel, op_watch,  op_unwatch, op_port,    op_actor,
    op_group,   op_settle, op_settle, op_settle,  op_room,    op_inbound,
    op_inbound, op_return, op_site,   op_time,    op_time,
};

/* ---- The run ---------------------------------------------------------------
 */

static void check(struct prop *p)
{
    const struct nuc_counts c = nucleus_counts(p->w.n);
    cr_assert_leq(c.ports, PORTS);
    cr_assert_eq(c.calls >= p->calls.count, true, "every call is known");
    uint64_t queued = 0;
    for (int i = 0; i < PORTS; i++) {
        struct nuc_in in = world_in(&p->w, NUC_PORT_INFO);
        in.port = p->ports[i].ui;
        if (nucleus_step(p->w.n, &in, &p->w.out) != MOTET_OK) {
            continue;
        }
        const uint32_t max = p->w.out.port.attr.queue_msgs_max;
        queued += p->w.out.port.queue_msgs;
        cr_assert_leq(p->w.out.port.queue_msgs, max < 6 ? 6 : max);
    }
    cr_assert_eq(queued, c.queued_msgs);
}

static void settle_all(struct prop *p, enum motet_err err)
{
    while (p->flight_count > 0) {
        settle(p, 0, err);
        drain(p);
    }
}

/* Faults stop: what is pending ends, one way or the other, and is told. */
static void heal(struct prop *p)
{
    settle_all(p, MOTET_OK);
    for (uint32_t i = 0; i < PORTS; i++) {
        struct nuc_in in = world_in(&p->w, NUC_PORT_END);
        in.port = p->ports[i].ui;
        in.actor = p->actors[p->ports[i].actor];
        (void)step(p, &in);
        drain(p);
    }
    settle_all(p, MOTET_OK);
    cr_expect_eq(p->sends.count, 0, "%u sends open", p->sends.count);
    cr_expect_eq(p->calls.count, 0, "%u calls open", p->calls.count);
    const struct nuc_counts c = nucleus_counts(p->w.n);
    const uint64_t came = c.sent + p->accepted_in + p->forwards;
    const uint64_t went =
        c.delivered + c.refused + c.maybe + c.lost + p->accepted_out;
    cr_expect_eq(came, went, "%lu came, %lu went", (unsigned long)came,
                 (unsigned long)went);
}

/* Nothing is left of what the actors did, except what others still know. */
static void check_pools(const struct nucleus *n)
{
    const struct {
        const char *name;
        const struct pool *pool;
    } pools[] = {
        {"actor", &n->actor_pool},    {"port", &n->port_pool},
        {"side", &n->side_pool},      {"want", &n->want_pool},
        {"waiter", &n->waiter_pool},  {"fanout", &n->fanout_pool},
        {"use", &n->use_pool},        {"watcher", &n->watcher_pool},
        {"parcel", &n->parcels.pool}, {"call", &n->calls.pool},
        {"held", &n->helds.pool},     {"watch", &n->watches.pool},
    };
    for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
        cr_expect_eq(pools[i].pool->used, 0, "%u left of %s",
                     pools[i].pool->used, pools[i].name);
    }
    cr_expect_leq(n->peer_pool.used, 1);
    cr_expect_leq(n->member_pool.used, 3 * FAR_PORTS * 20);
    cr_expect_eq(n->timers.count, 0);
}

static void finish(struct prop *p)
{
    heal(p);
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct nuc_in in = world_in(&p->w, NUC_ACTOR_END);
        in.actor = p->actors[i];
        in.news = MOTET_NEWS_CLOSED;
        (void)step(p, &in);
        forget_actor(&p->sends, in.actor);
        forget_actor(&p->calls, in.actor);
        forget_actor(&p->watches, in.actor);
        forget_actor(&p->helds, in.actor);
        drain(p);
    }
    struct nuc_in in = world_in(&p->w, NUC_SITE);
    in.site = WORLD_PEER;
    in.incarnation = p->incarnation;
    in.state = NUC_SITE_DEAD;
    (void)step(p, &in);
    drain(p);
    settle_all(p, MOTET_E_SITE_DEAD);
    check_pools(p->w.n);
    const struct nuc_counts c = nucleus_counts(p->w.n);
    cr_expect_eq(c.actors + c.ports + c.calls + c.held + c.watches + c.waiters,
                 0, "%u calls %u held %u watches %u waiters", c.calls, c.held,
                 c.watches, c.waiters);
    cr_expect_eq(c.queued_msgs + c.queued_bytes, 0);
}

/* Nothing is open but by the actors' own doing; @return what happened */
static struct nuc_counts run(uint64_t seed, size_t cap_bytes)
{
    static struct prop p;
    struct nucleus_limits limits = nucleus_limits_default();
    memset(&p, 0, sizeof p);
    limits.calls_max = 24;
    limits.held_max = 24;
    limits.watches_max = 24;
    limits.waiters_max = 24;
    limits.queue_msgs_max = 5;
    limits.queue_bytes_max = 150;
    world_init(&p.w, &limits);
    prng_init(&p.prng, seed);
    p.w.mem.cap_bytes = p.w.mem.used_bytes + cap_bytes;
    p.incarnation = 1;
    for (uint32_t i = 0; i < ACTORS; i++) {
        p.push[i] = i % 2 == 0;
        new_actor(&p, i);
    }
    for (uint32_t i = 0; i < PORTS; i++) {
        p.ports[i].actor = i % ACTORS;
        new_port(&p, i);
    }
    for (int i = 0; i < OPS; i++) {
        ops[below(&p, ARRAY_LEN(ops))](&p);
        drain(&p);
        if (i % 16 == 0) {
            check(&p);
        }
    }
    finish(&p);
    const struct nuc_counts c = nucleus_counts(p.w.n);
    world_fini(&p.w);
    return c;
}

Test(nucleus_property, random_operations)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        const struct nuc_counts c = run(seed, 64 << 20);
        cr_expect_gt(c.sent, 2000, "seed %lu", (unsigned long)seed);
        cr_expect_gt(c.delivered, 1000);
        cr_expect_gt(c.refused, 100);
        cr_expect_gt(c.maybe, 10);
        cr_expect_gt(c.lost, 10);
    }
}

Test(nucleus_property, at_the_memory_cap)
{
    static const size_t caps[] = {20000, 60000, 90000, 120000, 150000};
    for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
        (void)run(i + 100, caps[i]);
    }
}
