#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"

TestSuite(nucleus_port, .timeout = 20);

static const struct motet_ui none = {0};

static enum motet_err actor_named(struct world *w, const char *name)
{
    struct nuc_in in = world_in(w, NUC_ACTOR_NEW);
    in.name = name;
    return world_step(w, &in);
}

static enum motet_err find(struct world *w, const char *name)
{
    struct nuc_in in = world_in(w, NUC_ACTOR_FIND);
    in.name = name;
    return world_step(w, &in);
}

Test(nucleus_port, names_of_actors)
{
    static struct world w;
    world_init(&w, NULL);
    cr_expect_eq(actor_named(&w, "no blanks"), MOTET_E_INVALID);
    cr_expect_eq(find(&w, "bank"), MOTET_E_NO_ACTOR);
    cr_expect_eq(find(&w, ""), MOTET_E_INVALID);
    cr_assert_eq(actor_named(&w, "bank"), MOTET_OK);
    const struct motet_ui bank = w.out.ui;
    cr_expect_eq(actor_named(&w, "bank"), MOTET_E_NAME_TAKEN);
    cr_assert_eq(find(&w, "bank"), MOTET_OK);
    cr_expect(ui_equal(w.out.ui, bank));
    cr_expect_eq(world_actor_end(&w, bank, MOTET_NEWS_LEFT), MOTET_E_INVALID);
    cr_expect_eq(world_actor_end(&w, bank, MOTET_NEWS_CLOSED), MOTET_OK);
    cr_expect_eq(world_actor_end(&w, bank, MOTET_NEWS_CLOSED),
                 MOTET_E_NO_ACTOR);
    cr_expect_eq(find(&w, "bank"), MOTET_E_NO_ACTOR);
    cr_assert_eq(actor_named(&w, "bank"), MOTET_OK);
    cr_expect_not(ui_equal(w.out.ui, bank), "a name may be used again, "
                                            "a UI never");
    world_fini(&w);
}

Test(nucleus_port, no_such_operation)
{
    static struct world w;
    world_init(&w, NULL);
    struct nuc_in in = world_in(&w, (enum nuc_kind)0);
    cr_expect_eq(world_step(&w, &in), MOTET_E_INVALID);
    in.kind = NUC_KIND_COUNT;
    cr_expect_eq(world_step(&w, &in), MOTET_E_INVALID);
    world_fini(&w);
}

/* Every operation on behalf of nobody, about nothing: refused, no trace. */
Test(nucleus_port, nothing_about_nobody)
{
    static struct world w;
    world_init(&w, NULL);
    const size_t used = w.mem.used_bytes;
    for (int kind = NUC_ACTOR_END; kind < NUC_KIND_COUNT; kind++) {
        const struct nuc_in in = world_in(&w, (enum nuc_kind)kind);
        const bool fine = kind == NUC_TICK || kind == NUC_NET_ROOM_FOR;
        cr_expect_eq(world_step(&w, &in) == MOTET_OK, fine, "kind %d", kind);
    }
    cr_expect_eq(w.mem.used_bytes, used);
    cr_expect_eq(w.count, 0);
    world_fini(&w);
}

Test(nucleus_port, ownership)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, true);
    const struct motet_ui b = world_actor(&w, true);
    const struct motet_ui p = world_port(&w, a);
    const struct motet_cap cap = w.out.cap;
    cr_expect_eq(world_port_end(&w, b, p), MOTET_E_PERMISSION);
    cr_expect_eq(world_port_set(&w, b, p, (struct nuc_port_attr){0}),
                 MOTET_E_PERMISSION);
    cr_expect_eq(world_send(&w, b, p, p, 0), MOTET_E_PERMISSION);
    cr_expect_eq(world_receive(&w, b, p, 0, 0), MOTET_E_PERMISSION);
    cr_expect_eq(world_receive(&w, a, p, 0, 0), MOTET_E_STATE,
                 "a push actor is given its messages");
    struct nuc_in in = world_in(&w, NUC_PORT_END);
    in.actor = b;
    in.port = p;
    in.cap = cap;
    in.cap.key ^= 1;
    cr_expect_eq(world_step(&w, &in), MOTET_E_PERMISSION);
    in.cap.key ^= 1;
    cr_expect_eq(world_step(&w, &in), MOTET_OK, "its capability is enough");
    cr_expect(ui_equal(world_one(&w, NUC_PORT_GONE)->actor, a));
    cr_expect_eq(world_port_end(&w, a, p), MOTET_E_NO_PORT);
    world_fini(&w);
}

Test(nucleus_port, the_control_port)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, true);
    const struct motet_ui control = ui_of_control(WORLD_SITE);
    const struct motet_ui x = world_port(&w, a);
    cr_expect_eq(world_send(&w, a, x, control, 0), MOTET_E_NO_PORT);
    struct nuc_in in = world_in(&w, NUC_PORT_NEW);
    in.actor = a;
    in.port = ui_of_control(WORLD_PEER);
    cr_assert_eq(world_step(&w, &in), MOTET_OK);
    cr_expect_eq(ui_kind(w.out.cap.ui), UI_PORT,
                 "not this site's: a fresh one");
    in.port = control;
    in.attr.enabled = true;
    cr_assert_eq(world_step(&w, &in), MOTET_OK);
    cr_expect(ui_equal(w.out.cap.ui, control));
    cr_expect_eq(world_step(&w, &in), MOTET_E_EXISTS);
    cr_expect_eq(world_send(&w, a, x, control, 0), MOTET_OK);
    cr_expect(ui_equal(world_one(&w, NUC_DELIVER)->port, control));
    world_clear(&w);
    cr_expect_eq(world_send(&w, a, x, ui_of_control(WORLD_PEER), 0), MOTET_OK);
    cr_expect_eq(world_seen(&w, NUC_TO_NET), 1);
    world_fini(&w);
}

Test(nucleus_port, no_ui_comes_twice)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, true);
    struct motet_ui last = none;
    for (int i = 0; i < 100; i++) {
        const struct motet_ui p = world_port(&w, a);
        cr_assert(p.lo > last.lo);
        last = p;
        cr_assert_eq(world_port_end(&w, a, p), MOTET_OK);
    }
    world_fini(&w);
}

Test(nucleus_port, limits)
{
    static struct world w;
    struct nucleus_limits limits = nucleus_limits_default();
    limits.actors_max = 1;
    limits.ports_max = 2;
    limits.waiters_max = 1;
    limits.body_bytes_max = 8;
    world_init(&w, &limits);
    const struct motet_ui a = world_actor(&w, false);
    cr_expect_eq(actor_named(&w, ""), MOTET_E_LIMIT);
    const struct motet_ui p = world_port(&w, a);
    (void)world_port(&w, a);
    struct nuc_in in = world_in(&w, NUC_PORT_NEW);
    in.actor = a;
    cr_expect_eq(world_step(&w, &in), MOTET_E_LIMIT);
    cr_expect_eq(world_receive(&w, a, p, 1, 1 << 30), MOTET_OK);
    cr_expect_eq(world_receive(&w, a, p, 2, 1 << 30), MOTET_E_LIMIT);
    in = world_in(&w, NUC_SEND);
    in.actor = a;
    in.port = p;
    in.dest = (struct motet_dest){.target = ui_of_name("g"), .wait = true};
    cr_expect_eq(world_step(&w, &in), MOTET_E_LIMIT, "it would block as well");
    in.dest = (struct motet_dest){.target = p};
    in.msg = world_msg(&w, 9);
    cr_expect_eq(world_step(&w, &in), MOTET_E_TOO_BIG);
    in.msg = world_msg(&w, 9);
    in.msg.annex_bytes = 10;
    cr_expect_eq(world_step(&w, &in), MOTET_E_INVALID);
    in.msg = world_msg(&w, 129);
    in.msg.annex_bytes = 121;
    cr_expect_eq(world_step(&w, &in), MOTET_E_INVALID);
    in.msg = world_msg(&w, 128);
    in.msg.annex_bytes = 120;
    cr_expect_eq(world_step(&w, &in), MOTET_OK);
    world_fini(&w);
}

Test(nucleus_port, walks_and_info)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, false);
    struct motet_ui ports[5];
    for (size_t i = 0; i < 5; i++) {
        ports[i] = world_port(&w, a);
    }
    cr_assert_eq(world_port_end(&w, a, ports[2]), MOTET_OK);
    static const size_t order[] = {0, 1, 3, 4};
    struct motet_ui at = none;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        cr_assert(nucleus_next_port(w.n, at, &at));
        cr_expect(ui_equal(at, ports[order[i]]));
    }
    cr_expect_not(nucleus_next_port(w.n, at, &at));
    cr_assert(nucleus_next_port(w.n, ports[2], &at), "after one that is gone");
    cr_expect(ui_equal(at, ports[3]));
    cr_assert_eq(world_send(&w, a, ports[0], ports[1], 0), MOTET_OK);
    struct nuc_in in = world_in(&w, NUC_PORT_INFO);
    in.port = ports[1];
    cr_assert_eq(world_step(&w, &in), MOTET_OK);
    cr_expect_eq(w.out.port.queue_msgs, 1);
    cr_expect_eq(w.out.port.queue_bytes, 8);
    cr_expect_eq(w.out.port.seq, 1);
    cr_expect_eq(w.out.port.oldest_ns, w.now_ns);
    cr_expect_eq(w.out.port.attr.queue_msgs_max, 1024);
    world_fini(&w);
}

/* P10: an idle port costs at most 256 bytes, tables included. */
static void cost(bool push, bool enabled)
{
    enum { PORTS = 100000 };
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, push);
    const size_t before = w.mem.used_bytes;
    for (int i = 0; i < PORTS; i++) {
        (void)world_port_with(&w, a,
                              (struct nuc_port_attr){.enabled = enabled});
    }
    const size_t each = (w.mem.used_bytes - before) / PORTS;
    cr_expect_leq(each, 256, "%zu bytes", each);
    cr_expect_eq(nucleus_counts(w.n).ports, PORTS);
    struct nuc_in in = world_in(&w, NUC_ACTOR_END);
    in.actor = a;
    in.news = MOTET_NEWS_CLOSED;
    cr_assert_eq(nucleus_step(w.n, &in, &w.out), MOTET_OK);
    int ended = 0;
    for (const struct nuc_effect *e; (e = nucleus_effect(w.n)) != NULL;) {
        ended += e->kind == NUC_NET_PORT_END;
    }
    cr_expect_eq(ended, PORTS);
    cr_expect_eq(nucleus_counts(w.n).ports, 0);
    world_fini(&w);
}

Test(nucleus_port, an_idle_port_is_cheap)
{
    static const struct {
        bool push, enabled;
    } rows[] = {{true, true}, {false, true}, {false, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cost(rows[i].push, rows[i].enabled);
    }
}
