#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"

TestSuite(nucleus_watch, .timeout = 10);

static const struct motet_ui none = {0};

/* A watching port of a push actor, and a watched one of a pull actor. */
struct scene {
    struct world w;
    struct motet_ui eye, at;
    struct motet_ui server, port;
};

static void scene_init(struct scene *s)
{
    world_init(&s->w, NULL);
    s->eye = world_actor(&s->w, true);
    s->at = world_port(&s->w, s->eye);
    s->server = world_actor(&s->w, false);
    s->port = world_port(&s->w, s->server);
}

static void scene_fini(struct scene *s)
{
    cr_expect_eq(nucleus_counts(s->w.n).watches, 0);
    world_fini(&s->w);
}

static uint64_t watch(struct scene *s, struct motet_ui subject)
{
    cr_assert_eq(world_watch(&s->w, s->eye, s->at, subject), MOTET_OK);
    cr_assert_neq(s->w.out.watch, 0);
    return s->w.out.watch;
}

static enum motet_err unwatch(struct scene *s, uint64_t id)
{
    struct nuc_in in = world_in(&s->w, NUC_UNWATCH);
    in.actor = s->eye;
    in.watch = id;
    return world_step(&s->w, &in);
}

static void expect_news(const struct scene *s, uint64_t id,
                        enum motet_news news, struct motet_ui subject)
{
    const struct nuc_effect *e = world_one(&s->w, NUC_DELIVER);
    cr_expect_eq(e->msg.kind, MSG_NEWS);
    cr_expect_eq(e->watch, id);
    cr_expect_eq(e->news, news, "news %d, not %d", (int)e->news, (int)news);
    cr_expect(ui_equal(e->subject, subject));
}

Test(nucleus_watch, what_is_refused)
{
    static struct scene s;
    scene_init(&s);
    cr_expect_eq(world_watch(&s.w, s.server, s.at, s.port), MOTET_E_PERMISSION);
    cr_expect_eq(world_watch(&s.w, s.eye, world_far(1), s.port),
                 MOTET_E_NO_PORT);
    cr_expect_eq(world_watch(&s.w, s.eye, s.at, s.server), MOTET_E_INVALID);
    cr_expect_eq(world_watch(&s.w, s.eye, s.at, none), MOTET_E_INVALID);
    cr_expect_eq(unwatch(&s, 1), MOTET_E_STATE);
    const uint64_t id = watch(&s, s.port);
    struct nuc_in in = world_in(&s.w, NUC_UNWATCH);
    in.actor = s.server;
    in.watch = id;
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_PERMISSION);
    cr_expect_eq(unwatch(&s, id), MOTET_OK);
    cr_expect_eq(unwatch(&s, id), MOTET_E_STATE);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0, "no news after UNWATCH");
    scene_fini(&s);
}

/* Where the ports of earlier lives of this site live is told later. */
Test(nucleus_watch, an_open_past)
{
    static struct scene s;
    const struct motet_ui old =
        ui_make(WORLD_SITE, WORLD_INCARNATION - 1, UI_PORT, 1);
    world_empty(&s.w);
    struct nucleus_config cfg =
        world_config(&s.w, WORLD_SITE, WORLD_INCARNATION, NULL);
    cfg.past_open = true;
    world_create(&s.w, &cfg);
    s.eye = world_actor(&s.w, true);
    s.at = world_port(&s.w, s.eye);
    cr_assert_eq(world_site(&s.w, WORLD_SITE, WORLD_INCARNATION, NUC_SITE_DEAD),
                 MOTET_OK, "of this life: nonsense");
    const uint64_t id = watch(&s, old);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_WATCH);
    const uint64_t ticket = e->ticket;
    world_clear(&s.w);
    cr_assert_eq(
        world_site(&s.w, WORLD_SITE, WORLD_INCARNATION - 1, NUC_SITE_DEAD),
        MOTET_OK);
    cr_assert_eq(world_outcome(&s.w, ticket, MOTET_E_SITE_DEAD), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, old);
    world_clear(&s.w);
    const uint64_t late = watch(&s, old);
    expect_news(&s, late, MOTET_NEWS_SITE_DEAD, old);
    scene_fini(&s);
}

/* A port that moved here and has ended: the news follow what it sent. */
Test(nucleus_watch, asked_after_the_end_of_one_that_moved_here)
{
    static struct scene s;
    scene_init(&s);
    struct nuc_in in = world_in(&s.w, NUC_NET_DELIVER);
    in.src = world_far(1);
    in.dst = ui_make(13, 1, UI_PORT, 5);
    in.place = (struct place_of){.site = WORLD_PEER, .incarnation = 1};
    in.msg = (struct msg){.kind = MSG_WATCH, .call = 77};
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_NO_PORT, "it never lived here");
    in.in = true;
    cr_expect_eq(world_step(&s.w, &in), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_NEWS);
    cr_expect_eq(e->msg.call, 77);
    cr_expect_eq(e->msg.status, MOTET_NEWS_CLOSED);
    cr_assert_eq(world_outcome(&s.w, e->ticket, MOTET_OK), MOTET_OK);
    scene_fini(&s);
}

Test(nucleus_watch, the_end_of_a_port_here)
{
    static struct scene s;
    scene_init(&s);
    uint64_t id = watch(&s, s.port);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_CLOSED, s.port);
    world_clear(&s.w);
    id = watch(&s, s.port);
    expect_news(&s, id, MOTET_NEWS_CLOSED, s.port);
    world_clear(&s.w);
    const struct motet_ui other = world_port(&s.w, s.server);
    id = watch(&s, other);
    cr_assert_eq(world_actor_end(&s.w, s.server, MOTET_NEWS_CRASHED), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_CRASHED, other);
    world_clear(&s.w);
    const struct motet_ui older =
        ui_make(WORLD_SITE, WORLD_INCARNATION - 1, UI_PORT, 1);
    id = watch(&s, older);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, older);
    scene_fini(&s);
}

/* News come after what the port had sent, also what waits for room. */
Test(nucleus_watch, news_come_last)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui in = world_port_with(
        &s.w, s.server,
        (struct nuc_port_attr){.enabled = true, .queue_msgs_max = 1});
    const struct motet_ui dying = world_port(&s.w, s.eye);
    cr_assert_eq(world_watch(&s.w, s.server, in, dying), MOTET_OK);
    for (uint64_t t = 0; t < 3; t++) {
        cr_assert_eq(world_send_wait(&s.w, s.eye, dying, in, t, DEADLINE_NEVER),
                     MOTET_OK);
    }
    cr_assert_eq(world_port_end(&s.w, s.eye, dying), MOTET_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(world_receive(&s.w, s.server, in, 0, 0), MOTET_OK);
    }
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(world_nth(&s.w, NUC_DELIVER, i)->msg.kind,
                     i < 3 ? MSG_SEND : MSG_NEWS);
    }
    scene_fini(&s);
}

Test(nucleus_watch, news_need_no_room)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui in = world_port_with(
        &s.w, s.server,
        (struct nuc_port_attr){.enabled = true, .queue_msgs_max = 1});
    const struct motet_ui dying = world_port(&s.w, s.eye);
    cr_assert_eq(world_send(&s.w, s.eye, dying, in, 0), MOTET_OK);
    cr_assert_eq(world_watch(&s.w, s.server, in, dying), MOTET_OK);
    cr_assert_eq(world_port_end(&s.w, s.eye, dying), MOTET_OK);
    cr_assert_eq(world_receive(&s.w, s.server, in, 0, 0), MOTET_OK);
    cr_assert_eq(world_receive(&s.w, s.server, in, 0, 0), MOTET_OK);
    cr_expect_eq(world_nth(&s.w, NUC_DELIVER, 1)->news, MOTET_NEWS_CLOSED);
    scene_fini(&s);
}

/* ---- Ports elsewhere -------------------------------------------------------
 */

static enum motet_err deliver_news(struct scene *s, struct motet_ui src,
                                   uint64_t id, uint16_t news)
{
    const struct msg m = {.kind = MSG_NEWS, .call = id, .status = news};
    return world_deliver(&s->w, src, s->at, m);
}

Test(nucleus_watch, news_from_elsewhere)
{
    static struct scene s;
    scene_init(&s);
    const uint64_t id = watch(&s, world_far(1));
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_WATCH);
    cr_expect_eq(e->msg.call, id);
    cr_assert_eq(world_outcome(&s.w, e->ticket, MOTET_OK), MOTET_OK);
    cr_expect_eq(deliver_news(&s, world_far(1), id, 0), MOTET_E_PROTOCOL);
    cr_expect_eq(deliver_news(&s, world_far(1), id, 7), MOTET_E_PROTOCOL);
    cr_expect_eq(deliver_news(&s, world_far(2), id, 2), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0, "from another port");
    cr_expect_eq(deliver_news(&s, world_far(1), id, MOTET_NEWS_CRASHED),
                 MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_CRASHED, world_far(1));
    cr_expect_eq(deliver_news(&s, world_far(1), id, MOTET_NEWS_CRASHED),
                 MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 1, "exactly one");
    scene_fini(&s);
}

/* What becomes of MSG_WATCH, as news. */
Test(nucleus_watch, the_outcome_of_asking)
{
    static const struct row {
        enum motet_err err;
        enum motet_news news;
    } rows[] = {
        {MOTET_E_NO_PORT, MOTET_NEWS_CLOSED},
        {MOTET_E_CLOSED, MOTET_NEWS_CLOSED},
        {MOTET_E_CRASHED, MOTET_NEWS_CRASHED},
        {MOTET_E_SITE_DEAD, MOTET_NEWS_SITE_DEAD},
        {MOTET_E_MAYBE_SITE_DEAD, MOTET_NEWS_SITE_DEAD},
        {MOTET_E_NO_SITE, MOTET_NEWS_SITE_DEAD},
    };
    for (const struct row *r = rows; r < rows + ARRAY_LEN(rows); r++) {
        static struct scene s;
        scene_init(&s);
        const uint64_t id = watch(&s, world_far(1));
        cr_assert_eq(
            world_outcome(&s.w, world_one(&s.w, NUC_TO_NET)->ticket, r->err),
            MOTET_OK);
        expect_news(&s, id, r->news, world_far(1));
        scene_fini(&s);
    }
}

Test(nucleus_watch, no_room_there_is_asked_again)
{
    static struct scene s;
    scene_init(&s);
    const uint64_t id = watch(&s, world_far(1));
    cr_assert_eq(
        world_outcome(&s.w, world_one(&s.w, NUC_TO_NET)->ticket, MOTET_E_LIMIT),
        MOTET_OK);
    world_clear(&s.w);
    world_pass(&s.w, UINT64_C(1000) * WORLD_MS);
    const uint64_t ticket = world_one(&s.w, NUC_TO_NET)->ticket;
    world_clear(&s.w);
    cr_assert_eq(unwatch(&s, id), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_TO_NET)->msg.kind, MSG_UNWATCH);
    cr_assert_eq(world_outcome(&s.w, ticket, MOTET_E_NO_PORT), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0);
    scene_fini(&s);
}

/* It moved to a site that nobody here has met: that may come, or not. */
Test(nucleus_watch, a_site_that_was_not_met_is_waited_for)
{
    static struct scene s;
    scene_init(&s);
    const uint64_t id = watch(&s, world_far(1));
    for (int second = 0; second < 60; second++) {
        const uint64_t ticket = world_one(&s.w, NUC_TO_NET)->ticket;
        world_clear(&s.w);
        cr_assert_eq(world_outcome(&s.w, ticket, MOTET_E_UNREACHABLE),
                     MOTET_OK);
        cr_assert_eq(world_seen(&s.w, NUC_DELIVER), 0);
        world_pass(&s.w, UINT64_C(1000) * WORLD_MS);
    }
    const uint64_t ticket = world_one(&s.w, NUC_TO_NET)->ticket;
    world_clear(&s.w);
    cr_assert_eq(world_outcome(&s.w, ticket, MOTET_E_UNREACHABLE), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, world_far(1));
    scene_fini(&s);
}

/* Who has heard from a new life of a site watches that one. */
Test(nucleus_watch, a_site_is_the_life_that_was_heard)
{
    static struct scene s;
    const struct motet_ui site = ui_of_site(WORLD_PEER);
    scene_init(&s);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    struct nuc_in in = world_in(&s.w, NUC_NET_DELIVER);
    in.src = ui_make(WORLD_PEER, 2, UI_PORT, 1);
    in.dst = s.at;
    in.msg = world_msg(&s.w, 8);
    in.msg.kind = MSG_SEND;
    in.place = (struct place_of){.site = WORLD_PEER, .incarnation = 2};
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    world_clear(&s.w);
    const uint64_t id = watch(&s, site);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 2, NUC_SITE_DEAD), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, site);
    scene_fini(&s);
}

Test(nucleus_watch, the_site_of_a_watched_port)
{
    static struct scene s;
    scene_init(&s);
    const uint64_t id = watch(&s, world_far(1));
    cr_assert_eq(
        world_outcome(&s.w, world_one(&s.w, NUC_TO_NET)->ticket, MOTET_OK),
        MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0, "that is no news");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_UNREACHABLE),
                 MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_UNREACHABLE),
                 MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_UNREACHABLE, world_far(1));
    world_clear(&s.w);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_REACHABLE, world_far(1));
    world_clear(&s.w);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_LEFT), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_LEFT, world_far(1));
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 1, "the dead stay dead");
    scene_fini(&s);
}

Test(nucleus_watch, a_site)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui site = ui_of_site(WORLD_PEER);
    uint64_t id = watch(&s, site);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 0, "membership knows");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 4, NUC_SITE_REACHABLE), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 3, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0, "an earlier life");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 4, NUC_SITE_DEAD), MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, site);
    world_clear(&s.w);
    id = watch(&s, site);
    expect_news(&s, id, MOTET_NEWS_SITE_DEAD, site);
    world_clear(&s.w);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 5, NUC_SITE_REACHABLE), MOTET_OK);
    id = watch(&s, site);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0, "it lives again");
    cr_assert_eq(unwatch(&s, id), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 0);
    id = watch(&s, ui_of_site(WORLD_SITE));
    cr_assert_eq(unwatch(&s, id), MOTET_OK, "its own site is no matter");
    scene_fini(&s);
}

Test(nucleus_watch, a_group)
{
    static struct scene s;
    scene_init(&s);
    const struct motet_ui g = ui_of_name("g");
    const uint64_t id = watch(&s, g);
    cr_assert_eq(world_member(&s.w, g, world_far(1), WORLD_PEER, true),
                 MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_JOINED_GROUP, world_far(1));
    world_clear(&s.w);
    cr_assert_eq(world_member(&s.w, g, world_far(1), WORLD_PEER, false),
                 MOTET_OK);
    expect_news(&s, id, MOTET_NEWS_LEFT_GROUP, world_far(1));
    cr_assert_eq(unwatch(&s, id), MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).groups, 0);
    scene_fini(&s);
}

Test(nucleus_watch, the_watching_port_ends)
{
    static struct scene s;
    scene_init(&s);
    (void)watch(&s, s.port);
    (void)watch(&s, world_far(1));
    (void)watch(&s, ui_of_site(WORLD_PEER));
    (void)watch(&s, ui_of_name("g"));
    cr_assert_eq(
        world_outcome(&s.w, world_one(&s.w, NUC_TO_NET)->ticket, MOTET_OK),
        MOTET_OK);
    world_clear(&s.w);
    cr_assert_eq(world_port_end(&s.w, s.eye, s.at), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_TO_NET)->msg.kind, MSG_UNWATCH);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_DELIVER), 0);
    scene_fini(&s);
}

/* ---- Watched from elsewhere ------------------------------------------------
 */

static enum motet_err asked(struct scene *s, enum msg_kind kind, uint32_t from,
                            uint64_t id)
{
    const struct msg m = {.kind = kind, .call = id};
    return world_deliver(&s->w, world_far(from), s->port, m);
}

Test(nucleus_watch, watchers_elsewhere_are_told)
{
    static struct scene s;
    scene_init(&s);
    cr_assert_eq(asked(&s, MSG_WATCH, 1, 70), MOTET_OK);
    cr_assert_eq(asked(&s, MSG_WATCH, 1, 70), MOTET_OK, "again is harmless");
    cr_assert_eq(asked(&s, MSG_WATCH, 2, 70), MOTET_OK);
    cr_assert_eq(asked(&s, MSG_UNWATCH, 2, 70), MOTET_OK);
    cr_assert_eq(asked(&s, MSG_UNWATCH, 2, 70), MOTET_OK);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_NEWS);
    cr_expect_eq(e->msg.status, MOTET_NEWS_CLOSED);
    cr_expect_eq(e->msg.call, 70);
    cr_expect(ui_equal(e->src, s.port));
    cr_expect(ui_equal(e->dst, world_far(1)));
    cr_expect_eq(s.w.log[s.w.count - 1].kind, NUC_NET_PORT_END, "after it");
    scene_fini(&s);
}

/* One that has ended answers behind what it had sent, one that never was is
 * refused. */
Test(nucleus_watch, a_watcher_that_comes_too_late)
{
    static struct scene s;
    scene_init(&s);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    cr_assert_eq(asked(&s, MSG_WATCH, 1, 71), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_NEWS);
    cr_expect_eq(e->msg.status, MOTET_NEWS_CLOSED);
    cr_expect(ui_equal(e->src, s.port));
    cr_expect(ui_equal(e->dst, world_far(1)));
    s.port = ui_make(WORLD_SITE, WORLD_INCARNATION, UI_PORT, 999);
    cr_expect_eq(asked(&s, MSG_WATCH, 1, 72), MOTET_E_NO_PORT);
    s.port = ui_make(WORLD_SITE, WORLD_INCARNATION - 1, UI_PORT, 1);
    cr_expect_eq(asked(&s, MSG_WATCH, 1, 73), MOTET_E_NO_PORT);
    scene_fini(&s);
}

Test(nucleus_watch, watchers_die_with_their_site)
{
    static struct scene s;
    scene_init(&s);
    cr_assert_eq(asked(&s, MSG_WATCH, 1, 70), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 0);
    scene_fini(&s);
}

Test(nucleus_watch, limits)
{
    static struct world w;
    struct nucleus_limits limits = nucleus_limits_default();
    limits.watches_max = 2;
    world_init(&w, &limits);
    const struct motet_ui a = world_actor(&w, true);
    const struct motet_ui p = world_port(&w, a);
    cr_expect_eq(world_watch(&w, a, p, p), MOTET_OK);
    cr_expect_eq(world_watch(&w, a, p, p), MOTET_OK);
    cr_expect_eq(world_watch(&w, a, p, p), MOTET_E_LIMIT);
    static const enum motet_err want[] = {MOTET_OK, MOTET_OK, MOTET_E_LIMIT};
    for (uint32_t i = 0; i < 3; i++) {
        const struct msg m = {.kind = MSG_WATCH, .call = i + 1};
        cr_expect_eq(world_deliver(&w, world_far(1), p, m), want[i]);
    }
    world_fini(&w);
}

/* A great many watchers are told, a few at a time, in order. */
Test(nucleus_watch, many_watchers)
{
    static struct scene s;
    scene_init(&s);
    for (uint64_t id = 1; id <= 1000; id++) {
        cr_assert_eq(asked(&s, MSG_WATCH, 1, id), MOTET_OK);
    }
    cr_assert_eq(world_port_end(&s.w, s.server, s.port), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(world_nth(&s.w, NUC_TO_NET, i)->msg.call, i + 1);
    }
    scene_fini(&s);
}
