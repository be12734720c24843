#include "nucleus/core/nucleus.h"
#include "nucleus/core/objects.h"
#include "nucleus_world.h"

TestSuite(nucleus_group, .timeout = 10);

struct scene {
    struct world w;
    struct motet_ui actor;
    struct motet_ui port[3];
};

static void scene_init(struct scene *s)
{
    world_init(&s->w, NULL);
    s->actor = world_actor(&s->w, true);
    for (size_t i = 0; i < ARRAY_LEN(s->port); i++) {
        s->port[i] = world_port(&s->w, s->actor);
    }
}

static struct motet_cap group_new(struct scene *s, const char *name)
{
    struct nuc_in in = world_in(&s->w, NUC_GROUP_NEW);
    in.actor = s->actor;
    in.name = name;
    cr_assert_eq(world_step(&s->w, &in), MOTET_OK);
    return s->w.out.cap;
}

static enum motet_err member(struct scene *s, enum nuc_kind kind,
                             struct motet_cap cap, struct motet_ui port)
{
    struct nuc_in in = world_in(&s->w, kind);
    in.actor = s->actor;
    in.cap = cap;
    in.port = port;
    return world_step(&s->w, &in);
}

static enum motet_err insert(struct scene *s, struct motet_cap cap,
                             struct motet_ui port)
{
    return member(s, NUC_GROUP_INSERT, cap, port);
}

static enum motet_err drop(struct scene *s, struct motet_cap cap,
                           struct motet_ui port)
{
    return member(s, NUC_GROUP_REMOVE, cap, port);
}

static struct nuc_in sending(struct scene *s, struct motet_ui group,
                             enum motet_mode mode)
{
    struct nuc_in in = world_in(&s->w, NUC_SEND);
    in.actor = s->actor;
    in.port = s->port[0];
    in.dest.target = group;
    in.dest.mode = mode;
    in.token = 42;
    return in;
}

static enum motet_err send(struct scene *s, struct motet_ui group,
                           enum motet_mode mode, uint64_t co_site)
{
    struct nuc_in in = sending(s, group, mode);
    in.msg = world_msg(&s->w, 8);
    if (co_site != 0) {
        in.dest.co = ui_make(co_site, 5, UI_ACTOR, 1);
    }
    world_clear(&s->w);
    return world_step(&s->w, &in);
}

/* Who got the one message: a port here or elsewhere. */
static struct motet_ui who(const struct scene *s)
{
    if (world_seen(&s->w, NUC_TO_NET) == 1) {
        return world_nth(&s->w, NUC_TO_NET, 0)->dst;
    }
    return world_one(&s->w, NUC_DELIVER)->port;
}

/* Once past each member that waits. */
static void finish(struct scene *s)
{
    cr_expect_eq(nucleus_counts(s->w.n).waiters, 0);
    world_fini(&s->w);
}

Test(nucleus_group, what_is_refused)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap dyn = group_new(&s, "");
    const struct motet_cap stat = group_new(&s, "shop/orders");
    struct motet_cap bad = dyn;
    bad.key ^= 1;
    cr_expect_eq(insert(&s, bad, s.port[1]), MOTET_E_PERMISSION);
    cr_expect_eq(drop(&s, bad, s.port[1]), MOTET_E_PERMISSION);
    bad = stat;
    bad.key = 1;
    cr_expect_eq(insert(&s, bad, s.port[1]), MOTET_E_PERMISSION);
    bad = (struct motet_cap){.ui = ui_of_name("never/heard")};
    cr_expect_eq(insert(&s, bad, s.port[1]), MOTET_E_NO_GROUP);
    bad.ui = s.port[2];
    cr_expect_eq(insert(&s, bad, s.port[1]), MOTET_E_INVALID);
    cr_expect_eq(insert(&s, stat, world_far(1)), MOTET_E_NO_PORT);
    cr_expect_eq(drop(&s, stat, s.port[1]), MOTET_E_NO_MEMBER);
    cr_expect_eq(send(&s, stat.ui, MOTET_TO_ANY, 0), MOTET_E_NO_MEMBER);
    cr_expect_eq(send(&s, stat.ui, MOTET_TO_ALL, 0), MOTET_E_NO_MEMBER);
    cr_expect_eq(send(&s, stat.ui, MOTET_MODE_COUNT, 0), MOTET_E_INVALID);
    cr_expect_eq(send(&s, stat.ui, MOTET_TO_ON_SITE, 0), MOTET_E_INVALID);
    struct nuc_in in = world_in(&s.w, NUC_GROUP_NEW);
    in.actor = s.actor;
    in.name = "no blanks";
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID);
    const struct motet_ui other = world_actor(&s.w, true);
    in = world_in(&s.w, NUC_GROUP_INSERT);
    in.actor = other;
    in.cap = stat;
    in.port = s.port[1];
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_PERMISSION, "not its port");
    finish(&s);
}

Test(nucleus_group, names)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap a = group_new(&s, "shop/orders");
    const struct motet_cap b = group_new(&s, "shop/orders");
    cr_expect(ui_equal(a.ui, b.ui));
    cr_expect_eq(a.key, 0);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 1);
    const struct motet_cap d = group_new(&s, "");
    const struct motet_cap e = group_new(&s, "");
    cr_expect_not(ui_equal(d.ui, e.ui));
    cr_expect_eq(ui_kind(d.ui), UI_GROUP);
    cr_expect_eq(ui_site(d.ui), WORLD_SITE);
    finish(&s);
}

/* Any site can check the key of a dynamic group, also one that never heard of
 * it. */
Test(nucleus_group, a_dynamic_group_of_another_site)
{
    static struct scene s;
    scene_init(&s);
    static struct world other;
    memset(&other, 0, sizeof other);
    mem_init(&other.mem, 1 << 24);
    const struct nucleus_config cfg = {
        .site = WORLD_PEER,
        .incarnation = 1,
        .secret = {5, 6},
        .limits = nucleus_limits_default(),
        .mem = &other.mem,
        .trace = &other.trace,
    };
    other.n = nucleus_create(&cfg);
    struct nuc_in in = world_in(&other, NUC_GROUP_NEW);
    in.actor = world_actor(&other, true);
    cr_assert_eq(world_step(&other, &in), MOTET_OK);
    struct motet_cap cap = other.out.cap;
    world_fini(&other);

    cr_expect_eq(insert(&s, cap, s.port[1]), MOTET_OK);
    cr_expect_eq(send(&s, cap.ui, MOTET_TO_ANY, 0), MOTET_OK);
    cap.key++;
    cr_expect_eq(insert(&s, cap, s.port[2]), MOTET_E_PERMISSION);
    finish(&s);
}

Test(nucleus_group, members_come_and_go)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap g = group_new(&s, "g");
    cr_assert_eq(insert(&s, g, s.port[1]), MOTET_OK);
    cr_expect(world_one(&s.w, NUC_PUBLISH)->in);
    cr_assert_eq(insert(&s, g, s.port[1]), MOTET_OK, "twice is the same");
    cr_expect_eq(world_seen(&s.w, NUC_PUBLISH), 1);
    cr_assert_eq(world_member(&s.w, g.ui, world_far(4), WORLD_PEER, true),
                 MOTET_OK);
    cr_assert_eq(world_member(&s.w, g.ui, world_far(4), WORLD_PEER, true),
                 MOTET_OK);
    cr_assert_eq(insert(&s, g, s.port[2]), MOTET_OK);
    const struct motet_ui want[] = {s.port[1], world_far(4), s.port[2]};
    struct nuc_in in = world_in(&s.w, NUC_GROUP_LIST);
    in.dest.target = g.ui;
    for (in.index = 0; in.index < 3; in.index++) {
        cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
        cr_expect(ui_equal(s.w.out.member.port, want[in.index]));
    }
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_NO_MEMBER);
    cr_assert_eq(drop(&s, g, s.port[1]), MOTET_OK);
    in.index = 0;
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect(ui_equal(s.w.out.member.port, world_far(4)));
    world_clear(&s.w);
    cr_assert_eq(world_port_end(&s.w, s.actor, s.port[2]), MOTET_OK);
    cr_expect_not(world_one(&s.w, NUC_PUBLISH)->in);
    cr_expect_eq(nucleus_counts(s.w.n).members, 1);
    cr_assert_eq(world_actor_end(&s.w, s.actor, MOTET_NEWS_CLOSED), MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 1, "it has a member");
    cr_assert_eq(world_member(&s.w, g.ui, world_far(4), WORLD_PEER, false),
                 MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    cr_expect_eq(s.w.n->peer_pool.used, 0, "nor is its site of interest");
    finish(&s);
}

Test(nucleus_group, any_goes_round)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap g = group_new(&s, "g");
    cr_assert_eq(insert(&s, g, s.port[1]), MOTET_OK);
    cr_assert_eq(world_member(&s.w, g.ui, world_far(4), WORLD_PEER, true),
                 MOTET_OK);
    cr_assert_eq(insert(&s, g, s.port[2]), MOTET_OK);
    const struct motet_ui turn[] = {s.port[1], world_far(4), s.port[2],
                                    s.port[1]};
    for (size_t i = 0; i < ARRAY_LEN(turn); i++) {
        cr_assert_eq(send(&s, g.ui, MOTET_TO_ANY, 0), MOTET_OK);
        cr_expect(ui_equal(who(&s), turn[i]), "turn %zu", i);
    }
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_UNREACHABLE),
                 MOTET_OK);
    cr_assert_eq(send(&s, g.ui, MOTET_TO_ANY, 0), MOTET_OK);
    cr_expect(ui_equal(who(&s), s.port[2]), "not the one out of reach");
    cr_assert_eq(send(&s, g.ui, MOTET_TO_ON_SITE, WORLD_PEER), MOTET_OK);
    cr_expect(ui_equal(who(&s), world_far(4)), "unless it is the only one");
    cr_assert_eq(send(&s, g.ui, MOTET_TO_NOT_ON_SITE, WORLD_SITE), MOTET_OK);
    cr_expect(ui_equal(who(&s), world_far(4)));
    cr_expect_eq(send(&s, g.ui, MOTET_TO_ON_SITE, 55), MOTET_E_NO_MEMBER);
    finish(&s);
}

Test(nucleus_group, the_nearest)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap g = group_new(&s, "g");
    static const struct {
        uint64_t site, rtt_ns;
    } far[] = {{21, 900}, {22, 300}, {23, 300}, {24, 100}};
    for (size_t i = 0; i < ARRAY_LEN(far); i++) {
        struct nuc_in in = world_in(&s.w, NUC_SITE);
        in.site = far[i].site;
        in.incarnation = 1;
        in.rtt_ns = far[i].rtt_ns;
        in.state = i == 3 ? NUC_SITE_UNREACHABLE : NUC_SITE_REACHABLE;
        cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
        cr_assert_eq(world_member(&s.w, g.ui,
                                  ui_make(far[i].site, 1, UI_PORT, 1),
                                  far[i].site, true),
                     MOTET_OK);
    }
    cr_assert_eq(send(&s, g.ui, MOTET_TO_NEAREST, 0), MOTET_OK);
    cr_expect_eq(ui_site(who(&s)), 22, "first of those at 300");
    cr_assert_eq(insert(&s, g, s.port[1]), MOTET_OK);
    cr_assert_eq(send(&s, g.ui, MOTET_TO_NEAREST, 0), MOTET_OK);
    cr_expect(ui_equal(who(&s), s.port[1]), "here");
    finish(&s);
}

Test(nucleus_group, to_all)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap g = group_new(&s, "g");
    cr_assert_eq(insert(&s, g, s.port[1]), MOTET_OK);
    cr_assert_eq(insert(&s, g, s.port[2]), MOTET_OK);
    cr_assert_eq(send(&s, g.ui, MOTET_TO_ALL, 0), MOTET_OK);
    cr_expect(s.w.out.settled);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 2);
    cr_expect(ui_equal(world_nth(&s.w, NUC_DELIVER, 0)->target, g.ui));
    cr_expect_eq(world_seen(&s.w, NUC_SENT), 0);
    for (uint32_t i = 1; i <= 2; i++) {
        cr_assert_eq(world_member(&s.w, g.ui, world_far(i), WORLD_PEER, true),
                     MOTET_OK);
    }
    cr_assert_eq(send(&s, g.ui, MOTET_TO_ALL, 0), MOTET_OK);
    cr_expect_not(s.w.out.settled);
    const uint64_t t0 = world_nth(&s.w, NUC_TO_NET, 0)->ticket;
    const uint64_t t1 = world_nth(&s.w, NUC_TO_NET, 1)->ticket;
    cr_assert_eq(world_outcome(&s.w, t0, MOTET_E_NO_PORT), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_SENT), 0, "one is out yet");
    cr_assert_eq(world_outcome(&s.w, t1, MOTET_E_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_SENT)->err, MOTET_E_NO_PORT, "the first");
    cr_expect_eq(world_one(&s.w, NUC_SENT)->token, 42);
    const struct nuc_counts c = nucleus_counts(s.w.n);
    cr_expect_eq(c.sent, 6);
    cr_expect_eq(c.refused, 2);
    finish(&s);
}

/* ---- Waiting for a member --------------------------------------------------
 */

static struct nuc_in waiting(struct scene *s, const char *name)
{
    struct nuc_in in = sending(s, ui_of_name(name), MOTET_TO_ANY);
    in.dest.wait = true;
    in.deadline_ns = s->w.now_ns + 100;
    return in;
}

Test(nucleus_group, a_send_waits_for_a_member)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = waiting(&s, "g");
    for (in.token = 1; in.token <= 40; in.token++) {
        in.msg = world_msg(&s.w, 8);
        cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
        cr_expect_not(s.w.out.settled);
    }
    cr_assert_eq(
        world_member(&s.w, in.dest.target, s.port[1], WORLD_SITE, true),
        MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 40);
    for (uint32_t i = 0; i < 40; i++) {
        cr_assert_eq(world_nth(&s.w, NUC_SENT, i)->token, i + 1);
        cr_assert_eq(world_nth(&s.w, NUC_SENT, i)->err, MOTET_OK);
    }
    cr_expect_eq(nucleus_deadline_ns(s.w.n), DEADLINE_NEVER);
    finish(&s);
}

Test(nucleus_group, a_member_elsewhere_does_as_well)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = waiting(&s, "g");
    in.msg = world_msg(&s.w, 8);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_assert_eq(
        world_member(&s.w, in.dest.target, world_far(1), WORLD_PEER, true),
        MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->deadline_ns, in.deadline_ns);
    cr_expect(ui_equal(e->msg.target, in.dest.target));
    cr_assert_eq(world_outcome(&s.w, e->ticket, MOTET_OK), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_SENT)->err, MOTET_OK);
    finish(&s);
}

Test(nucleus_group, none_came)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = waiting(&s, "g");
    in.msg = world_msg(&s.w, 8);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    in.kind = NUC_CALL;
    in.msg = world_msg(&s.w, 8);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 1);
    world_pass(&s.w, 100);
    cr_expect_eq(world_one(&s.w, NUC_SENT)->err, MOTET_E_NO_MEMBER);
    cr_expect_eq(world_one(&s.w, NUC_CALL_DONE)->err, MOTET_E_NO_MEMBER);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    cr_expect_eq(nucleus_counts(s.w.n).refused, 2);
    finish(&s);
}

Test(nucleus_group, who_waits_may_end)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = waiting(&s, "g");
    in.deadline_ns = DEADLINE_NEVER;
    in.msg = world_msg(&s.w, 8);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_assert_eq(world_port_end(&s.w, s.actor, s.port[0]), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_SENT)->err, MOTET_E_CLOSED);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    finish(&s);
}

Test(nucleus_group, a_call_waits_for_a_member)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = waiting(&s, "g");
    in.kind = NUC_CALL;
    in.dest.mode = MOTET_TO_ALL;
    in.msg = world_msg(&s.w, 8);
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID, "not for calls");
    in.dest.mode = MOTET_TO_NEAREST;
    in.msg = world_msg(&s.w, 8);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_assert_eq(
        world_member(&s.w, in.dest.target, s.port[1], WORLD_SITE, true),
        MOTET_OK);
    cr_assert_eq(world_reply(&s.w, s.actor, world_one(&s.w, NUC_DELIVER)->held),
                 MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_CALL_DONE)->err, MOTET_OK);
    finish(&s);
}

Test(nucleus_group, what_the_directory_says_is_checked)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui g = ui_of_name("g");
    struct nuc_in in = world_in(&s.w, NUC_GROUP_MEMBER);
    in.dest.target = g;
    in.src = world_far(1);
    in.site = WORLD_PEER;
    in.in = true;
    in.name = "h";
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID, "another's name");
    in.name = "g";
    in.site = 0;
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID);
    in.site = WORLD_PEER;
    in.src = g;
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID, "no groups in groups");
    in.src = ui_make(WORLD_SITE, WORLD_INCARNATION, UI_PORT, 77);
    in.site = WORLD_SITE;
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_NO_PORT);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    in.in = false;
    cr_expect_eq(world_step(&s.w, &in), MOTET_OK, "gone is gone");
    finish(&s);
}

Test(nucleus_group, walks)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_cap b = group_new(&s, "b");
    const struct motet_cap a = group_new(&s, "a");
    const char *name = NULL;
    uint32_t members = 9;
    struct motet_ui at = {0};
    cr_assert_eq(insert(&s, a, s.port[1]), MOTET_OK);
    cr_assert(nucleus_next_group(s.w.n, at, &at, &name, &members));
    cr_expect(ui_equal(at, b.ui));
    cr_expect_str_eq(name, "b");
    cr_expect_eq(members, 0);
    cr_assert(nucleus_next_group(s.w.n, at, &at, &name, &members));
    cr_expect_str_eq(name, "a");
    cr_expect_eq(members, 1);
    cr_expect_not(nucleus_next_group(s.w.n, at, &at, &name, &members));
    cr_expect_not(nucleus_next_group(s.w.n, s.actor, &at, &name, &members));
    finish(&s);
}

/* The directory may place a member elsewhere first, and correct itself. */
Test(nucleus_group, a_member_is_placed_anew)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui g = ui_of_name("g");
    cr_assert_eq(world_member(&s.w, g, s.port[1], WORLD_PEER, true), MOTET_OK);
    cr_assert_eq(world_member(&s.w, g, s.port[1], WORLD_SITE, true), MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).members, 1);
    cr_expect_eq(s.w.n->peer_pool.used, 0);
    world_clear(&s.w);
    cr_assert_eq(world_port_end(&s.w, s.actor, s.port[1]), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_PUBLISH), 1, "its end is published");
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    finish(&s);
}

Test(nucleus_group, limits)
{
    static struct world w;
    struct nucleus_limits limits = nucleus_limits_default();
    limits.groups_max = 2;
    limits.members_max = 2;
    world_init(&w, &limits);
    struct nuc_in in = world_in(&w, NUC_GROUP_NEW);
    in.actor = world_actor(&w, true);
    cr_expect_eq(world_step(&w, &in), MOTET_OK);
    cr_expect_eq(world_step(&w, &in), MOTET_OK);
    cr_expect_eq(world_step(&w, &in), MOTET_E_LIMIT);
    const struct motet_ui g = w.out.cap.ui;
    cr_expect(ui_equal(g, (struct motet_ui){0}));
    cr_assert_eq(world_actor_end(&w, in.actor, MOTET_NEWS_CLOSED), MOTET_OK);
    const struct motet_ui h = ui_of_name("h");
    cr_expect_eq(world_member(&w, h, world_far(1), 9, true), MOTET_OK);
    cr_expect_eq(world_member(&w, h, world_far(2), 9, true), MOTET_OK);
    cr_expect_eq(world_member(&w, h, world_far(3), 9, true), MOTET_E_LIMIT);
    in = world_in(&w, NUC_GROUP_NEW);
    in.actor = world_actor(&w, true);
    in.port = world_port(&w, in.actor);
    cr_assert_eq(world_step(&w, &in), MOTET_OK);
    in.cap = w.out.cap;
    in.kind = NUC_GROUP_INSERT;
    cr_expect_eq(world_step(&w, &in), MOTET_E_LIMIT);
    cr_expect_eq(w.count, 0, "nothing is published");
    world_fini(&w);
}
