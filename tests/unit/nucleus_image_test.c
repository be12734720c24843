#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"
#include "proto/image.h"

/* The image of a frozen port: what it says of requests whose data is elsewhere
 * at the time, with a queued message or with one that is being handed on. */

TestSuite(nucleus_image, .timeout = 10);

enum { CALL = 55, ANNEX = 5, SIZE = 8, THERE = WORLD_SITE + 1 };

struct pair {
    struct world here, there;
    struct motet_ui actor, port; /* here */
    struct motet_ui taker;       /* there */
};

static void ask(struct world *w, struct motet_ui port)
{
    struct msg m = world_msg(w, SIZE);
    m.kind = MSG_REQUEST;
    m.call = CALL;
    m.remaining_ms = 5000;
    m.annex_bytes = ANNEX;
    m.reply_to = world_far(1);
    cr_assert_eq(world_deliver(w, world_far(1), port, m), MOTET_OK);
}

static void begin(struct pair *p)
{
    world_init(&p->here, NULL);
    world_init_at(&p->there, THERE, 1, NULL);
    p->actor = world_actor(&p->here, false);
    p->port = world_port(&p->here, p->actor);
    p->taker = world_actor(&p->there, false);
    struct nuc_in in = world_in(&p->there, NUC_ACTOR_ADOPTS);
    in.actor = p->taker;
    in.in = true;
    cr_assert_eq(world_step(&p->there, &in), MOTET_OK);
    ask(&p->here, p->port);
}

static uint64_t receive(struct world *w, struct motet_ui actor,
                        struct motet_ui port)
{
    world_clear(w);
    cr_assert_eq(world_receive(w, actor, port, 1, DEADLINE_NEVER), MOTET_OK);
    const struct nuc_effect *e = world_one(w, NUC_DELIVER);
    cr_expect_eq(e->msg.annex_bytes, ANNEX);
    return e->held;
}

static void freeze(struct pair *p)
{
    struct nuc_in in = world_in(&p->here, NUC_PORT_FREEZE);
    in.port = p->port;
    cr_assert_eq(world_step(&p->here, &in), MOTET_OK);
}

static bool next(const struct pair *p, struct nuc_walk *walk,
                 struct image_item *it)
{
    *it = (struct image_item){0};
    return nucleus_image(p->here.n, p->port, walk, it);
}

/* As a site reads an item that came: an annex is a part of its data. */
static void expect_whole(const struct image_item *it)
{
    const uint32_t size = it->msg.data != NULL ? it->msg.data->size : 0;
    cr_expect_leq(it->msg.annex_bytes, size, "item %d says %u of %u",
                  (int)it->kind, it->msg.annex_bytes, size);
}

static enum motet_err try_fit(struct pair *p, struct image_item *it)
{
    struct world *w = &p->there;
    struct nuc_in in = world_in(w, NUC_PORT_ITEM);
    struct nuc_out out;
    struct buf *data = it->msg.data;
    if (data != NULL) {
        it->msg.data = buf_copy(&w->mem, data->data, data->size);
        buf_unref(data);
    }
    in.actor = p->taker;
    in.port = p->port;
    in.item = it;
    const enum motet_err err = nucleus_step(w->n, &in, &out);
    if (err != MOTET_OK) {
        buf_unref(it->msg.data);
    }
    return err;
}

static void fit(struct pair *p, struct image_item *it)
{
    const enum motet_err err = try_fit(p, it);
    cr_assert_eq(err, MOTET_OK, "item %d: %s", (int)it->kind,
                 motet_err_name(err));
}

static void end(struct pair *p)
{
    world_fini(&p->here);
    world_fini(&p->there);
}

Test(nucleus_image, a_queued_request_moves_with_its_annex)
{
    struct pair p;
    struct nuc_walk walk = {0};
    struct image_item it;
    begin(&p);
    freeze(&p);
    uint32_t items = 0;
    while (next(&p, &walk, &it)) {
        expect_whole(&it);
        fit(&p, &it);
        items++;
    }
    cr_expect_eq(items, 3, "the port, the request, its message");
    struct nuc_in in = world_in(&p.there, NUC_PORT_ACTIVATE);
    in.port = p.port;
    cr_assert_eq(world_step(&p.there, &in), MOTET_OK);
    const uint64_t held = receive(&p.there, p.taker, p.port);
    world_clear(&p.there);
    cr_assert_eq(world_forward(&p.there, p.taker, held, world_far(2)),
                 MOTET_OK);
    cr_expect_eq(world_one(&p.there, NUC_TO_NET)->msg.annex_bytes, ANNEX);
    end(&p);
}

Test(nucleus_image, a_request_that_is_handed_on_has_no_annex_of_its_own)
{
    struct pair p;
    struct nuc_walk walk = {0};
    struct image_item it;
    uint32_t held = 0;
    begin(&p);
    const uint64_t id = receive(&p.here, p.actor, p.port);
    world_clear(&p.here);
    cr_assert_eq(world_forward(&p.here, p.actor, id, world_far(2)), MOTET_OK);
    cr_expect_eq(world_one(&p.here, NUC_TO_NET)->msg.annex_bytes, ANNEX);
    freeze(&p);
    while (next(&p, &walk, &it)) {
        expect_whole(&it);
        held += it.kind == IMAGE_HELD;
        image_release(&it);
    }
    cr_expect_eq(held, 1);
    end(&p);
}

/* It has arrived already where its port is going: that is known in a moment. */
Test(nucleus_image, a_request_that_was_handed_on_to_there_is_tried_again)
{
    struct pair p;
    struct nuc_walk walk = {0};
    struct image_item it;
    begin(&p);
    const uint64_t id = receive(&p.here, p.actor, p.port);
    const struct motet_ui other = world_port(&p.there, p.taker);
    ask(&p.there, other);
    cr_assert_eq(world_forward(&p.here, p.actor, id, other), MOTET_OK);
    freeze(&p);
    cr_assert(next(&p, &walk, &it));
    fit(&p, &it);
    cr_assert(next(&p, &walk, &it));
    cr_assert_eq(it.kind, IMAGE_HELD);
    cr_expect_eq(try_fit(&p, &it), MOTET_E_AGAIN);
    struct nuc_in in = world_in(&p.there, NUC_PORT_DISCARD);
    in.port = p.port;
    cr_assert_eq(world_step(&p.there, &in), MOTET_OK);
    end(&p);
}
