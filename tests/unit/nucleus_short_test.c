#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"

/* At the memory cap the queue of effects does not grow. What must not be lost
 * is done when the effects have been taken. */

TestSuite(nucleus_short, .timeout = 10);

enum { MANY = 1000 };

struct scene {
    struct world w;
    struct motet_ui a, p;
};

static void scene_init(struct scene *s)
{
    world_init(&s->w, NULL);
    s->a = world_actor(&s->w, true);
    s->p = world_port(&s->w, s->a);
}

static void no_more_memory(struct scene *s)
{
    s->w.mem.cap_bytes = s->w.mem.used_bytes;
}

/* A step whose effects stay where they are. */
static enum motet_err step(struct scene *s, const struct nuc_in *in)
{
    return nucleus_step(s->w.n, in, &s->w.out);
}

static void tell(struct scene *s, uint64_t ticket, enum motet_err err)
{
    struct nuc_in in = world_in(&s->w, NUC_NET_OUTCOME);
    in.ticket = ticket;
    in.err = err;
    cr_assert_eq(step(s, &in), MOTET_OK);
}

static uint64_t ticket(const struct scene *s, uint32_t nth)
{
    return world_nth(&s->w, NUC_TO_NET, nth)->ticket;
}

/* Effects until no more fit. */
static void fill(struct scene *s)
{
    struct nuc_in room = world_in(&s->w, NUC_NET_ROOM_FOR);
    room.src = s->p;
    no_more_memory(s);
    while (step(s, &room) == MOTET_OK) {
    }
}

Test(nucleus_short, outcomes)
{
    static struct scene s;
    scene_init(&s);
    for (uint64_t t = 0; t < MANY; t++) {
        cr_assert_eq(world_send(&s.w, s.a, s.p, world_far(1), t), MOTET_OK);
    }
    no_more_memory(&s);
    for (uint32_t t = 0; t < MANY; t++) {
        tell(&s, ticket(&s, t), t % 2 == 0 ? MOTET_OK : MOTET_E_NO_PORT);
    }
    world_drain(&s.w);
    cr_expect_eq(world_seen(&s.w, NUC_SENT), MANY);
    for (uint32_t t = 0; t < MANY; t++) {
        cr_assert_eq(world_nth(&s.w, NUC_SENT, t)->token, t);
    }
    world_fini(&s.w);
}

Test(nucleus_short, a_message_from_elsewhere_waits)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = world_in(&s.w, NUC_NET_DELIVER);
    in.src = world_far(1);
    in.dst = s.p;
    in.msg = world_msg(&s.w, 8);
    in.msg.kind = MSG_SEND;
    fill(&s);
    cr_expect_eq(step(&s, &in), MOTET_E_AGAIN);
    world_drain(&s.w);
    cr_expect(ui_equal(world_one(&s.w, NUC_NET_ROOM)->port, s.p));
    cr_expect_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 1);
    world_fini(&s.w);
}

Test(nucleus_short, a_call_that_is_given_up_meanwhile)
{
    static struct scene s;
    scene_init(&s);
    const uint64_t at = s.w.now_ns + 5;
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    cr_assert_eq(world_call(&s.w, s.a, s.p, world_far(1), at), MOTET_OK);
    cr_assert_eq(world_call(&s.w, s.a, s.p, world_far(1), at), MOTET_OK);
    fill(&s);
    tell(&s, ticket(&s, 0), MOTET_OK);
    tell(&s, ticket(&s, 1), MOTET_E_SITE_DEAD);
    struct nuc_in in = world_in(&s.w, NUC_SITE);
    in.site = WORLD_PEER;
    in.incarnation = 1;
    in.state = NUC_SITE_DEAD;
    cr_assert_eq(step(&s, &in), MOTET_OK);
    world_drain(&s.w);
    cr_expect_eq(world_nth(&s.w, NUC_CALL_DONE, 0)->err +
                     world_nth(&s.w, NUC_CALL_DONE, 1)->err,
                 MOTET_E_MAYBE_SITE_DEAD + MOTET_E_SITE_DEAD);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 2);
    world_fini(&s.w);
}

Test(nucleus_short, the_end_of_an_actor)
{
    static struct scene s;
    scene_init(&s);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(world_watch(&s.w, s.a, s.p, world_port(&s.w, s.a)),
                     MOTET_OK);
    }
    fill(&s);
    struct nuc_in in = world_in(&s.w, NUC_ACTOR_END);
    in.actor = s.a;
    in.news = MOTET_NEWS_CRASHED;
    cr_assert_eq(step(&s, &in), MOTET_OK);
    world_drain(&s.w);
    cr_expect_eq(world_seen(&s.w, NUC_NET_PORT_END), 41);
    cr_expect_eq(nucleus_counts(s.w.n).watches, 0);
    world_fini(&s.w);
}

Test(nucleus_short, no_nucleus_at_all)
{
    struct mem mem;
    struct trace trace;
    struct nucleus_config cfg = {
        .site = 1,
        .incarnation = 1,
        .limits = nucleus_limits_default(),
        .mem = &mem,
        .trace = &trace,
    };
    trace_init(&trace, NULL);
    struct nucleus *n = NULL;
    for (size_t cap = 0; n == NULL; cap += 4096) {
        mem_init(&mem, cap);
        n = nucleus_create(&cfg);
        cr_assert(n != NULL || mem.used_bytes == 0);
    }
    nucleus_destroy(n);
    nucleus_destroy(NULL);
    cr_expect_eq(mem.used_bytes, 0);
}

Test(nucleus_short, a_port_that_cannot_be_enabled)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, false);
    const struct motet_ui p = world_port_with(&w, a, (struct nuc_port_attr){0});
    struct nuc_in in = world_in(&w, NUC_PORT_INFO);
    w.mem.cap_bytes = w.mem.used_bytes;
    cr_expect_eq(
        world_port_set(&w, a, p, (struct nuc_port_attr){.enabled = true}),
        MOTET_E_NO_MEMORY);
    in.port = p;
    cr_assert_eq(world_step(&w, &in), MOTET_OK);
    cr_expect_not(w.out.port.attr.enabled, "nothing changed");
    world_fini(&w);
}
